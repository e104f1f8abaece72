import io
import pickle
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cnn_jax.data.containers import MAX_PIXELS
from cnn_jax.data.image_files import read_images
from cnn_jax.data.images import (
    UnreadableImage,
    decode,
    in_threads,
    stored_shape,
)
from cnn_jax.data.resizing import resize
from cnn_jax.errors import UserError

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
COLOUR = np.random.default_rng(0).integers(0, 256, (3, 4, 3), np.uint8)


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def png_with_size(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that its few bytes of pixels do not have."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("format", ["PNG", "BMP", "WEBP"])
def test_colour_is_kept_exactly_by_lossless_formats(format, tmp_path):
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(Image.fromarray(COLOUR), format, **options)
    path = tmp_path / "image"
    path.write_bytes(data)
    for source in [data, path]:
        found = decode(source)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, COLOUR)
        assert stored_shape(source) == (3, 4, 3)


def test_jpeg_of_colour_and_of_grey():
    colour = encoded(Image.new("RGB", (16, 8), (200, 100, 50)), "JPEG", quality=95)
    found = decode(colour)
    assert found.shape == (8, 16, 3)
    assert np.abs(found.astype(int) - [200, 100, 50]).max() <= 2
    grey = encoded(Image.new("L", (16, 8), 77), "JPEG")
    np.testing.assert_array_equal(decode(grey), np.full((8, 16, 1), 77))


@pytest.mark.parametrize("format", ["PNG", "BMP"])
def test_grey_has_one_channel_unless_three_are_asked_for(format):
    data = encoded(Image.fromarray(GREY), format)
    assert stored_shape(data) == (3, 4, 1)
    np.testing.assert_array_equal(decode(data), GREY[..., None])
    np.testing.assert_array_equal(decode(data, 1), GREY[..., None])
    np.testing.assert_array_equal(decode(data, 3), np.stack([GREY] * 3, -1))


def test_colour_becomes_grey_by_luma():
    data = encoded(Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)))
    # 255 times 0.299, 0.587, 0.114, rounded.
    assert decode(data, 1).ravel().tolist() == [76, 150, 29]


def test_one_bit():
    bits = np.array([[True, False, True]])
    data = encoded(Image.fromarray(bits))
    assert decode(data)[..., 0].tolist() == [[255, 0, 255]]
    assert stored_shape(data) == (1, 3, 1)


def test_palette_becomes_colour():
    image = Image.fromarray(np.array([[0, 1, 1]], np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    data = encoded(image)
    assert decode(data).tolist() == [[[10, 20, 30], [200, 100, 50], [200, 100, 50]]]
    assert stored_shape(data) == (1, 3, 3)


def test_alpha_lies_on_white():
    colour = np.array([[[100, 0, 50, 255], [100, 0, 50, 0], [100, 0, 50, 51]]], np.uint8)
    # 51 of 255 is a fifth: 100/5 + 255*4/5 = 224, 0 + 204 = 204, 10 + 204 = 214.
    found = decode(encoded(Image.fromarray(colour)))
    assert found.tolist() == [[[100, 0, 50], [255, 255, 255], [224, 204, 214]]]
    grey = np.array([[[100, 255], [100, 0], [100, 51]]], np.uint8)
    assert decode(encoded(Image.fromarray(grey, "LA"))).tolist() == [[[100], [255], [224]]]


def test_transparent_colours_lie_on_white():
    rgb = encoded(
        Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)), transparency=(1, 2, 3)
    )
    assert decode(rgb).tolist() == [[[255, 255, 255], [4, 5, 6]]]
    grey = encoded(Image.fromarray(np.array([[7, 8]], np.uint8)), transparency=7)
    assert decode(grey).tolist() == [[[255], [8]]]
    palette = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    palette.putpalette([10, 20, 30, 200, 100, 50])
    assert decode(encoded(palette, transparency=0)).tolist() == [[[255] * 3, [200, 100, 50]]]
    wide = Image.fromarray(np.array([[257, 514]], np.uint16))
    assert decode(encoded(wide, transparency=257)).tolist() == [[[255], [2]]]


