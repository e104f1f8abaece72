"""TIFF, and PNG of 16 bits, are read with the values that are stored."""

import io
import struct
import sys
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from cnn_jax.data.image_files import own_range, read_images
from cnn_jax.data.images import UnreadableImage, decode, header
from cnn_jax.data.resizing import resize
from cnn_jax.errors import UserError

DTYPES = ("uint8", "uint16", "float32")


def values(dtype, *shape, seed=0):
    """Random values over the whole range of whole numbers, or around 0."""
    random = np.random.default_rng(seed)
    if dtype == "float32":
        return random.normal(0, 1e4, shape).astype(np.float32)
    return random.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def tiff(image, **options):
    file = io.BytesIO()
    if image.shape[-1] > 1:
        options["planarconfig"] = "contig"
    kind = "rgb" if image.shape[-1] == 3 else "minisblack"
    tifffile.imwrite(
        file, image if image.shape[-1] > 1 else image[..., 0], photometric=kind, **options
    )
    return file.getvalue()


def with_pillow(image, **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "TIFF", **options)
    return file.getvalue()


def by_hand(data, width, height, **tags):
    """A TIFF in one strip, its tags given by their numbers as `t258=8`."""
    found = {256: width, 257: height, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(data)}
    found |= {int(name[1:]): value for name, value in tags.items()}
    body = data + b"\0" * (len(data) % 2)
    table = b"".join(struct.pack("<HHII", tag, 4, 1, found[tag]) for tag in sorted(found))
    start = struct.pack("<4sI", b"II*\0", 8 + len(body))
    return start + body + struct.pack("<H", len(found)) + table + bytes(4)


def chunk(kind, content):
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(image, key=None):
    """A PNG of 16 bits of (h, w, c) uint16, its rows filtered by what is above or beside them."""
    height, width, channels = image.shape
    rows, above = b"", np.zeros(width * channels * 2, np.uint8)
    for number, row in enumerate(image):
        content = np.frombuffer(row.astype(">u2").tobytes(), np.uint8)
        rows += bytes([2 * (number % 2)]) + (content - above * (number % 2)).tobytes()
        above = content
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    told = b"" if key is None else chunk(b"tRNS", struct.pack(f">{channels}H", *key))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + told
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_come_back_however_they_are_stored(dtype):
    whole = dtype != "float32"
    for channels in (1, 3, 5):
        image = values(dtype, 19, 37, channels)
        for options in (
            {},
            {"byteorder": ">"},
            {"bigtiff": True},
            {"rowsperstrip": 4},
            {"tile": (16, 32)},
            {"compression": "zlib", "rowsperstrip": 4},
            {"compression": "zlib", "tile": (16, 16), "byteorder": ">"},
            *[{"compression": "zlib", "predictor": 2, "tile": (16, 16)}] * whole,
            *[{"compression": "zlib", "predictor": 2, "byteorder": ">"}] * whole,
        ):
            content = tiff(image, **options)
            found = decode(content)
            assert found.dtype == dtype, options
            np.testing.assert_array_equal(found, image, str(options))
            assert header(content)[:3] == image.shape
            assert header(content).dtype == dtype and not header(content).pages
    planes = io.BytesIO()
    image = values(dtype, 19, 37, 4)
    tifffile.imwrite(
        planes,
        np.moveaxis(image, -1, 0),
        photometric="minisblack",
        planarconfig="separate",
        tile=(16, 16),
    )
    np.testing.assert_array_equal(decode(planes.getvalue()), image)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "zstd"])
def test_usual_compressions_need_no_further_package(compression):
    for dtype in ("uint8", "uint16", "float32"):
        image = values(dtype, 30, 21) // 64  # so that something repeats
        for predictor in [1, 2] if compression != "packbits" else [1]:
            content = with_pillow(image, compression=compression, tiffinfo={317: predictor, 278: 7})
            np.testing.assert_array_equal(decode(content)[..., 0], image)


