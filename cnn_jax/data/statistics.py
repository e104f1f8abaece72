"""Exact statistics of images and labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnn_jax.data.fields import field_of
from cnn_jax.data.video_files import lengths


def channel_mean_std(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and (population) deviation of each channel over all pixels, on the scale 0 to 1.

    Args:
      images: (n, h, w, c) uint8.

    Returns:
      Two arrays (c,) float64.
    """
    return mean_std_of(value_counts(images))


def clip_mean_std(clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same of videos (n, t, h, w, c) uint8, without what stands after their ends."""
    counts = np.zeros((clips.shape[-1], 256), np.int64)
    for clip, length in zip(clips, lengths(clips), strict=True):
        counts += value_counts(clip[:length])
    return mean_std_of(counts)


def value_counts(images: np.ndarray) -> np.ndarray:
    """How many pixels have each value, (n, h, w, c) uint8 -> (c, 256) int64."""
    counts = np.zeros((images.shape[-1], 256), np.int64)
    for channel in range(images.shape[-1]):
        for start in range(0, len(images), 4096):
            part = images[start : start + 4096, ..., channel]
            counts[channel] += np.bincount(part.ravel(), minlength=256)
    return counts


def mean_std_of(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same as `channel_mean_std`, of the counts (c, 256) int of values.

    They are summed as whole numbers, of which floats are made by the last division and root: the
    result is the same on every machine.
    """
    means, deviations = [], []
    for channel in counts.tolist():
        # Python's own numbers: they have no largest, and a division of them rounds once.
        total = sum(channel)
        first = sum(count * value for value, count in enumerate(channel))
        second = sum(count * value**2 for value, count in enumerate(channel))
        means.append(first / (255 * total))
        deviations.append(math.sqrt((total * second - first**2) / (255 * total) ** 2))
    return np.array(means), np.array(deviations)


def value_range(images: np.ndarray) -> tuple[float, float]:
    """The values that are taken for black and white: 0 and 1 where images are prepared.

    Of uint8 0 and 255. Of uint16 0 and the greatest value of as many bits as the images need, 12
    for values to 3,800. Of float32 0 and 1 if all values lie between, else the least and greatest.

    Args:
      images: (n, h, w, c), those to learn from.
    """
    if images.dtype == np.uint8:
        return 0, 255
    low, high = float(images.min()), float(images.max())
    if images.dtype == np.uint16:
        return 0, 2.0 ** max(1, int(high).bit_length()) - 1
    if low >= 0 and high <= 1:
        return 0, 1
    return low, high if high > low else low + 1


def series_mean_std(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and (population) deviation (c,) of each channel over all times, in float64.

    Args:
      series: (n, t, c) float32, not a number after the end of a series.
    """
    values = series.reshape(-1, series.shape[-1]).astype(np.float64)
    return np.nanmean(values, axis=0), np.nanstd(values, axis=0)


def series_lengths(series: np.ndarray) -> np.ndarray:
    """How many times each of the series (n, t, c) has before its end, (n,) int."""
    return np.sum(~np.isnan(series[..., 0]), axis=1)


def scaled_mean_std(
    images: np.ndarray, values: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and (population) deviation (c,) of each channel of images of any depth.

    Args:
      images: (n, h, w, c) uint16 or float32.
      values: those that are 0 and 1 on the scale of what is returned.
    """
    low, high = values
    axes, count = (0, 1, 2), images[..., 0].size
    mean = images.sum(axis=axes, dtype=np.float64) / count
    total = np.zeros(images.shape[-1])
    for start in range(0, len(images), 1024):
        total += ((images[start : start + 1024] - mean) ** 2).sum(axis=axes)
    return (mean - low) / (high - low), np.sqrt(total / count) / (high - low)


def class_counts(labels: np.ndarray, classes: int) -> np.ndarray:
    """How many examples each class has, (n,) int -> (k,) int."""
    return np.bincount(labels, minlength=classes)


def target_facts(targets: Any, classes: int = 0) -> dict[str, tuple[float, ...]]:
    """What a task has to know of the training targets besides their fields.

    Args:
      targets: a tree of arrays (n, ...).
      classes: how many there are, of masks.

    Returns:
      Of numbers the `mean`, the (population) deviation `std`, `least` and `most` of each; of tags
      how many examples each is `there` in, and how many it is `known` of; of masks how many
      `pixels` each class has, and how many there are `beside` it, in masks where it is, the class
      among them; of boxes how many `boxes` each class has; else nothing.
    """
    if isinstance(targets, Mapping) and "box_class" in targets:
        labels = targets["box_class"][targets["there"]]
        return {"boxes": tuple(map(float, class_counts(labels, classes)))}
    if isinstance(targets, Mapping):
        return mask_facts(targets["mask"], classes) if "mask" in targets else {}
    kind = field_of(targets).kind
    if kind == "number":
        values = targets.astype(np.float64)
        found = {
            "mean": values.mean(axis=0),
            "std": values.std(axis=0),
            "least": values.min(axis=0),
            "most": values.max(axis=0),
        }
    elif kind == "tags":
        found = {"there": np.sum(targets == 1, axis=0), "known": np.sum(targets >= 0, axis=0)}
    elif kind == "mask":
        return mask_facts(targets, classes)
    else:
        return {}
    return {name: tuple(float(each) for each in values) for name, values in found.items()}


def unlearnt(targets: Any, class_names: Sequence[str]) -> list[str]:
    """The classes or tags that no training example is of; of numbers and masks none.

    Args:
      targets: as of `target_facts`.
      class_names: the k classes or tags.
    """
    facts = target_facts(targets, len(class_names))
    counts = facts.get("boxes", facts.get("there"))
    if isinstance(targets, np.ndarray) and field_of(targets).kind == "class":
        counts = tuple(map(float, class_counts(targets, len(class_names))))
    if counts is None:
        return []
    return [name for name, count in zip(class_names, counts, strict=True) if not count]


def mask_facts(masks: np.ndarray, classes: int) -> dict[str, tuple[float, ...]]:
    """See `target_facts`, of masks (n, h, w) uint8."""
    pixels, beside = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    for mask in masks:
        found = np.bincount(mask.ravel(), minlength=classes)[:classes]
        pixels += found
        beside += np.where(found > 0, found.sum(), 0)
    return {"pixels": tuple(map(float, pixels)), "beside": tuple(map(float, beside))}
