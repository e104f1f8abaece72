"""Many image files: what their headers tell, and their pixels."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnn_jax.data.depth import WHOLE, Depths, GreyRange, check_range
from cnn_jax.data.images import (
    Header,
    Stored,
    UnreadableImage,
    decode,
    extremes,
    header,
)
from cnn_jax.data.memory_limit import check_size
from cnn_jax.errors import UserError

_THREADS = 8
_AT_ONCE = 4096


@dataclass(frozen=True)
class Survey:
    """What n image files are.

    Attributes:
      sizes: (n, 3) int32, height, width and channels as stored; zeros where a file is bad.
      dtypes: (n,) str, what the values of each are read as; empty where a file is bad.
      bad: what hinders files to be read, by their place.
      depths: how deep the others are.
    """

    sizes: np.ndarray
    dtypes: np.ndarray
    bad: dict[int, UnreadableImage]
    depths: Depths

    def no_picture(self) -> int | None:
        """The first place of what is no grey or RGB of 8 bits; None where all are."""
        other = (self.dtypes != "") & (
            (self.dtypes != "uint8") | ~np.isin(self.sizes[:, 2], (1, 3))
        )
        return int(np.argmax(other)) if other.any() else None


def survey(
    path: Callable[[int], Path | Stored],
    training: np.ndarray,
    grey_range: GreyRange | None = None,
    *,
    full_depth: bool = False,
    pixels: bool = False,
) -> Survey:
    """Looks at the headers of files, in threads.

    Args:
      path: the file of each place.
      training: (n,) bool, which files are there to learn from: 16-bit grey of those tells the
        range of values.
      grey_range: that range, if it is given.
      full_depth: 16-bit PNG is read as it is, see `decode`.
      pixels: read the pixels too, so that whatever cannot be read is found.

    Raises:
      UserError: the range that is given is none, or there can be none.
    """
    check_range(grey_range, full_depth=full_depth)
    n = len(training)
    sizes, dtypes, bad = np.zeros((n, 3), np.int32), np.zeros(n, "U7"), {}
    wide, cut, rounded, pages = np.zeros(n, bool), 0, 0, 0

    def look(place: int) -> Header | UnreadableImage:
        file = path(place)
        if isinstance(file, Path) and file.exists() and not file.is_file():
            return UnreadableImage(str(file), "is a pipe or a device")  # which may never end
        try:
            return header(file, full_depth=full_depth, pixels=pixels)
        except UnreadableImage as error:
            return error

    def values(place: int) -> tuple[int, int] | None:
        try:
            return extremes(path(place))
        except UnreadableImage:
            return None  # where it is read it is told

    with ThreadPoolExecutor(_THREADS) as threads:
        # Not all at once: what waits for a thread takes more memory than what is found.
        for start in range(0, n, _AT_ONCE):
            places = range(start, min(start + _AT_ONCE, n))
            for place, found in zip(places, threads.map(look, places), strict=True):
                if isinstance(found, UnreadableImage):
                    bad[place] = found
                    continue
                sizes[place], dtypes[place], wide[place] = found[:3], found.dtype, found.wide
                cut, rounded, pages = cut + found.cut, rounded + found.rounded, pages + found.pages
        ranges: list[tuple[int, int]] = []
        learnt = np.flatnonzero(wide & training).tolist() if grey_range is None else []
        for start in range(0, len(learnt), _AT_ONCE):
            part = learnt[start : start + _AT_ONCE]
            ranges += [each for each in threads.map(values, part) if each is not None]
    found_range = None
    if ranges:
        found_range = min(low for low, _ in ranges), max(high for _, high in ranges)
    depths = Depths(n - len(bad), int(wide.sum()), cut, found_range, grey_range, rounded, pages)
    return Survey(sizes, dtypes, bad, depths)


def own_range(file: Path) -> GreyRange:
    """The range of a single 16-bit grey image by its own values, which is said on stderr.

    So it is where the lower bits of one with colours are not read.

    Returns:
      The range; for any other image the whole, which does not matter.

    Raises:
      UnreadableImage: as `decode` does.
    """
    if not file.is_file():
        return WHOLE
    found = header(file)
    if found.cut:
        print(f"{str(file)!a}: has 16 bits, of which the upper 8 are read", file=sys.stderr)
    if not found.wide:
        return WHOLE
    depths = Depths(1, 1, 0, extremes(file))
    print(f"{str(file)!a}: {depths.how()}, unlike what was learnt from", file=sys.stderr)
    return depths.grey_range or WHOLE


class Pixels(NamedTuple):
    """Files that were read.

    Attributes:
      images: (n, h, w, c) uint8, zeros where a file cannot be read; c is 1 if all that can
        are stored as grey, else 3. Of TIFF, or at full depth, also uint16 or float32, and of TIFF
        c is any number.
      good: (n,) bool, which can be read.
      bad: what hinders the others, in their order.
      depths: how deep they are.
    """

    images: np.ndarray
    good: np.ndarray
    bad: list[UnreadableImage]
    depths: Depths


def read_images(
    paths: Sequence[Path],
    name: str,
    image_size: int | None,
    max_bytes: int | None,
    *,
    training: np.ndarray | None = None,
    grey_range: GreyRange | None = None,
    full_depth: bool = False,
) -> Pixels:
    """Reads many files of one size, in threads.

    Args:
      paths: n files.
      name: of the data set, for messages.
      image_size: side in pixels to which each is resized, or None.
      max_bytes: as for `check_size`, which is called before a pixel is decoded.
      training: as for `survey`, by default all.
      grey_range: as for `survey`.
      full_depth: as for `survey`.

    Raises:
      UserError: they differ in size and `image_size` is None, differ in depth or in their
        channels, or take too much memory.
    """
    training = np.ones(len(paths), bool) if training is None else training
    found = survey(paths.__getitem__, training, grey_range, full_depth=full_depth)
    bad = dict(found.bad)
    able = np.array([place not in bad for place in range(len(paths))], bool)
    channels, dtype = int(found.sizes[:, 2].max(initial=1)), np.dtype(np.uint8)
    if able.any():
        dtype = _common_kind(paths, found, np.flatnonzero(able))
        if image_size is None:
            side = _common_size(paths, found.sizes[:, :2], np.flatnonzero(able))
        else:
            side = image_size, image_size
        check_size(
            name,
            int(able.sum()),
            (*side, channels),
            max_bytes,
            value_bytes=dtype.itemsize,
            streams=found.no_picture() is None,
        )
    images: np.ndarray | None = None
    first = -1
    good, grey = np.zeros(len(paths), bool), True
    reading = found.depths.grey_range or WHOLE

    def pixels(place: int) -> np.ndarray | UnreadableImage:
        try:
            return decode(
                paths[place], image_size=image_size, grey_range=reading, full_depth=full_depth
            )
        except UnreadableImage as error:
            return error

    threads = ThreadPoolExecutor(_THREADS)
    try:
        places = np.flatnonzero(able).tolist()
        for place, each in zip(places, threads.map(pixels, places), strict=True):
            if isinstance(each, UnreadableImage):
                bad[place] = each
                continue
            if images is None:
                images = np.zeros((len(paths), *each.shape[:2], channels), dtype)
                first = place
            if each.shape[:2] != images.shape[1:3]:
                raise _sizes_differ(
                    (paths[first], images.shape[1:3]), (paths[place], each.shape[:2])
                )
            images[place], good[place] = each, True
            grey = grey and each.shape[2] == 1
    finally:
        threads.shutdown(cancel_futures=True)
    if images is None:
        images = np.zeros((len(paths), 0, 0, 1), np.uint8)
    # A file whose header said colour may have turned out to be bad.
    images = images[..., :1] if grey else images
    return Pixels(images, good, [bad[place] for place in sorted(bad)], found.depths)


def _common_kind(paths: Sequence[Path], found: Survey, places: np.ndarray) -> np.dtype:
    """The dtype that all are read as, once their channels fit too."""
    dtypes, channels = found.dtypes[places], found.sizes[places, 2]
    # Grey among RGB is RGB with three equal channels.
    alike = np.where(channels == 1, 3, channels) if 3 in channels else channels
    for kinds, what, told in (
        (dtypes, "depth", [f"is read as {each}" for each in dtypes]),
        (alike, "channels", [f"has {each}" for each in channels]),
    ):
        differs = kinds != kinds[0]
        if differs.any():
            pair = [f"{paths[places[at]]} {told[at]}" for at in (0, int(np.argmax(differs)))]
            scaled = what == "depth" and found.depths.wide + found.depths.cut
            more = "; --data.full-depth reads 16-bit PNG as uint16" if scaled else ""
            raise UserError(
                f"the images differ in {what}: {' and '.join(pair)}; all of a set must have the "
                f"same{more}"
            )
    return np.dtype(str(dtypes[0]))


def _common_size(paths: Sequence[Path], sizes: np.ndarray, places: np.ndarray) -> tuple[int, int]:
    """The two sides, the shorter first: the EXIF orientation tells later which is the height."""
    sides = np.sort(sizes[places], axis=1)
    differs = (sides != sides[0]).any(1)
    if differs.any():
        one, other = places[0], places[int(np.argmax(differs))]
        raise _sizes_differ((paths[one], sizes[one]), (paths[other], sizes[other]))
    return int(sides[0, 0]), int(sides[0, 1])


def _sizes_differ(*files: tuple[Path, Sequence[int]]) -> UserError:
    told = " and ".join(f"{path} has {size[0]} x {size[1]} pixels" for path, size in files)
    return UserError(
        f"the images differ in size (height x width): {told}; give a side to which all are "
        "resized, such as --data.image-size 64"
    )