def test_floats_in_the_order_of_their_bytes():
    image = values("float32", 6, 5)
    # Each row has the highest byte of all values first, as differences to the byte before.
    planes = np.frombuffer(image.astype(">f4").tobytes(), np.uint8).reshape(6, 5, 4)
    rows = np.moveaxis(planes, 2, 1).reshape(6, 20)
    packed = np.diff(rows, axis=1, prepend=np.uint8(0)).astype(np.uint8).tobytes()
    content = by_hand(zlib.compress(packed), 5, 6, t258=32, t259=8, t317=3, t339=3)
    np.testing.assert_array_equal(decode(content)[..., 0], image)


def test_other_numbers_of_bits():
    twelve = values("uint16", 4, 6) >> 4
    bits = (twelve[..., None] >> np.arange(11, -1, -1)) & 1
    packed = np.packbits(bits.astype(np.uint8).reshape(4, -1), axis=1).tobytes()
    found = decode(by_hand(packed, 6, 4, t258=12))
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found[..., 0], twelve)
    assert decode(by_hand(b"\x0f\xa5", 4, 1, t258=4))[0, :, 0].tolist() == [0, 255, 170, 85]
    assert decode(by_hand(b"\xa0", 4, 1, t258=1))[0, :, 0].tolist() == [255, 0, 255, 0]
    # Where zero is white, and where the first bit is the last.
    assert decode(by_hand(b"\xa0", 4, 1, t258=1, t262=0))[0, :, 0].tolist() == [0, 255, 0, 255]
    assert decode(by_hand(b"\x05", 4, 1, t258=1, t266=2))[0, :, 0].tolist() == [255, 0, 255, 0]
    assert decode(by_hand(b"\1\0\2\0", 2, 1, t258=16, t262=0))[0, :, 0].tolist() == [65534, 65533]
    # Signed and longer numbers are floats.
    for dtype, expected in (("int16", -3), ("int32", -3), ("float64", -3), ("float16", -3)):
        content = tiff(np.full((2, 3, 1), expected, dtype))
        assert decode(content).dtype == np.float32
        assert (decode(content) == expected).all()
        assert header(content).rounded == (dtype in ("int32", "float64"))


