"""How deep the grey of image files is, and what becomes of 16 bits."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from grey_files import classes, values
from PIL import Image

from cnn_jax.data.folder import load_folder
from cnn_jax.errors import UserError


def sixteen(path: Path, values: list[int], **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.resize(np.array(values, np.uint16), (4, 4))
    Image.fromarray(pixels).save(path, **options)


def test_the_depth_of_grey_follows_the_training_images(tmp_path):
    for split, most in (("train", 4095), ("test", 5000)):
        for label in ("a", "b"):
            sixteen(tmp_path / split / label / "0.png", [16, 2048, most, 0])
    dataset = load_folder(str(tmp_path))
    # 16 * 255 / 4095 = 0.996, 2048 * 255 / 4095 = 127.53; divided by 257 they would be 0, 8, 16.
    assert dataset.train.images[0].ravel()[:4].tolist() == [1, 128, 255, 0]
    assert dataset.test.images[0].ravel()[:4].tolist() == [1, 128, 255, 0]
    assert dataset.grey_range == (0, 4095)
    assert dataset.notes == (
        "16-bit grey images hold values from 0 to 4,095 and are read as 12 bits, scaled to 8; "
        "--data.full-depth keeps all values",
    )


@pytest.mark.parametrize(
    "most, bits, expected",
    [(65535, 16, 255), (32768, 16, 128), (1023, 10, 255), (200, 8, 200), (1000, 10, 249)],
)
def test_every_depth(most, bits, expected, tmp_path):
    for label in ("a", "b"):
        sixteen(tmp_path / "train" / label / "0.png", [most])
        sixteen(tmp_path / "test" / label / "0.png", [most])
    dataset = load_folder(str(tmp_path))
    assert dataset.grey_range == (0, 2**bits - 1)
    assert (dataset.train.images == expected).all()


def test_a_range_of_grey_that_is_given(tmp_path):
    for label in ("a", "b"):
        for place in range(5):
            sixteen(tmp_path / label / f"{place}.png", [1000, 1900, 2000, 3000])
    dataset = load_folder(str(tmp_path), grey_range=(1000, 2000))
    assert dataset.train.images[0].ravel()[:4].tolist() == [0, 230, 255, 255]
    assert dataset.grey_range == (1000, 2000)
    assert dataset.notes[0] == (
        "16-bit grey images are read with 1,000 as black and 2,000 as white, scaled to 8; "
        "--data.full-depth keeps all values"
    )
    for wrong in [(5, 5), (-1, 4), (0, 65536), (9, 3)]:
        with pytest.raises(UserError, match=r"--data\.grey-range .* two values of 16 bits"):
            load_folder(str(tmp_path), grey_range=wrong)


def test_images_of_various_depths(tmp_path):
    classes(tmp_path)
    sixteen(tmp_path / "dog" / "wide.png", [0, 4000])
    clear = [7, 1000, 65535]
    sixteen(tmp_path / "dog" / "clear.png", clear, transparency=65535)
    dataset = load_folder(str(tmp_path))
    # White is what is transparent, and no value of the image.
    assert dataset.grey_range == (0, 4095)
    assert dataset.notes[0] == (
        "16-bit grey images (2 of 22) hold values from 0 to 4,000 and are read as 12 bits, scaled "
        "to 8; --data.full-depth keeps all values"
    )
    assert sorted(values(dataset.train) + values(dataset.test)) == sorted(
        [*range(10), *range(100, 110), 0, 0]
    )


def test_colours_of_sixteen_bits_are_told(tmp_path):
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    for label in ("a", "b"):
        for part in ("train", "test"):
            (tmp_path / part / label).mkdir(parents=True)
            (tmp_path / part / label / "0.png").write_bytes(
                b"\x89PNG\r\n\x1a\n"
                + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(b"\0" + struct.pack(">HHH", 256, 512, 4095)))
                + chunk(b"IEND", b"")
            )
    dataset = load_folder(str(tmp_path))
    assert dataset.train.images[0, 0, 0].tolist() == [1, 2, 15]
    assert dataset.notes == (
        "of 4 images of 16 bits with colours or transparency the upper 8 bits are read; "
        "--data.full-depth keeps all values",
    )
