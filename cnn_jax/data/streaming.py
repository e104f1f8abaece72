"""Data sets that are read from disk as they are needed, instead of being held in memory."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnn_jax.data.dataset import Dataset, Examples
from cnn_jax.data.folder import find_files
from cnn_jax.data.sources import Source
from cnn_jax.data.splits import cut_test
from cnn_jax.data.statistics import channel_mean_std
from cnn_jax.data.streamed import StreamedSplit, View
from cnn_jax.errors import UserError
from cnn_jax.recipe import Data
from cnn_jax.user_path import user_path

STREAMED_FROM = 8 * 10**9
"""Bytes of pixels from which on a set streams where the recipe does not say. It is a fixed number:
how much memory a machine has must not decide what is learnt."""

STATISTICS_EXAMPLES = 1024
"""Training images that means and deviations are taken over where the set streams."""

PUBLISHED = {"imagenet2012": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))}
"""Means and deviations of the channels that others use for a set, on the scale 0 to 1."""

_CROPS = ("random_crop", "central_crop", "evaluation_size")
_IN_MEMORY_ONLY = ("digits", "shapes")
_SAMPLE_SEED = 20_261


def streamed(config: Data, data_dir: Path | None = None) -> Dataset | None:
    """The data set of a recipe, if it streams; None if it is to be held in memory.

    It streams where `streaming` says so, where parts are cut from the images that are on disk, and
    else from `STREAMED_FROM` bytes of pixels on.

    Args:
      config: its name, sizes and crops are used.
      data_dir: where TFDS sets lie.

    Raises:
      UserError: the set cannot stream, or not so.
    """
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
    kind, _, path = config.name.partition(":")
    if kind in _IN_MEMORY_ONLY:
        if wanted:
            raise UserError(
                f"{config.name} does not lie on disk as images, so it cannot stream; leave out "
                f"--data.{crops[0].replace('_', '-') if crops else 'streaming'}"
            )
        return None
    if not wanted and kind == "folder" and config.image_size is None:
        return None
    if wanted:
        _check(config)
    found = _folder(path) if kind == "folder" else _records(config.name, data_dir)
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
    if config.skip_bad:
        raise UserError(
            f"{config.name} streams: which of its images cannot be read turns out while it trains, "
            "so that --data.skip-bad cannot leave them out; mend or remove them"
        )
    training, evaluation = views(config, (height, width, channels))
    classes = len(found.class_names)
    parts = {
        name: StreamedSplit(part, classes, training, evaluation)
        for name, part in found.parts.items()
    }
    dataset = Dataset(
        name=config.name,
        class_names=found.class_names,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        source=found.source,
        notes=found.notes,
    )
    return dataset if dataset.test is not None else cut_test(dataset)


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
    mean, std = channel_mean_std(train.decoded(sample).images)
    return mean, std, f"of {count:,} of the training images, chosen by a fixed rule"


class _Found(NamedTuple):
    class_names: tuple[str, ...]
    parts: dict[str, Source]
    shape: tuple[int | None, int | None, int]
    source: str
    notes: tuple[str, ...]


def _folder(path: str) -> _Found:
    files = find_files(path)
    source = str(user_path(path).resolve())
    # Which of them are grey would take reading them all.
    return _Found(files.class_names, files.parts, (None, None, 3), source, files.notes)


def _records(name: str, data_dir: Path | None) -> _Found:
    # Importing TFDS takes a second, which runs on other data should not wait for.
    from cnn_jax.data.tfds_reader import find_tfds

    records = find_tfds(name, data_dir)
    return _Found(records.class_names, records.parts, records.shape, records.source, records.notes)


def views(config: Data, shape: tuple[int, int, int]) -> tuple[View, View]:
    """How images are prepared to learn from, and for evaluation.

    Args:
      config: its crops and sizes are used.
      shape: (h, w, c) of those to learn from.
    """
    height, width, channels = shape
    training = View(
        shape,
        area=config.random_crop,
        ratio=config.random_crop_ratio,
        part=config.central_crop,
        interpolation=config.interpolation,
    )
    if config.evaluation_size is not None:
        height = width = config.evaluation_size
    evaluation = View(
        (height, width, channels), part=config.central_crop, interpolation=config.interpolation
    )
    return training, evaluation


def _check(config: Data) -> None:
    """Checks the sizes and crops."""
    for flag, size in (
        ("image-size", config.image_size),
        ("evaluation-size", config.evaluation_size),
    ):
        if size is not None and size < 1:
            raise UserError(f"--data.{flag} {size} must be at least 1")
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
