"""What a file is, by its first bytes and by its name."""

from __future__ import annotations

import codecs
import re
import struct
from pathlib import Path
from typing import Literal

READ = ("BMP", "JPEG", "PNG", "TIFF", "WebP")
"""The image formats that are read."""

START = 512
"""So many first bytes of a file tell what it is."""

_SIGNATURES: tuple[tuple[str, int, bytes], ...] = (
    ("JPEG", 0, b"\xff\xd8\xff"),
    ("PNG", 0, b"\x89PNG\r\n\x1a\n"),
    ("WebP", 8, b"WEBP"),
    ("GIF", 0, b"GIF8"),
    ("TIFF", 0, b"II*\0"),
    ("TIFF", 0, b"MM\0*"),
    ("TIFF", 0, b"II+\0"),
    ("TIFF", 0, b"MM\0+"),
    ("JPEG 2000", 0, b"\0\0\0\x0cjP  \r\n\x87\n"),
    ("JPEG 2000", 0, b"\xff\x4f\xff\x51"),
    ("JPEG XL", 0, b"\0\0\0\x0cJXL \r\n\x87\n"),
    ("JPEG XL", 0, b"\xff\x0a"),
    ("Photoshop", 0, b"8BPS"),
    ("DICOM", 128, b"DICM"),
    ("OpenEXR", 0, b"\x76\x2f\x31\x01"),
    ("Radiance", 0, b"#?RADIANCE"),
    ("Radiance", 0, b"#?RGBE"),
    ("DDS", 0, b"DDS |"),
    ("QOI", 0, b"qoif"),
    ("icon", 0, b"\0\0\1\0"),
    ("NIfTI", 344, b"n+1\0"),
    ("NIfTI", 344, b"ni1\0"),
    ("SVG", 0, b"<svg"),
)
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"mif1": "HEIF", b"msf1": "HEIF"}
_NO_IMAGES = (
    b"\xff\xfe",
    b"\xfe\xff",
    b"%PDF",
    b"PK\3\4",
    b"PK\5\6",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\0",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"SQLite format 3\0",
    b"\x93NUMPY",
    b"\x89HDF",
    b"\x7fELF",
    b"MZ",
    b"\0\0\0\1Bud1",
    b"\0\5\x16\7",
    b"ID3",
    b"OggS",
    b"bplist",
    b"\x80\2",
    b"\x80\3",
    b"\x80\4",
    b"\x80\5",
)
"""How files begin that are documents, archives, programs, sound, tables or text."""

# Whatever follows, as in the .jpg_large and .jpg!d of web sites.
_IMAGE_ENDING = re.compile(
    r"\.(jpg|jpe|jfif|jif|pjp|png|apng|bmp|dib|webp|avif|gif|heic|heif|jp2|j2k|jxl|pbm|pgm|ppm|pnm"
    r"|tif|psd|dcm|exr|tga|qoi|svg|nii|ico)"
)
_OTHER_ENDING = re.compile(
    r"\.(txt|md|rst|log|csv|tsv|jsonl?|xml|ya?ml|toml|ini|cfg|conf|html?|url|lnk|desktop|db|sqlite"
    r"|pdf|docx?|xlsx?|pptx?|odt|ods|py|ipynb|r|m|sh|bat|exe|zip|gz|bz2|xz|tar|tgz|7z|rar|np[yz]|mat"
    r"|h5|hdf5|pkl|pickle|pth?|parquet|tfrecord|tmp|bak|sha1|sha256|md5|mp3|wav|mp4|avi|mov|mkv"
    r"|webm)"
)
_OTHER_NAMES = ("thumbs.db", "desktop.ini", "icon\r", "_success", "readme", "license", "licence")

Verdict = Literal["image", "no image", "unknown"]


def image_format(start: bytes) -> str | None:
    """The format of an image by the first START bytes of its file; None for none that is known.

    One of READ, or of a format that is not read, such as GIF.
    """
    start = without_space(start)
    for name, place, signature in _SIGNATURES:
        if start[place : place + len(signature)] == signature:
            if name == "WebP" and not start.startswith(b"RIFF"):
                continue
            return name
    # Two letters are not enough: words may begin with them. What follows is the header's size.
    if start[:2] == b"BM" and len(start) >= 18:
        (size,) = struct.unpack_from("<I", start, 14)
        return "BMP" if size in (12, 16, 40, 52, 56, 64, 108, 124) else None
    if start[4:8] == b"ftyp":
        brand = start[8:12]
        return _BRANDS.get(brand, "HEIC" if brand[:3] in (b"hei", b"hev") else None)
    if start[:1] == b"P" and start[1:2] in b"1234567" and start[2:3] in b" \t\r\n":
        return "PNM"
    if start.startswith(b"<?xml") and b"<svg" in start:
        return "SVG"
    return None


def without_space(start: bytes) -> bytes:
    """Bytes without the line ends and the mark that some programs write before an image."""
    return start.removeprefix(b"\xef\xbb\xbf").lstrip(b"\t\n\r ")


def verdict(file: Path) -> Verdict:
    """Whether a file is an image, whatever its name.

    An `image` begins as one, of a format that is read or not, or has the name of one. `no image`
    is known to be something else: by its name, or because it begins like a document, an archive or
    text. All other files are `unknown`: they may be damaged images.
    """
    name, ending = file.name.lower(), file.suffix.lower()
    if _IMAGE_ENDING.match(ending) or name.endswith(".nii.gz"):
        return "image"
    if not file.is_file():
        return "unknown"
    try:
        with file.open("rb") as content:
            start = content.read(START)
    except OSError:
        start = b""
    if image_format(start) is not None:
        return "image"
    if _OTHER_ENDING.fullmatch(ending) or name in _OTHER_NAMES:
        return "no image"
    return "no image" if start.startswith(_NO_IMAGES) or _is_text(start) else "unknown"


def _is_text(start: bytes) -> bool:
    """Whether these bytes are words: UTF-8 without the signs that no text has."""
    if not start or any(byte < 32 and byte not in b"\t\n\f\r\x1b" for byte in start):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return True