def test_sixteen_bits_are_scaled_and_rounded():
    values = np.array([[0, 128, 129, 257, 385, 386, 65406, 65407, 65535]], np.uint16)
    data = encoded(Image.fromarray(values))
    found = decode(data)
    assert found[..., 0].tolist() == [[0, 0, 1, 1, 1, 2, 254, 255, 255]]
    np.testing.assert_array_equal(found[0, :, 0], np.round(values[0] / 257))
    assert stored_shape(data) == (1, 9, 1)
    assert decode(data, 3).shape == (1, 9, 3)


def test_cmyk_becomes_rgb():
    # No cyan, half magenta, all yellow, no black.
    data = encoded(Image.new("CMYK", (8, 8), (0, 128, 255, 0)), "JPEG", quality=100)
    found = decode(data)
    assert found.shape == (8, 8, 3)
    assert np.abs(found.astype(int) - [255, 127, 0]).max() <= 2


# What a viewer must see of the stored rows 1 2 3 / 4 5 6 (EXIF 2.3, section 4.6.4, tag 0x112).
UPRIGHT = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[4, 1], [5, 2], [6, 3]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[3, 6], [2, 5], [1, 4]],
}


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [*UPRIGHT, 0, 9])
def test_exif_orientation_is_applied(orientation, format):
    exif = Image.Exif()
    exif[0x112] = orientation
    stored = np.array([[1, 2, 3], [4, 5, 6]], np.uint8) * 40
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(Image.fromarray(stored).convert("RGB"), format, exif=exif, **options)
    found = decode(data, 1)[..., 0] // 40
    assert found.tolist() == UPRIGHT.get(orientation, UPRIGHT[1])
    assert stored_shape(data) == (2, 3, 3)


def test_exif_orientation_of_jpeg():
    exif = Image.Exif()
    exif[0x112] = 6
    stored = np.zeros((8, 16), np.uint8)
    stored[:, :8] = 255
    found = decode(encoded(Image.fromarray(stored), "JPEG", exif=exif))[..., 0]
    # A quarter clockwise: what was left comes on top.
    assert found.shape == (16, 8)
    assert found[:8].min() > 250 and found[8:].max() < 5


def test_what_is_no_image_is_named(tmp_path):
    text = tmp_path / "words.png"
    text.write_text("these are words")
    with pytest.raises(
        UnreadableImage, match=r"words\.png: is not a JPEG, PNG, BMP, WebP or TIFF image"
    ):
        decode(text)
    empty = tmp_path / "empty.jpg"
    empty.touch()
    with pytest.raises(UnreadableImage, match=r"empty\.jpg: is empty"):
        decode(empty)
    with pytest.raises(UnreadableImage, match="the image: is empty"):
        decode(b"")
    with pytest.raises(UnreadableImage, match=r"none\.png: cannot be read \(No such file"):
        decode(tmp_path / "none.png")
    with pytest.raises(UnreadableImage, match="is of the format GIF, which is not read; convert"):
        decode(encoded(Image.fromarray(GREY), "GIF"))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "WEBP"])
def test_cut_off_files_are_errors(format, tmp_path):
    noise = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    data = encoded(Image.fromarray(noise), format)
    path = tmp_path / "cut"
    for length in [len(data) // 10, len(data) // 2, len(data) * 9 // 10]:
        path.write_bytes(data[:length])
        with pytest.raises(UnreadableImage) as caught:
            decode(path)
        assert caught.value.file == str(path)
        assert str(caught.value) == f"{path}: {caught.value.reason}"


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_bytes_give_an_image_or_an_image_error():
    generator = np.random.default_rng(2)
    noise = Image.fromarray(generator.integers(0, 256, (20, 20, 3), np.uint8))
    exif = Image.Exif()
    exif[0x112] = 6
    errors = 0
    for format in ["JPEG", "PNG", "BMP", "WEBP"]:
        whole = encoded(noise, format, **({} if format == "BMP" else {"exif": exif}))
        for _ in range(100):
            data = bytearray(whole)
            for place in generator.integers(0, min(len(data), 300), 4):
                data[place] = generator.integers(256)
            try:
                assert decode(bytes(data)).dtype == np.uint8
            except UnreadableImage:
                errors += 1
    assert 100 < errors < 400


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    "width, height, reason",
    [
        (8_900, 10_001, "has 8,900 x 10,001 pixels, more than the 89,000,000 that are read"),
        (60_000, 60_000, "has more than the 89,000,000 pixels that are read"),
    ],
)
def test_too_large_images_are_refused_before_they_are_decoded(width, height, reason):
    assert width * height > MAX_PIXELS
    data = png_with_size(width, height)
    for read in [decode, stored_shape]:
        with pytest.raises(UnreadableImage) as caught:
            read(data)
        assert caught.value.reason == reason


