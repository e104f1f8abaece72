"""The objects of images as files tell them: boxes with classes, before an image is read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cnn_jax.errors import UserError

_NAMED = 5
"""So many files are named where there are more."""

_SAME_ASPECT = 0.02


class Objects(NamedTuple):
    """What is told of the objects of one image.

    Attributes:
      image: its file.
      boxes: (k, 4) float64: left, top, right and bottom from the upper left corner of the image, in
        pixels or, where the set says so, as parts of its sides; not a number where none stands.
      classes: (k,) int32, places in the class names.
      crowd: (k,) bool, a box around many that were not told apart.
      difficult: (k,) bool, what is hard to tell, and not counted where it is missed.
      areas: (k,) float64 in pixels, not a number where it is the box's.
      size: height and width as they are told, if they are.
    """

    image: Path
    boxes: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray
    difficult: np.ndarray
    areas: np.ndarray
    size: tuple[int, int] | None = None

    def at(self, places: np.ndarray) -> Objects:
        """With some of the objects."""
        return self._replace(
            boxes=self.boxes[places],
            classes=self.classes[places],
            crowd=self.crowd[places],
            difficult=self.difficult[places],
            areas=self.areas[places],
        )


def objects(
    image: Path,
    boxes: Sequence[Sequence[float]],
    classes: Sequence[int],
    *,
    crowd: Sequence[bool] = (),
    difficult: Sequence[bool] = (),
    areas: Sequence[float] = (),
    size: tuple[int, int] | None = None,
) -> Objects:
    """`Objects` of lists; what is left out is false, and of areas unknown."""
    k = len(classes)
    return Objects(
        image,
        np.array(boxes, np.float64).reshape(k, 4),
        np.array(classes, np.int32),
        np.array(crowd or [False] * k, bool),
        np.array(difficult or [False] * k, bool),
        np.array(areas or [math.nan] * k, np.float64),
        size,
    )


@dataclass(frozen=True)
class FoundBoxes:
    """A set of images with boxes, not yet read.

    Attributes:
      class_names: the k classes.
      parts: what is told of the images of each part, train among them.
      source: where it lies.
      notes: what was passed over, renamed or guessed.
      relative: whether boxes are parts of the sides of their image.
    """

    class_names: tuple[str, ...]
    parts: dict[str, list[Objects]]
    source: str
    notes: tuple[str, ...]
    relative: bool = False


def number(value: Any) -> float:
    """A number that may be written as a text; not a number where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except ValueError:
        return math.nan


class Classes:
    """Class names as they turn up in files, of which some differ in blanks or in case only."""

    def __init__(self) -> None:
        self._spellings: dict[str, Counter[str]] = {}

    def add(self, name: str) -> str:
        """What stands for a name in whatever way it is written."""
        plain = " ".join(name.split())
        key = plain.casefold()
        self._spellings.setdefault(key, Counter())[name] += 1
        return key

    def names(self) -> tuple[tuple[str, ...], dict[str, int], list[str]]:
        """The names, sorted, each as it is mostly written; the place of each; and notes."""
        written = {
            key: " ".join(min(counts, key=lambda name: (-counts[name], name)).split())
            for key, counts in self._spellings.items()
        }
        keys = sorted(written, key=lambda key: (written[key], key))
        notes = [
            f"the class {written[key]} is also written {', '.join(map(repr, others))}"
            for key in keys
            if (others := sorted(set(self._spellings[key]) - {written[key]}))
        ]
        return tuple(written[key] for key in keys), {k: at for at, k in enumerate(keys)}, notes


class Mended(NamedTuple):
    """Objects that can be learnt from.

    Attributes:
      objects: boxes in pixels of the image, each with an area and within the image.
      notes: what was dropped or changed, counted.
    """

    objects: list[Objects]
    notes: list[str]


_FAULTS = {
    "no number": "whose coordinates are no numbers",
    "no area": "without area (zero or negative width or height)",
    "outside": "outside of their image",
    "first pixel": "within the first pixel of their image, as if written as parts of it",
    "twice": "that stand twice",
}


