"""The strips and tiles of a TIFF page, decompressed and put together.

The compressions that nearly all files have are undone by zlib and by Pillow's libtiff, so that no
further package is needed for them.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from cnn_jax.data.containers import MAX_PIXELS

_NONE, _DEFLATE = 1, (8, 32946)
_BY_LIBTIFF = (5, 32773, 34925, 50000)
"""LZW, PackBits, LZMA and Zstandard."""

_PLAIN, _DIFFERENCES, _FLOAT_DIFFERENCES = 1, 2, 3
_TURNED_BYTES = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


@dataclass(frozen=True)
class Strips:
    """How the values of a page are cut into strips or tiles and packed.

    Attributes:
      dtype: of a value, in the order of bytes that the file has.
      bits: of a value.
      compression: its number in TIFF.
      predictor: 1 for none, 2 for differences along a row, 3 for those of the bytes of floats.
      turned: whether the first bit of a byte is the least.
      height: of the page.
      width: of the page.
      rows: of a strip or tile.
      columns: of a strip or tile.
      samples: of a pixel that lie together.
      planes: of the page, which hold so many samples each.
      tiled: whether they are tiles, which are whole at the edges too.
    """

    dtype: np.dtype
    bits: int
    compression: int
    predictor: int
    turned: bool
    height: int
    width: int
    rows: int
    columns: int
    samples: int
    planes: int
    tiled: bool

    @staticmethod
    def of(page: Any) -> Strips | None:
        """Those of a page of tifffile; None where they are packed in a way not known here."""
        bits = page.bitspersample
        whole = bits in (8, 16, 32, 64)
        known = page.compression in (_NONE, *_DEFLATE, *_BY_LIBTIFF)
        fitting = {
            _PLAIN: True,
            _DIFFERENCES: whole,
            _FLOAT_DIFFERENCES: whole and page.dtype.kind == "f",
        }
        if not known or not fitting.get(page.predictor, False):
            return None
        together = page.planarconfig == 1
        return Strips(
            page.dtype.newbyteorder(page.parent.byteorder),
            bits,
            int(page.compression),
            int(page.predictor),
            page.fillorder == 2,
            page.imagelength,
            page.imagewidth,
            page.tilelength if page.is_tiled else page.rowsperstrip,
            page.tilewidth if page.is_tiled else page.imagewidth,
            page.samplesperpixel if together else 1,
            1 if together else page.samplesperpixel,
            page.is_tiled,
        )

    def values(self, file: BinaryIO, places: list[tuple[int, int]]) -> np.ndarray:
        """All values of the page.

        Args:
          file: with its content.
          places: where each strip or tile begins, and its bytes.

        Returns:
          (h, w, c) of the dtype.

        Raises:
          ValueError, OSError, zlib.error: a strip or tile is damaged.
        """
        found = np.empty((self.planes, self.height, self.width, self.samples), self.dtype)
        across = -(-self.width // self.columns)
        per_plane = across * -(-self.height // self.rows)
        for number, (start, count) in enumerate(places):
            plane, place = divmod(number, per_plane)
            top, left = place // across * self.rows, place % across * self.columns
            rows = self.rows if self.tiled else min(self.rows, self.height - top)
            file.seek(start)
            part = found[plane, top : top + rows, left : left + self.columns]
            part[:] = self._unpacked(file.read(count), rows)[: part.shape[0], : part.shape[1]]
        return np.moveaxis(found, 0, 2).reshape(self.height, self.width, -1)

    def _unpacked(self, packed: bytes, rows: int) -> np.ndarray:
        """A strip or tile, (rows, columns, samples)."""
        row_values = self.columns * self.samples
        row_bytes = -(-row_values * self.bits // 8)
        if self.turned:
            packed = packed.translate(_TURNED_BYTES)
        plain = _decompressed(packed, self.compression, rows, row_bytes)
        if len(plain) < rows * row_bytes:
            raise ValueError("a strip or tile is cut off")
        content = np.frombuffer(plain, np.uint8, rows * row_bytes).reshape(rows, row_bytes)
        shape = rows, self.columns, self.samples
        if self.predictor == _FLOAT_DIFFERENCES:
            # The bytes of a row lie apart by their place in a value, the highest first.
            summed = np.add.accumulate(content.reshape(rows, -1, self.samples), 1, np.uint8)
            planes = summed.reshape(rows, self.dtype.itemsize, row_values)
            ordered = np.ascontiguousarray(np.moveaxis(planes, 1, 2))
            return ordered.view(self.dtype.newbyteorder(">")).reshape(shape)
        if self.bits not in (8, 16, 32, 64):
            each = np.unpackbits(content, axis=1)[:, : row_values * self.bits]
            whole = np.zeros((rows * row_values, 16), np.uint8)
            whole[:, -self.bits :] = each.reshape(-1, self.bits)
            return np.packbits(whole, axis=1).view(">u2").reshape(shape)
        values = content.view(self.dtype)
        if self.predictor == _DIFFERENCES:
            # Those of floats are differences of their bits.
            whole = values.view(f"{self.dtype.byteorder}u{self.dtype.itemsize}").reshape(shape)
            native = whole.astype(whole.dtype.newbyteorder("="))
            summed = np.add.accumulate(native, 1, native.dtype)
            return summed.view(self.dtype.newbyteorder("="))
        return values.reshape(shape)


def _decompressed(packed: bytes, compression: int, rows: int, row_bytes: int) -> bytes:
    """The bytes of a strip or tile, no more than it has."""
    if compression == _NONE:
        return packed
    size = rows * row_bytes
    if compression in _DEFLATE:
        return zlib.decompressobj().decompress(packed, size)
    if size > MAX_PIXELS:
        raise ValueError(f"a strip or tile of {size:,} bytes is larger than those that are read")
    # As a grey image of 8 bits in one strip, which libtiff decompresses.
    entries = (
        (256, row_bytes),
        (257, rows),
        (258, 8),
        (259, compression),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, rows),
        (279, len(packed)),
    )
    body = packed + b"\0" * (len(packed) % 2)
    table = struct.pack("<H", len(entries))
    table += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    file = b"II*\0" + struct.pack("<I", 8 + len(body)) + body + table + bytes(4)
    with Image.open(io.BytesIO(file), formats=["TIFF"]) as image:
        return image.tobytes()