def test_an_image_of_the_largest_size_is_opened():
    assert stored_shape(png_with_size(8_900, 10_000)) == (10_000, 8_900, 1)


def test_errors_are_user_errors_and_travel_between_processes():
    error = pickle.loads(pickle.dumps(UnreadableImage("a.png", "is empty")))
    assert isinstance(error, UserError)
    assert (error.file, error.reason, str(error)) == ("a.png", "is empty", "a.png: is empty")


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match="not 4"):
        decode(encoded(Image.fromarray(GREY)), 4)


def test_resize_shrinks_with_antialiasing():
    # Each new pixel weighs 0.5 1.5 2 ... as a triangle of radius 2 old pixels about its middle.
    row = np.array([0, 0, 0, 0, 160, 0, 0, 0], np.uint8)
    image = np.repeat(row[None, :, None], 8, 0)
    # Old pixel 4 lies 0.5 from new middle 5 (weights .25 .75 .75 .25 / 2) and 1.5 from 3.
    assert resize(image, 4)[1, :, 0].tolist() == [0, 20, 60, 0]
    assert resize(image, (8, 4)).shape == (8, 4, 1)


def test_resize_enlarges_bilinearly_and_keeps_channels():
    image = np.array([[[0, 100, 200], [40, 60, 200]]], np.uint8)
    found = resize(image, (1, 4))
    assert found.tolist() == [[[0, 100, 200], [10, 90, 200], [30, 70, 200], [40, 60, 200]]]
    assert resize(image, (1, 2)) is image


def test_decode_resizes():
    data = encoded(Image.fromarray(COLOUR))
    np.testing.assert_array_equal(decode(data, image_size=2), resize(COLOUR, 2))
    assert decode(data, 1, 5).shape == (5, 5, 1)


def test_resize_of_a_batch():
    images = np.random.default_rng(4).integers(0, 256, (3, 5, 6, 3), np.uint8)
    found = resize(images, (4, 2))
    np.testing.assert_array_equal(found, [resize(image, (4, 2)) for image in images])
    assert resize(images[..., :1], 4).shape == (3, 4, 4, 1)


def test_in_threads_keeps_the_order():
    assert in_threads(pow, [(2, n) for n in range(50)]) == [2**n for n in range(50)]


def test_many_files(tmp_path):
    generator = np.random.default_rng(3)
    expected = generator.integers(0, 256, (30, 5, 6), np.uint8)
    paths = [tmp_path / f"{place}.png" for place in range(30)]
    for path, pixels in zip(paths, expected, strict=True):
        path.write_bytes(encoded(Image.fromarray(pixels)))
    images, good, bad, _ = read_images(paths, "set", None, 900)
    np.testing.assert_array_equal(images, expected[..., None])
    assert good.all() and not bad
    with pytest.raises(UserError, match=r"set would take .* 30 images of 5x6x1"):
        read_images(paths, "set", None, 899)
    # One in colour makes all three channels, unless it is bad.
    paths[7].write_bytes(encoded(Image.new("RGB", (6, 5))))
    assert read_images(paths, "set", None, 2700)[0].shape == (30, 5, 6, 3)
    paths[7].write_bytes(
        encoded(Image.fromarray(generator.integers(0, 256, (5, 6, 3), np.uint8)))[:80]
    )
    images, good, bad, _ = read_images(paths, "set", None, 2700)
    assert images.shape == (30, 5, 6, 1)
    assert np.flatnonzero(~good).tolist() == [7]
    assert [error.file for error in bad] == [str(paths[7])]
    assert not images[7].any()
