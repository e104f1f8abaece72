"""Exact statistics of images and labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnn_jax.data.fields import field_of


def channel_mean_std(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and (population) deviation of each channel over all pixels, on the scale 0 to 1.

    They are sums of integers, counted by pixel value, so they are exact to the last division.

    Args:
      images: (n, h, w, c) uint8.

    Returns:
      Two arrays (c,) float64.
    """
    values = np.arange(256, dtype=np.float64)
    means, deviations = [], []
    for channel in range(images.shape[-1]):
        counts = np.zeros(256, np.int64)
        for start in range(0, len(images), 4096):
            part = images[start : start + 4096, ..., channel]
            counts += np.bincount(part.ravel(), minlength=256)
        total = counts.sum()
        mean = (counts @ values) / total
        means.append(mean)
        deviations.append(np.sqrt((counts @ (values - mean) ** 2) / total))
    return np.array(means) / 255, np.array(deviations) / 255


def class_counts(labels: np.ndarray, classes: int) -> np.ndarray:
    """How many examples each class has, (n,) int -> (k,) int."""
    return np.bincount(labels, minlength=classes)


def target_facts(targets: Any) -> dict[str, tuple[float, ...]]:
    """What a task has to know of the training targets besides their fields.

    Args:
      targets: a tree of arrays (n, ...).

    Returns:
      Of numbers the `mean`, the (population) deviation `std`, `least` and `most` of each; of tags
      how many examples each is `there` in, and how many it is `known` of; else nothing.
    """
    if isinstance(targets, Mapping):
        return {}
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
    else:
        return {}
    return {name: tuple(float(each) for each in values) for name, values in found.items()}
