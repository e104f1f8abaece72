"""Data sets that are read from disk as they are needed, instead of being held in memory."""

from __future__ import annotations

import dataclasses
import math
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnn_jax.data.arrays import Kind
from cnn_jax.data.dataset import Dataset, Examples
from cnn_jax.data.depth import WHOLE
from cnn_jax.data.folder import FoundFiles, find_files
from cnn_jax.data.memory_limit import check_side
from cnn_jax.data.readable_files import readable
from cnn_jax.data.splits import cut_test
from cnn_jax.data.statistics import mean_std_of, value_counts
from cnn_jax.data.streamed import StreamedSplit, View
from cnn_jax.data.table_set import find_table
from cnn_jax.errors import UserError
from cnn_jax.recipe import Data

if TYPE_CHECKING:
    from cnn_jax.data.tfds_reader import FoundRecords

STREAMED_FROM = 8 * 10**9
"""Bytes of pixels from which on a set streams where the recipe does not say. It is a fixed number:
how much memory a machine has must not decide what is learnt."""

STATISTICS_EXAMPLES = 1024
"""Training images that means and deviations are taken over where the set streams."""

PUBLISHED = {"imagenet2012": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))}
"""Means and deviations of the channels that others use for a set, on the scale 0 to 1."""

_SAMPLE_BYTES = 2**28
_CROPS = ("random_crop", "central_crop", "evaluation_size")
_IN_MEMORY_ONLY = (
    *(
        "coco",
        "digits",
        "masks",
        "moving_digits",
        "npz",
        "series",
        "shapes",
        "sound",
        "text",
        "ucr",
        "video",
        "voc",
        "yolo",
    ),
)
_FILES = ("csv", "folder")
_SAMPLE_SEED = 20_261


def streamed(config: Data, data_dir: Path | None = None, kind: Kind = "class") -> Dataset | None:
    """The data set of a recipe, if it streams; None if it is to be held in memory.

    It streams where `streaming` says so, where parts are cut from the images that are on disk, and
    else from `STREAMED_FROM` bytes of pixels on.

    Args:
      config: its name, sizes and crops are used.
      data_dir: where TFDS sets lie.
      kind: of the targets, see `cnn_jax.data.fields`.

    Raises:
      UserError: the set cannot stream, or not so.
    """
    check_side("--data.image-size", config.image_size)
    check_side("--data.evaluation-size", config.evaluation_size)
    crops = [name for name in _CROPS if getattr(config, name) is not None]
    if config.streaming is False:
        if crops:
            raise UserError(
                f"--data.{crops[0].replace('_', '-')} needs the images as they are on disk: leave "
                "out --data.streaming False"
            )
        return None
    wanted = config.streaming or bool(crops)
    if config.random_crop is None and config.random_crop_ratio != Data.random_crop_ratio:
        raise UserError(
            "--data.random-crop-ratio is of the parts of --data.random-crop, which is not given"
        )
    form, _, path = config.name.partition(":")
    if form in _IN_MEMORY_ONLY:
        if wanted:
            raise UserError(
                f"{config.name} is held in memory and cannot stream; leave out "
                f"--data.{crops[0].replace('_', '-') if crops else 'streaming'}"
            )
        return None
    if not wanted and form in _FILES and config.image_size is None:
        return None
    if wanted:
        _check(config)
    _check_resizer(config)
    found: FoundFiles | FoundRecords
    if form == "csv":
        found = find_table(path, config.columns, kind)
    elif kind != "class":
        return None  # which is refused where it is read
    else:
        found = find_files(path) if form == "folder" else _records(config.name, data_dir)
    height, width, channels = found.shape
    if config.image_size is not None:
        height = width = config.image_size
    if height is None or width is None:
        if not wanted:
            return None
        raise UserError(
            f"the images of {config.name} may differ in size; give the side they are to have, such "
            "as --data.image-size 224"
        )
    examples = sum(len(part) for part in found.parts.values())
    if not wanted and examples * height * width * channels < STREAMED_FROM:
        return None
    sources, grey_range, notes = found.parts, None, found.notes
    if isinstance(found, FoundFiles):
        left = readable(
            found.parts,
            config.name,
            found.class_names,
            skip_bad=config.skip_bad,
            grey_range=config.grey_range,
            full_depth=config.full_depth,
        )
        sources, grey_range, notes = left.parts, left.grey_range, found.notes + left.notes
    elif config.skip_bad:
        raise UserError(
            f"--data.skip-bad is for folders of images, and {config.name} streams from records; "
            "leave it out"
        )
    config = dataclasses.replace(config, grey_range=grey_range)
    training, evaluation = views(config, (height, width, channels))
    classes = len(found.class_names)
    parts = {
        name: StreamedSplit(part, classes, training, evaluation) for name, part in sources.items()
    }
    dataset = Dataset(
        name=config.name,
        class_names=found.class_names,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        source=found.source,
        notes=notes,
        grey_range=grey_range,
    )
    return cut_test(dataset, config.test)


