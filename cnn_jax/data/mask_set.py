"""A data set from one's own images and their masks: `masks:PATH`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnn_jax.data.class_table import ClassTable, find_table_file, read_classes
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.depth import WHOLE, GreyRange
from cnn_jax.data.fields import VOID
from cnn_jax.data.fitting import filled_up, scaled_to_fit
from cnn_jax.data.folder import left_out
from cnn_jax.data.image_files import survey
from cnn_jax.data.images import UnreadableImage, decode, in_channels, in_threads
from cnn_jax.data.mask_folders import FoundPairs, Pair, find_pairs
from cnn_jax.data.mask_pixels import Coding, Content, coding_of, content_of, read_raw
from cnn_jax.data.memory_limit import check_side, check_size
from cnn_jax.data.splits import cut_test
from cnn_jax.errors import UserError
from cnn_jax.recipe import Masks
from cnn_jax.user_path import user_path

LARGEST = 512
"""The longer side to which images of different sizes are scaled where nothing else is asked for."""

_ALIKE = 1.1
"""Images whose proportions differ by less than this factor are of one shape."""
_NAMED = 10


@dataclass(frozen=True)
class Read:
    """Images and masks in memory.

    Attributes:
      parts: by name.
      coding: of the classes.
      grey_range: of 16-bit grey images.
      notes: what a user should know of how they were read.
    """

    parts: dict[str, Split]
    coding: Coding
    grey_range: GreyRange | None
    notes: tuple[str, ...]


def load_masks(
    path: str | Path,
    config: Masks,
    *,
    name: str | None = None,
    image_size: int | None = None,
    skip_bad: bool = False,
    grey_range: GreyRange | None = None,
    full_depth: bool = False,
    max_bytes: int | None = None,
    test_part: float | None = None,
) -> Dataset:
    """The data set `masks:PATH`, laid out as `cnn_jax.data.mask_folders.find_pairs` says.

    Images are scaled to fit a common size, their proportions kept, and filled up at the bottom or
    the right with their mean colour; masks stay as they are. Without a test part a tenth of train
    is cut as one.

    Args:
      path: the folder.
      config: which file names the classes, and which values are ignored.
      name: of the set, by default `masks:PATH`.
      image_size: the longer side in pixels of the common size; by default that of the images, or
        of different sizes the one in the middle, at most `LARGEST`.
      skip_bad: leave out images that have no mask or cannot be read.
      grey_range: as of `cnn_jax.data.folder.load_folder`.
      full_depth: as of `cnn_jax.data.folder.load_folder`.
      max_bytes: that images and masks may take, by default half of the memory that is available.
      test_part: of train where there is no test part, as of `cnn_jax.data.splits.cut_test`.

    Raises:
      UserError: the folder is not laid out so, masks do not fit their images or the classes, or
        there is not the memory.
    """
    check_side("--data.image-size", image_size)
    top, name = user_path(path), name or f"masks:{path}"
    found = find_pairs(top, skip_bad=skip_bad)
    table = table_of(top, found, config.classes)
    read = read_pairs(
        found,
        name,
        table,
        config.ignore,
        image_size=image_size,
        skip_bad=skip_bad,
        grey_range=grey_range,
        full_depth=full_depth,
        max_bytes=max_bytes,
    )
    return cut_test(masked(read, name, str(top.resolve())), test_part)


def masked(read: Read, name: str, source: str) -> Dataset:
    """A data set of images and masks.

    Args:
      read: those.
      name: of the set.
      source: where it lies.
    """
    coding = read.coding
    colours = tuple(float(each) for colour in coding.colours for each in colour)
    return Dataset(
        name=name,
        class_names=coding.names,
        train=read.parts["train"],
        validation=read.parts.get("validation"),
        test=read.parts.get("test"),
        source=source,
        notes=read.notes,
        grey_range=read.grey_range,
        facts={
            "mask_values": tuple(map(float, coding.values)),
            **({"colours": colours} if colours else {}),
        },
    )


def table_of(top: Path, found: FoundPairs, file: str | None) -> ClassTable | None:
    """The classes as a file names them, by default one beside the masks; None where there is none.

    Args:
      top: the folder of a set.
      found: what lies in it.
      file: the file, if it is given.

    Raises:
      UserError: it cannot be read.
    """
    if file is not None:
        return read_classes(user_path(file))
    folders = [top, *found.folders, *(folder.parent for folder in found.folders)]
    beside = find_table_file(list(dict.fromkeys(folders)))
    return None if beside is None else read_classes(beside)


def read_pairs(
    found: FoundPairs,
    name: str,
    table: ClassTable | None,
    ignore: Sequence[int] | None,
    *,
    image_size: int | None = None,
    shape: tuple[int, ...] | None = None,
    fill: np.ndarray | None = None,
    channels: int | None = None,
    skip_bad: bool = False,
    grey_range: GreyRange | None = None,
    full_depth: bool = False,
    max_bytes: int | None = None,
) -> Read:
    """Reads images and masks, see `load_masks`.

    Args:
      found: the files.
      name: of the set, for messages.
      table: of the classes, if a file names them.
      ignore: values of which nothing is known.
      image_size: the longer side of the common size.
      shape: height and width of the common size, where a model gives it.
      fill: the colour (c,) beside images, by default the mean of the training part.
      channels: of the images, by default as many as any has.
      skip_bad: leave out what cannot be read.
      grey_range: as of `load_masks`.
      full_depth: as of `load_masks`.
      max_bytes: as of `load_masks`.
    """
    pairs = [(part, pair) for part, each in found.parts.items() for pair in each]
    masks, bad = _read(pairs, lambda pair: content_of(read_raw(pair.mask)))
    training = np.array([part == "train" for part, _ in pairs], bool)
    # A head does not tell whether the pixels are there; what is left out must be known here.
    seen = survey(
        lambda place: pairs[place][1].image,
        training,
        grey_range,
        full_depth=full_depth,
        pixels=skip_bad,
    )
    bad += list(seen.bad.values())
    notes = list(found.notes)
    if bad:
        notes.append(left_out(name, bad, skip_bad))
        kept = [place for place in range(len(pairs)) if place in masks and place not in seen.bad]
        pairs, masks = (
            [pairs[each] for each in kept],
            {at: masks[each] for at, each in enumerate(kept)},
        )
        training = np.array([part == "train" for part, _ in pairs], bool)
        stored = seen.sizes[kept]
    else:
        stored = seen.sizes
    contents: list[Content] = [masks[place] for place in range(len(pairs))]
    given = None if shape is None else (shape[0], shape[1])
    # Of the masks, which are as large as their images: of those an EXIF orientation may turn some.
    upright = np.array([each.shape for each in contents])
    common = given or common_shape(upright[training], image_size)
    largest = tuple(int(side) for side in np.max([each.shape for each in contents], axis=0))
    check_size(name, len(pairs), (*common, int(stored[:, 2].max())), max_bytes)
    check_size(f"the masks of {name}", len(pairs), (*largest, 1), max_bytes)
    reading = seen.depths.grey_range or WHOLE

    def scaled(pair: Pair) -> tuple[tuple[int, int], np.ndarray]:
        image = decode(pair.image, grey_range=reading, full_depth=full_depth)
        return image.shape[:2], scaled_to_fit(image, *common)

    images, broken = _read(pairs, scaled)
    if broken:
        raise UserError("\n".join(map(str, broken)))
    sizes = [images[place][0] for place in range(len(pairs))]
    _check_sizes([pair for _, pair in pairs], sizes, [each.shape for each in contents])
    coding = coding_of([pair.mask for _, pair in pairs], contents, table, ignore)
    held = common == sizes[0] and len(set(sizes)) == 1
    if not held:
        notes.append(_scaled(sizes, common))
    channels = channels or max(image.shape[2] for _, image in images.values())
    pictures = [
        in_channels(images[place][1], channels, str(pair.image))
        for place, (_, pair) in enumerate(pairs)
    ]
    if fill is None:
        fill = mean_colour([pictures[place] for place in np.flatnonzero(training)])
    fill = (np.rint(fill) if pictures[0].dtype.kind == "u" else fill).astype(pictures[0].dtype)
    parts: dict[str, Split] = {}
    for part in found.parts:
        places = [place for place, (of, _) in enumerate(pairs) if of == part]
        if not places:
            raise UserError(f"no image in the {part} part of {name} can be read")
        pixels = np.stack([filled_up(pictures[place], *common, fill) for place in places])
        targets: Any = np.full((len(places), *largest), VOID, np.uint8)
        for at, place in enumerate(places):
            height, width = sizes[place]
            targets[at, :height, :width] = coding.coded(read_raw(pairs[place][1].mask))
        if not held:
            size = np.array([sizes[place] for place in places], np.int32)
            targets = {"mask": targets, "size": size}
        parts[part] = Split(pixels, targets)
    if pages := sum(each.pages for each in contents):
        notes.append(f"of {pages:,} masks with several pages the first is read")
    notes += [*coding.notes, *seen.depths.notes(), *_absent(coding, parts.get("train"))]
    return Read(parts, coding, seen.depths.grey_range, tuple(notes))


def _read(
    pairs: Sequence[tuple[str, Pair]], of: Any
) -> tuple[dict[int, Any], list[UnreadableImage]]:
    """What a function finds in each, by place, and why others cannot be read."""

    def one(pair: Pair) -> Any:
        try:
            return of(pair)
        except UnreadableImage as error:
            return error

    found = in_threads(one, [(pair,) for _, pair in pairs])
    bad = [each for each in found if isinstance(each, UnreadableImage)]
    return {
        place: each for place, each in enumerate(found) if not isinstance(each, UnreadableImage)
    }, bad


def _check_sizes(
    pairs: Sequence[Pair], images: Sequence[tuple[int, int]], masks: Sequence[tuple[int, int]]
) -> None:
    wrong = [
        f"{pair.mask} has {mask[0]}x{mask[1]} pixels, and {pair.image.name} {image[0]}x{image[1]}"
        for pair, image, mask in zip(pairs, images, masks, strict=True)
        if image != mask
    ]
    if wrong:
        more = [f"and {len(wrong) - _NAMED:,} more"] * (len(wrong) > _NAMED)
        raise UserError(
            f"{len(wrong):,} masks have another size (height x width) than their image:\n  "
            + "\n  ".join([*wrong[:_NAMED], *more])
        )


def common_shape(sizes: np.ndarray, longest: int | None = None) -> tuple[int, int]:
    """Height and width that all images are scaled to fit.

    Args:
      sizes: (n, 2) int, of the images.
      longest: the longer of the two; by default that of the images, or of different sizes the one
        in the middle, at most `LARGEST`.

    Returns:
      Of images of one shape its proportions; of others a square.
    """
    heights, widths = sizes[:, 0].astype(float), sizes[:, 1].astype(float)
    if longest is None and (sizes == sizes[0]).all():
        return int(sizes[0, 0]), int(sizes[0, 1])
    longest = longest or min(LARGEST, int(np.median(np.max(sizes, axis=1))))
    ratios = heights / widths
    if ratios.max() > _ALIKE * ratios.min():
        return longest, longest
    ratio = float(np.median(ratios))
    if ratio >= 1:
        return longest, max(1, round(longest / ratio))
    return max(1, round(longest * ratio)), longest


def _scaled(sizes: Sequence[tuple[int, int]], common: tuple[int, int]) -> str:
    least, most = np.min(sizes, axis=0), np.max(sizes, axis=0)
    of = f"{most[0]}x{most[1]}"
    if (least != most).any():
        of = f"{least[0]}x{least[1]} to {of}"
    return (
        f"images of {of} pixels (height x width) are scaled to fit {common[0]}x{common[1]} "
        "(--data.image-size gives the longer side); masks are scored at their own size"
    )


def mean_colour(images: Sequence[np.ndarray]) -> np.ndarray:
    """The mean (c,) float64 over all pixels of images (h, w, c)."""
    total = sum(image.sum(axis=(0, 1), dtype=np.float64) for image in images)
    count = sum(image.shape[0] * image.shape[1] for image in images)
    return np.asarray(total) / count


def _absent(coding: Coding, train: Split | None) -> list[str]:
    if train is None:
        return []
    masks = train.targets["mask"] if isinstance(train.targets, dict) else train.targets
    counts = np.zeros(256, np.int64)
    for mask in masks:
        counts += np.bincount(mask.ravel(), minlength=256)
    absent = [name for place, name in enumerate(coding.names) if not counts[place]]
    if not absent:
        return []
    told = ", ".join(absent[:_NAMED]) + ", ..." * (len(absent) > _NAMED)
    return [f"no training mask has a pixel of {len(absent)} of {len(coding.names)} classes: {told}"]
