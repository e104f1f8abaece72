"""What of an image file decides its pixels, without the texts, profiles and previews beside it.

Pillow reads those too, and gives up on an image for the sake of a comment that is large or broken.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
import zlib
from typing import BinaryIO, NamedTuple

from PIL import Image

from cnn_jax.data.signatures import START, image_format, without_space

MAX_PIXELS = 89_000_000
"""Larger images are refused: one this large takes 267 MB in RGB, and Pillow itself warns of
decompression bombs from 89.5 million pixels on."""

_MOST_NOTES = 2**20
"""Bytes that are looked at of what tells the orientation."""

_PNG = b"\x89PNG\r\n\x1a\n"
_START_OF_IMAGE, _END_OF_IMAGE = b"\xff\xd8", b"\xff\xd9"
_START_OF_SCAN, _COMMENT, _EXIF_OR_XMP = 0xDA, 0xFE, 0xE1
# JFIF and Adobe's, which tell what the numbers of a pixel mean.
_KEPT_APPLICATIONS = (0xE0, 0xEE)
_ONE_SCAN = (0xC0, 0xC1)
_COLOURS = 5
"""Which byte of the header of an image says how many colours it has; of a scan it is the first."""
_ALONE = (0x01, *range(0xD0, 0xD8))
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xff]")
"""One among pixels, but for those at which decoding can begin anew."""
# Bytes that would be read as pixels. They begin with different bits, since one of those may say
# that nothing follows.
_MORE = tuple(
    bytes((first, *((97 * place + first) % 251 for place in range(2048))))
    for first in (0x1D, 0x5B, 0x9D, 0xDB)
)


class Essential(NamedTuple):
    """The part of an image file that decides its pixels.

    Attributes:
      file: the shortened file.
      exif: its EXIF, as far as it tells which way up the image is.
      xmp: its XMP.
      height: where in the file the two bytes with the height of a JPEG stand whose rows lie one
        after the other with nothing but its end behind them, so that those below some row can be
        left out; None of others.
    """

    file: BinaryIO
    exif: bytes | None = None
    xmp: bytes | None = None
    height: int | None = None


def essential(file: BinaryIO, *, header: bool = False) -> Essential:
    """What decides the pixels of an image.

    Args:
      file: at the start of an image file of any format; PNG and JPEG are shortened.
      header: leave the pixels out, of which only enough is kept for the file to be opened.
    """
    start = file.read(START)
    kind = image_format(start)
    file.seek(len(start) - len(without_space(start)) if kind else 0)
    if kind == "PNG":
        return _png(file, header)
    if kind == "JPEG":
        return _jpeg(file, header)
    return Essential(file if header else io.BytesIO(file.read()))


def _png(file: BinaryIO, header: bool) -> Essential:
    kept = io.BytesIO()
    kept.write(file.read(len(_PNG)))
    exif = xmp = None
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        after = file.tell() + length + 4
        # A capital letter marks what an image cannot be shown without.
        if kind[:1].isupper() or kind == b"tRNS":
            kept.write(head)
            kept.write(file.read(8 if header and kind == b"IDAT" else length + 4))
            if kind == b"IEND" or (header and kind == b"IDAT"):
                break
        elif not header and kind == b"eXIf":
            exif = file.read(min(length, _MOST_NOTES))
        elif not header and kind in (b"zTXt", b"iTXt"):
            keyword, _, text = file.read(min(length, _MOST_NOTES)).partition(b"\0")
            if keyword == b"XML:com.adobe.xmp":
                xmp = text
            elif keyword == b"Raw profile type exif" and exif is None:
                exif = _raw_profile(text)
        file.seek(after)
    kept.seek(0)
    return Essential(kept, exif, xmp)


def _raw_profile(text: bytes) -> bytes | None:
    """EXIF as ImageMagick writes it: a name, a length and hexadecimal numbers, compressed."""
    with contextlib.suppress(zlib.error, ValueError):
        lines = zlib.decompressobj().decompress(text[1:], _MOST_NOTES).split(b"\n", 3)
        return bytes.fromhex(re.sub(rb"\s", b"", lines[3]).decode()) if len(lines) == 4 else None
    return None


def _jpeg(file: BinaryIO, header: bool) -> Essential:
    kept = io.BytesIO()
    kept.write(file.read(2))
    exif = xmp = height = None
    one_scan = False
    while True:
        marker = file.read(2)
        while marker == b"\xff\xff":
            marker = b"\xff" + file.read(1)
        if len(marker) < 2 or marker[0] != 0xFF or marker == _END_OF_IMAGE:
            kept.write(marker)
            break
        if marker[1] in _ALONE:
            kept.write(marker)
            continue
        size = file.read(2)
        body = file.read(max(0, int.from_bytes(size, "big") - 2))
        if marker[1] == _EXIF_OR_XMP:
            if exif is None and body.startswith(b"Exif\0\0"):
                exif = body
            elif xmp is None and body.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
                xmp = body
        elif marker[1] in _KEPT_APPLICATIONS or not (
            0xE0 <= marker[1] <= 0xEF or marker[1] == _COMMENT
        ):
            if marker[1] in _ONE_SCAN and len(body) > _COLOURS:
                one_scan, colours = True, body[_COLOURS]
                # Behind the marker and the size of what follows comes the number of bits.
                height = kept.tell() + 5
            kept.write(marker + size + body)
            if marker[1] == _START_OF_SCAN:
                if not one_scan or body[:1] != bytes([colours]):
                    height = None
                break
    if not header:
        rest = file.read()
        content = kept.getvalue() + rest
        following = _MARKER.search(rest)
        if following is None or following[0] != _END_OF_IMAGE:
            height = None
            if one_scan and _END_OF_IMAGE not in content:
                content = _with_end(content)
        return Essential(io.BytesIO(content), exif, xmp, height)
    kept.seek(0)
    return Essential(kept, exif, xmp)


def _with_end(content: bytes) -> bytes:
    """A JPEG that lacks its end marker and nothing else, with it; any other as it is.

    It lacks nothing else if no pixel changes by what stands behind it.

    Args:
      content: with all pixels in one scan. Of scans that refine an image the last may be missing.
    """

    def pixels(more: bytes) -> bytes:
        with Image.open(io.BytesIO(content + more + _END_OF_IMAGE), formats=["JPEG"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError
            return image.tobytes()

    try:
        found = pixels(b"")
        whole = all(pixels(more) == found for more in _MORE)
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError):
        return content
    return content + _END_OF_IMAGE if whole else content