def mean_std(name: str, train: Examples) -> tuple[np.ndarray, np.ndarray, str]:
    """Mean and deviation (c,) of each channel of a streamed set, on the scale 0 to 1.

    Those that are published, or of a fixed sample of the training images, prepared as for
    evaluation.

    Args:
      name: of the set.
      train: its training part.

    Returns:
      The two, and in words what they are of.
    """
    if name in PUBLISHED and train.image_shape[2] == 3:
        published = PUBLISHED[name]
        return np.array(published[0]), np.array(published[1]), f"those published for {name}"
    count = min(STATISTICS_EXAMPLES, len(train))
    bits = np.random.PCG64(_SAMPLE_SEED).random_raw(len(train))
    sample = np.sort(np.argsort(bits, kind="stable")[:count])
    counts: np.ndarray | int = 0
    # Not all at once, which of large images would fill the memory.
    at_once = max(1, _SAMPLE_BYTES // math.prod(train.image_shape))
    for start in range(0, count, at_once):
        counts = counts + value_counts(train.decoded(sample[start : start + at_once]).images)
    mean, std = mean_std_of(np.asarray(counts))
    return mean, std, f"of {count:,} of the training images, chosen by a fixed rule"


def _records(name: str, data_dir: Path | None) -> FoundRecords:
    # Importing TFDS takes a second, which runs on other data should not wait for.
    from cnn_jax.data.tfds_reader import find_tfds

    return find_tfds(name, data_dir)


def views(config: Data, shape: tuple[int, ...]) -> tuple[View, View]:
    """How images are prepared to learn from, and for evaluation.

    Args:
      config: its crops and sizes are used.
      shape: (h, w, c) of those to learn from.
    """
    height, width, channels = shape
    training = View(
        (height, width, channels),
        area=config.random_crop,
        ratio=config.random_crop_ratio,
        part=config.central_crop,
        interpolation=config.interpolation,
        resizer=config.resizer,
        grey_range=config.grey_range or WHOLE,
    )
    if config.evaluation_size is not None:
        height = width = config.evaluation_size
    evaluation = dataclasses.replace(training, shape=(height, width, channels), area=None)
    return training, evaluation


def _check(config: Data) -> None:
    """Checks the crops."""
    for flag, pair, most in (
        ("random-crop", config.random_crop, 1.0),
        ("random-crop-ratio", config.random_crop_ratio, math.inf),
    ):
        if pair is not None and not 0 < pair[0] <= pair[1] <= most:
            what = "parts of an image's area" if most == 1 else "widths over heights"
            raise UserError(
                f"--data.{flag} {pair[0]:g} {pair[1]:g} must be two {what} above 0"
                f"{' and at most 1' if most == 1 else ''}, the smaller first"
            )
    part = config.central_crop
    if part is not None and not 0 < part <= 1:
        raise UserError(f"--data.central-crop {part:g} must be above 0 and at most 1")


def _check_resizer(config: Data) -> None:
    if config.resizer == "pillow":
        return
    if config.interpolation != "bilinear":
        raise UserError(
            f"--data.resizer simd is bilinear; for --data.interpolation {config.interpolation} "
            "give --data.resizer pillow"
        )
    if find_spec("cykooz_resizer") is None:
        raise UserError(
            "--data.resizer simd needs the package cykooz-resizer: pip install 'cnn-jax[simd]'; or "
            "give --data.resizer pillow, whose values may differ by one"
        )
