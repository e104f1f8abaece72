"""Images whose texts, profiles or EXIF are large or broken: their pixels can be read."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from cnn_jax.data.crops import decode_part
from cnn_jax.data.images import UnreadableImage, decode, header, stored_shape

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)


def encoded(format: str, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, format, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def segment(content: bytes, marker: int = 0xE1) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def orientation(kind: int, count: int, value: bytes, order: str = "<") -> bytes:
    """EXIF with nothing in it but an orientation."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(f"{order}IHHHI", 8, 1, 0x112, kind, count)
    return b"Exif\0\0" + start + entry + value.ljust(4, b"\0") + bytes(4)


PNG, JPEG = encoded("PNG"), encoded("JPEG")
HUGE = zlib.compress(b"a" * (80 << 20))

PNG_CHUNKS = {
    "text": chunk(b"zTXt", b"workflow\0\0" + HUGE),
    "international text": chunk(b"iTXt", b"workflow\0\1\0\0\0" + HUGE),
    "text with a wrong checksum": chunk(b"tEXt", b"a\0b")[:-4] + bytes(4),
    "text without a name": chunk(b"zTXt", b""),
    "profile": chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(1_300_000))),
    "profile that is none": chunk(b"iCCP", b"p\0\0nothing"),
    "exif": chunk(b"eXIf", b"nonsense"),
    "exif that is cut off": chunk(b"eXIf", b"II*\0\x08\0\0\0\x05\0"),
    "exif as text": chunk(b"zTXt", b"Raw profile type exif\0\0nonsense"),
    "sizes": chunk(b"pHYs", b""),
    "animation": chunk(b"acTL", b""),
    "times": chunk(b"tIME", b"\xff"),
}


@pytest.mark.parametrize("name", PNG_CHUNKS)
@pytest.mark.parametrize("place", ["before", "after"])
def test_png_beside_the_pixels(name, place, tmp_path):
    where = 33 if place == "before" else len(PNG) - 12
    content = PNG[:where] + PNG_CHUNKS[name] + PNG[where:]
    np.testing.assert_array_equal(decode(content), PIXELS)
    found = decode_part(content, "name", PIXELS.shape, lambda *_: None)
    np.testing.assert_array_equal(found, PIXELS)
    file = tmp_path / "image"
    file.write_bytes(content)
    assert stored_shape(file) == stored_shape(content) == (12, 10, 3)
    with pytest.raises(UnreadableImage):
        decode(content[: content.index(b"IDAT") + 200])


JPEG_SEGMENTS = {
    "exif": segment(b"Exif\0\0garbage"),
    "exif without anything": segment(b"Exif\0\0"),
    "exif that is cut off": segment(b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01"),
    "exif that points beyond its end": segment(b"Exif\0\0II*\0\xff\xff\xff\x7f"),
    "xmp": segment(b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="9" <<'),
    "profile": segment(b"ICC_PROFILE\0\x01\x09nothing", 0xE2),
    "pictures": segment(b"MPF\0II*\0\xff\xff\xff\xff", 0xE2),
    "resolution": segment(b"Photoshop 3.0\x008BIM\x03\xed", 0xED),
    "comment": segment(b"\xff" * 60_000, 0xFE),
    "orientation in words": segment(orientation(2, 2, b"6")),
    "orientation 9": segment(orientation(3, 1, b"\x09")),
}


@pytest.mark.parametrize("name", JPEG_SEGMENTS)
def test_jpeg_beside_the_pixels(name):
    content = JPEG[:2] + JPEG_SEGMENTS[name] + JPEG[2:]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = decode(content)
    np.testing.assert_array_equal(found, decode(JPEG))
    assert not told
    assert stored_shape(content) == (12, 10, 3)
    with pytest.raises(UnreadableImage):
        decode(content[:-150])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind, packed", [(3, "H"), (4, "I"), (1, "B")])
def test_an_orientation_counts_however_it_is_written(order, kind, packed):
    exif = orientation(kind, 1, struct.pack(f"{order}{packed}", 6), order)
    upright = decode(JPEG).transpose(1, 0, 2)[:, ::-1]
    np.testing.assert_array_equal(decode(JPEG[:2] + segment(exif) + JPEG[2:]), upright)
    raw = b"\nexif\n%8d\n" % len(exif) + exif.hex().encode()
    for extra in (
        chunk(b"eXIf", exif[6:]),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw)),
        chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'),
    ):
        found = decode(PNG[:-12] + extra + PNG[-12:])
        np.testing.assert_array_equal(found, PIXELS.transpose(1, 0, 2)[:, ::-1])
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>'
    np.testing.assert_array_equal(decode(JPEG[:2] + segment(xmp) + JPEG[2:]), upright)


def test_what_stands_around_an_image_does_not_matter():
    for before, after in ((b"\r\n", b""), (b"\xef\xbb\xbf", b"\0\0\0"), (b"", JPEG)):
        np.testing.assert_array_equal(decode(before + JPEG + after), decode(JPEG))
        np.testing.assert_array_equal(decode(before + PNG + after), PIXELS)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_may_lack_its_end_but_no_pixel(progressive):
    whole = encoded("JPEG", quality=95, progressive=progressive)
    if not progressive:
        np.testing.assert_array_equal(decode(whole[:-2]), decode(whole))
    for missing in range(6, 200):
        if whole[-missing - 1] != 0xFF:
            with pytest.raises(UnreadableImage, match="cannot be read"):
                decode(whole[:-missing])


def test_headers_tell_the_depth():
    grey = io.BytesIO()
    Image.fromarray(np.zeros((2, 3), np.uint16)).save(grey, "PNG")
    assert header(grey.getvalue())[:5] == (2, 3, 1, True, False)
    assert header(PNG)[:5] == (12, 10, 3, False, False)
