"""A data set of images with boxes, in memory: images of one size, boxes padded to one count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cnn_jax.data.boxes import FoundBoxes, Objects, mended
from cnn_jax.data.coco import find_coco
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.fitting import Fit
from cnn_jax.data.folder import left_out
from cnn_jax.data.framing import Framed, framed
from cnn_jax.data.images import UnreadableImage, in_threads
from cnn_jax.data.memory_limit import check_side, check_size
from cnn_jax.data.splits import cut_test
from cnn_jax.data.voc import find_voc
from cnn_jax.data.yolo import find_yolo
from cnn_jax.errors import UserError

FORMS: dict[str, Callable[..., FoundBoxes]] = {
    "coco": find_coco,
    "voc": find_voc,
    "yolo": find_yolo,
}
"""What stands before the colon in the names of such sets, and what reads them."""

SIDE = 320
"""Pixels a side that images are brought to where nothing else is asked for."""

CROWD, DIFFICULT = 1, 2
"""The bits of `box_flags`."""


def load_boxes(
    form: str,
    path: str | Path,
    *,
    name: str,
    image_size: int | None = None,
    fit: Fit = "letterbox",
    skip_bad: bool = False,
    max_bytes: int | None = None,
    test_part: float | None = None,
) -> Dataset:
    """The data set `coco:PATH`, `voc:PATH` or `yolo:PATH`; without a test part a tenth is cut.

    Args:
      form: which of them.
      path: what stands behind the colon.
      name: of the set.
      image_size: side in pixels of the square that images are brought to, by default `SIDE`.
      fit: how they fill it.
      skip_bad: leave out files that cannot be read or are not there, and name them.
      max_bytes: that the images may take.
      test_part: of train where there is no test part, as of `cnn_jax.data.splits.cut_test`.

    Raises:
      UserError: there is no such set, its files are damaged, or it takes too much memory.
    """
    found = FORMS[form](path, name, skip_bad=skip_bad)
    side = image_size or SIDE
    dataset = boxed(found, name, side, fit, skip_bad=skip_bad, max_bytes=max_bytes)
    return cut_test(dataset, test_part)


def boxed(
    found: FoundBoxes,
    name: str,
    side: int,
    fit: Fit,
    *,
    skip_bad: bool,
    max_bytes: int | None = None,
) -> Dataset:
    """A set of images with boxes, read.

    Its targets are a tree: `boxes` (n, m, 4) float32, top, left, bottom and right in pixels of the
    files; `there` (n, m) bool, which of them are boxes; `box_class` (n, m) int32; `box_flags`
    (n, m) int8, of `CROWD` and `DIFFICULT`; `box_area` (n, m) float32, in pixels; and `size`
    (n, 2) int32, height and width of the files.

    Args:
      found: what is told of the images.
      name: of the set.
      side: of the square that they are brought to, in pixels.
      fit: how.
      skip_bad: leave out images that cannot be read.
      max_bytes: that the images may take.

    Raises:
      UserError: an image cannot be read, or they take too much memory.
    """

    def read(place: int, shape: tuple[int, int, int]) -> Framed:
        return read_framed(every[place].image, shape, fit)

    every = [each for part in found.parts.values() for each in part]
    return held(found, name, side, read, skip_bad=skip_bad, max_bytes=max_bytes)


def held(
    found: FoundBoxes,
    name: str,
    side: int,
    read: Callable[[int, tuple[int, int, int]], Framed],
    *,
    skip_bad: bool,
    max_bytes: int | None = None,
) -> Dataset:
    """The same of images that a function reads: of (place among all, shape).

    Args:
      found: what is told of the images.
      name: of the set.
      side: of the square that they are brought to, in pixels.
      read: gives an image, or raises UnreadableImage.
      skip_bad: leave out images that cannot be read.
      max_bytes: that the images may take.
    """
    check_side("--data.image-size", side)
    shape = side, side, 3
    every = [each for part in found.parts.values() for each in part]
    check_size(name, len(every), shape, max_bytes)
    images = np.empty((len(every), *shape), np.uint8)
    sizes: list[tuple[int, int]] = [(1, 1)] * len(every)
    good = np.ones(len(every), bool)

    def put(place: int) -> UnreadableImage | None:
        try:
            image = read(place, shape)
        except UnreadableImage as error:
            good[place] = False
            return error
        images[place], sizes[place] = image.pixels, image.size
        return None

    bad = [error for error in in_threads(put, [(at,) for at in range(len(every))]) if error]
    notes = list(found.notes)
    if bad:
        notes.append(left_out(name, bad, skip_bad))
    none = np.arange(0)
    told = [
        each if keep else each.at(none)._replace(size=None)
        for each, keep in zip(every, good, strict=True)
    ]
    clean = mended(told, sizes, name, relative=found.relative)
    most = max((len(each.boxes) for each in clean.objects), default=0)
    targets = padded(clean.objects, max(1, most))
    parts, start = {}, 0
    for part, listed in found.parts.items():
        places = np.arange(start, start := start + len(listed))
        # A slice of all takes no memory, unlike some of them.
        kept = slice(start - len(listed), start) if good[places].all() else places[good[places]]
        if not good[places].any():
            raise UserError(f"no image in the {part} part of {name} can be read")
        parts[part] = Split(images[kept], {key: each[kept] for key, each in targets.items()})
    return Dataset(
        name=name,
        class_names=found.class_names,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        source=found.source,
        notes=(*notes, *clean.notes),
    )


def read_framed(file: Path, shape: tuple[int, int, int], fit: Fit) -> Framed:
    """An image file brought to a shape.

    Raises:
      UnreadableImage: as of `framed`.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UnreadableImage(str(file), f"cannot be read ({error.strerror})") from error
    return framed(content, str(file), shape, fit)


def padded(found: Sequence[Objects], most: int) -> dict[str, np.ndarray]:
    """Objects of n images as arrays.

    Args:
      found: with their images' sizes, as `mended` gives them.
      most: m, how many an image can have.

    Returns:
      A tree as of `boxed`.
    """
    n = len(found)
    targets = {
        "boxes": np.zeros((n, most, 4), np.float32),
        "there": np.zeros((n, most), bool),
        "box_class": np.zeros((n, most), np.int32),
        "box_flags": np.zeros((n, most), np.int8),
        "box_area": np.zeros((n, most), np.float32),
        "size": np.array([each.size for each in found], np.int32).reshape(n, 2),
    }
    for place, each in enumerate(found):
        k = len(each.boxes)
        own = np.prod(each.boxes[:, 2:] - each.boxes[:, :2], axis=1)
        targets["boxes"][place, :k] = each.boxes[:, [1, 0, 3, 2]]
        targets["there"][place, :k] = True
        targets["box_class"][place, :k] = each.classes
        targets["box_flags"][place, :k] = CROWD * each.crowd + DIFFICULT * each.difficult
        targets["box_area"][place, :k] = np.where(np.isnan(each.areas), own, each.areas)
    return targets