def mended(
    found: Sequence[Objects],
    sizes: Sequence[tuple[int, int]],
    name: str,
    *,
    relative: bool = False,
) -> Mended:
    """Objects without faulty boxes, the others clipped to their image, all of them counted.

    Where a file tells another size than its image has, of the same proportions, its boxes are
    scaled: the image was resized after they were drawn.

    Args:
      found: of n images.
      sizes: height and width of each, upright.
      name: of the set.
      relative: whether boxes are parts of the sides.

    Raises:
      UserError: most boxes are written in the wrong unit.
    """
    dropped = {fault: Counter[str]() for fault in _FAULTS}
    clipped, resized, other = Counter[str](), list[str](), list[str]()
    kept: list[Objects] = []
    for each, (height, width) in zip(found, sizes, strict=True):
        boxes, file, scale = each.boxes, each.image.name, np.ones(4)
        if relative:
            scale = np.array([width, height, width, height], np.float64)
        elif each.size is not None and each.size != (height, width):
            told_height, told_width = each.size
            across, down = width / told_width, height / told_height
            if abs(across / down - 1) <= _SAME_ASPECT:
                scale = np.array([across, down, across, down])
                resized.append(file)
            else:
                other.append(file)
        boxes = boxes * scale
        areas = each.areas * (1.0 if relative else scale[0] * scale[1])
        limits = np.array([width, height, width, height], np.float64)
        inside = np.clip(boxes, 0, limits)
        fault = np.full(len(boxes), "", "U12")
        row = np.concatenate([boxes, each.classes[:, None], each.crowd[:, None]], axis=1)
        first = np.unique(row, axis=0, return_index=True)[1] if len(row) else np.arange(0)
        again = np.ones(len(boxes), bool)
        again[first] = False
        small = (each.boxes[:, 2:] <= 1).all(1) & (height > 1) & (width > 1)
        # The first of several faults is named.
        for what, there in (
            ("twice", again),
            ("first pixel", small & ~np.array(relative)),
            ("outside", (inside[:, 2:] <= inside[:, :2]).any(1)),
            ("no area", (boxes[:, 2:] <= boxes[:, :2]).any(1)),
            ("no number", ~np.isfinite(boxes).all(1)),
        ):
            fault[there] = what
        for what in fault[fault != ""]:
            dropped[str(what)][file] += 1
        good = np.flatnonzero(fault == "")
        beyond = (np.abs(inside - boxes)[good] > 0.01).any(1)
        if beyond.any():
            clipped[file] += int(beyond.sum())
        kept.append(each._replace(boxes=inside, areas=areas, size=(height, width)).at(good))
    _check_unit(name, dropped["first pixel"], found)
    notes = [_counted("dropped", each, _FAULTS[what]) for what, each in dropped.items() if each]
    if clipped:
        notes.append(_counted("clipped", clipped, "that reach beyond their image"))
    if resized:
        notes.append(
            f"{_images(resized)} {'is' if len(resized) == 1 else 'are'} of another size than told, "
            f"in the same proportions, and the boxes are scaled: {_some(resized)}"
        )
    if other:
        notes.append(
            f"{_images(other)} {'is' if len(other) == 1 else 'are'} of another size than told; the "
            f"boxes are taken as pixels of the image as it is: {_some(other)}"
        )
    return Mended(kept, notes)


def _check_unit(name: str, small: Counter[str], found: Sequence[Objects]) -> None:
    count = sum(len(each.boxes) for each in found)
    if small and 2 * small.total() > count:
        raise UserError(
            f"{small.total():,} of the {count:,} boxes of {name} lie between 0 and 1, such as "
            f"those of {next(iter(small))}: they look like parts of the image, and pixels are "
            "wanted; multiply them by its width and height, or write them as yolo:PATH has them"
        )


def _counted(what: str, of: Counter[str], how: str) -> str:
    count = of.total()
    return f"{what} {count:,} box{'es' * (count != 1)} {how}: {_some(of)}"


def _images(files: Sequence[str]) -> str:
    return f"{len(files):,} image{'s' * (len(files) != 1)}"


def _some(files: Iterable[str]) -> str:
    named = list(files)
    more = f" and {len(named) - _NAMED:,} more" * (len(named) > _NAMED)
    return ", ".join(named[:_NAMED]) + more


some = _some
