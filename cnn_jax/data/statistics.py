"""Exact statistics of images and labels."""

from __future__ import annotations

import numpy as np


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