def test_palettes_become_colours():
    image = Image.fromarray(values("uint8", 5, 4, 3)).quantize(16)
    file = io.BytesIO()
    image.save(file, "TIFF")
    assert header(file.getvalue()).channels == 3
    np.testing.assert_array_equal(decode(file.getvalue()), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("number", range(1, 9))
def test_orientation_is_that_of_the_file(number):
    image = values("uint16", 3, 5)
    turns = {
        1: image,
        2: image[:, ::-1],
        3: image[::-1, ::-1],
        4: image[::-1],
        5: image.T,
        6: np.rot90(image, -1),
        7: image[::-1, ::-1].T,
        8: np.rot90(image),
    }
    content = with_pillow(image, tiffinfo={274: number})
    np.testing.assert_array_equal(decode(content)[..., 0], turns[number])


def test_sixteen_bits_of_png():
    for channels in (1, 3):
        image = values("uint16", 5, 7, channels)
        content = png(image)
        np.testing.assert_array_equal(decode(content, full_depth=True), image)
        assert header(content, full_depth=True)[:6] == (5, 7, channels, False, False, "uint16")
        # As before where it is not asked for: of colours the upper 8 bits, of grey those of 257.
        eight = image >> 8 if channels == 3 else (image.astype(int) + 128) // 257
        np.testing.assert_array_equal(decode(content), eight)
        assert header(content)[3:6] == (channels == 1, channels == 3, "uint8")
        key = tuple(image[0, 0].tolist())
        clear = decode(png(image, key), full_depth=True)
        assert (clear[0, 0] == 65535).all()
        np.testing.assert_array_equal(clear[1:], image[1:])
        opaque = values("uint16", 5, 7, 1, seed=1)
        opaque[0], opaque[1] = 0, 65535
        layered = decode(png(np.concatenate([image, opaque], -1)), full_depth=True)
        assert layered.shape == image.shape and (layered[0] == 65535).all()
        np.testing.assert_array_equal(layered[1], image[1])
        share = opaque / 65535
        np.testing.assert_array_equal(layered, np.rint(image * share + 65535 * (1 - share)))
    grey = values("uint8", 4, 4)
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    np.testing.assert_array_equal(decode(file.getvalue(), full_depth=True)[..., 0], grey)


def test_resizing_keeps_the_depth():
    for dtype in DTYPES:
        image = values(dtype, 40, 30, 5)
        found = resize(image, (9, 14))
        assert found.dtype == dtype and found.shape == (9, 14, 5)
        for channel in range(5):
            plane = Image.fromarray(image[..., channel].astype(np.float32))
            expected = np.asarray(plane.resize((14, 9), Image.Resampling.BILINEAR))
            # Pillow weights bytes with fewer digits.
            tolerance = 1 if dtype == "uint8" else 0.5 if dtype == "uint16" else 0
            np.testing.assert_allclose(found[..., channel], expected, rtol=0, atol=tolerance)
    flat = np.full((50, 50, 2), 65535, np.uint16)
    assert (resize(flat, 7) == 65535).all()


def test_grey_and_colours_of_any_depth():
    for dtype in DTYPES:
        image = values(dtype, 4, 5, 3)
        grey = decode(tiff(image), channels=1)
        assert grey.dtype == dtype
        expected = image @ np.array([0.299, 0.587, 0.114])
        exact = {"rtol": 1e-5, "atol": 1e-2} if dtype == "float32" else {"rtol": 1e-5, "atol": 0.6}
        np.testing.assert_allclose(grey[..., 0], expected, **exact)
        same = decode(tiff(image[..., :1]), channels=3)
        np.testing.assert_array_equal(same, np.repeat(image[..., :1], 3, axis=-1))
    eight = values("uint8", 4, 5, 3)
    alike = np.asarray(Image.fromarray(eight).convert("L"))
    np.testing.assert_array_equal(decode(tiff(eight), channels=1)[..., 0], alike)
    with pytest.raises(UnreadableImage, match="has 5 channels, and 3 are asked for"):
        decode(tiff(values("uint8", 4, 5, 5)), channels=3)


@pytest.mark.parametrize(
    "content, reason",
    [
        (lambda: tiff(np.full((2, 3, 1), np.nan, np.float32)), "holds 6 values that are no finite"),
        (lambda: tiff(np.full((2, 3, 1), 1e300)), "holds 6 values that are no finite numbers"),
        (lambda: tiff(np.ones((2, 3, 1), np.complex64)), "holds values of 64 bits of the kind"),
        (
            lambda: by_hand(bytes(4), 2, 2, t258=8, t259=4711),
            "has the compression 4711, for which the",
        ),
        (lambda: by_hand(bytes(4), 2, 2, t258=8, t262=5), "has colours of the kind SEPARATED"),
        (lambda: by_hand(bytes(4), 2, 2, t258=8, t254=1), "begins with a preview"),
        (lambda: by_hand(bytes(4), 2, 2, t258=8, t32997=2), "is a volume of 2 slices"),
        (
            lambda: by_hand(bytes(4), 90_000, 1000, t258=8),
            "has 90,000 x 1,000 pixels of 1 channels",
        ),
        (
            lambda: by_hand(bytes(4), 9000, 9000, t258=8, t277=9),
            "9,000 x 9,000 pixels of 9",
        ),
        (lambda: by_hand(bytes(3), 2, 2, t258=8), "a strip or tile is cut off"),
        (lambda: by_hand(bytes(4), 2, 2, t258=8, t279=5000), "is cut off, or lacks"),
        (lambda: by_hand(bytes(4), 2, 2, t258=8, t278=1), "1 of its 2 strips"),
        (lambda: by_hand(b"words", 2, 2, t258=8, t259=8), "cannot be read"),
        (lambda: by_hand(b"words", 2, 2, t258=8, t259=5), "cannot be read"),
        (lambda: b"II*\0" + bytes(30), "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_said(content, reason, tmp_path):
    file = tmp_path / "scan.tif"
    file.write_bytes(content())
    with pytest.raises(UnreadableImage, match=reason) as caught:
        decode(file)
    assert caught.value.file == str(file)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(UnreadableImage, match="is a TIFF, for which the package tifffile is need"):
        decode(by_hand(bytes(4), 2, 2, t258=8))


def test_a_single_image_that_loses_bits_is_said(tmp_path, capsys):
    file = tmp_path / "colours.png"
    file.write_bytes(png(values("uint16", 3, 3, 3)))
    assert own_range(file) == (0, 65535)
    assert "colours.png': has 16 bits, of which the upper 8 are read" in capsys.readouterr().err


def test_damaged_files_are_errors_and_nothing_else():
    random = np.random.default_rng(0)
    image = values("uint16", 12, 20, 3)
    for content in (
        tiff(image, compression="zlib", predictor=2, tile=(16, 16)),
        tiff(values("float32", 9, 9, 5), rowsperstrip=2),
        with_pillow(image[..., 0], compression="tiff_lzw"),
    ):
        read = 0
        for place in range(120):
            damaged = bytearray(content)
            if place % 3 == 0:
                damaged = damaged[: random.integers(4, len(damaged))]
            else:
                # Most of what can go wrong lies in the tags, which are at one of the ends.
                for at in random.integers(4, len(damaged), 4 if place % 3 == 1 else 40):
                    damaged[at] ^= 1 << random.integers(8)
            try:
                found = decode(bytes(damaged))
            except UnreadableImage:
                continue
            assert found.ndim == 3 and found.dtype in DTYPES
            read += 1
        assert read < 120


def test_sets_of_several_kinds_are_refused(tmp_path):
    def write(name, content):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    wide, eight = values("uint16", 4, 4, 1), values("uint8", 4, 4, 1)
    files = [write("a.tif", tiff(wide)), write("b.tif", tiff(eight))]
    with pytest.raises(
        UserError, match=r"depth: .*a\.tif is read as uint16 and .*b\.tif is read a"
    ):
        read_images(files, "set", None, None)
    files[1] = write("c.png", png(wide))
    with pytest.raises(UserError, match=r"c\.png is read as uint8; .*--data\.full-depth reads"):
        read_images(files, "set", None, None)
    found = read_images(files, "set", None, None, full_depth=True)
    np.testing.assert_array_equal(found.images, np.stack([wide, wide]))
    files[1] = write("d.tif", tiff(values("uint16", 4, 4, 5)))
    with pytest.raises(UserError, match=r"channels: .*a\.tif has 1 and .*d\.tif has 5"):
        read_images(files, "set", None, None)
    # Grey among colours has three equal channels, as of any other images.
    files[1] = write("e.tif", tiff(values("uint16", 4, 4, 3)))
    assert (read_images(files, "set", None, None).images[0] == wide).all()
    with pytest.raises(UserError, match=r"--data\.grey-range scales .* leave one of them out"):
        read_images(files, "set", None, None, grey_range=(0, 9), full_depth=True)
    with pytest.raises(UserError, match="of 4x4x3 values of 2 bytes, more than"):
        read_images(files, "set", None, 100)


def test_pages_after_the_first_are_told(tmp_path):
    file = tmp_path / "stack.tif"
    pages = values("uint16", 3, 6, 7)
    tifffile.imwrite(file, pages, photometric="minisblack")
    found = read_images([file], "set", None, None)
    np.testing.assert_array_equal(found.images[0, ..., 0], pages[0])
    assert found.depths.notes() == ["of 1 TIFF files with several pages the first is read"]
