"""What a data set holds, in numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnn_jax.data.dataset import Dataset, Examples, Split, input_kind
from cnn_jax.data.parts import parts_of
from cnn_jax.data.sound_files import lengths as sound_lengths
from cnn_jax.data.statistics import (
    channel_mean_std,
    class_counts,
    clip_mean_std,
    scaled_mean_std,
    series_lengths,
    series_mean_std,
    target_facts,
    value_range,
)
from cnn_jax.data.streaming import mean_std
from cnn_jax.data.video_files import lengths as video_lengths
from cnn_jax.data.vocabulary import lengths


def describe(dataset: Dataset) -> dict[str, Any]:
    """Facts of a data set as JSON holds them.

    Returns:
      name; source (where it lies); notes; image_shape [h, w, c]; class_names (of classes, tags or
      numbers); examples (of each split); class_counts (of each split, in the order of the names:
      how many examples are of a class, or have a tag; of boxes how many there are, of masks how
      many pixels), or numbers (of each split, for each its mean, std, least and most); mean and
      std (of each channel of the training images, in their own values). Of series it is
      series_shape [t, c] and no image_shape, and lengths has the least and greatest of each split.
      Of texts neither image_shape nor mean and std, but vocabulary (how many words there are), and
      lengths (least and most) and mean_lengths of each split in words. Of sounds the rate, and the
      same lengths in seconds. Of videos frame_shape [h, w, c], and the lengths in frames.
    """
    if input_kind(dataset.train) == "tokens":
        return _of_texts(dataset)
    if input_kind(dataset.train) == "sound":
        return _of_sounds(dataset)
    if input_kind(dataset.train) == "clip":
        return _of_videos(dataset)
    parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    splits = {name: split for name, split in parts.items() if split is not None}
    notes = list(dataset.notes)
    values: tuple[float, float] = (0, 255)
    shape: dict[str, Any] = {"image_shape": list(dataset.train.image_shape)}
    if input_kind(dataset.train) == "series":
        assert isinstance(dataset.train, Split)
        values = (0, 1)
        mean, std = series_mean_std(dataset.train.inputs)
        shape = {
            "series_shape": list(dataset.train.image_shape),
            "lengths": {
                name: [int(found.min()), int(found.max())]
                for name, split in splits.items()
                if isinstance(split, Split)
                for found in [series_lengths(split.inputs)]
            },
        }
    elif isinstance(dataset.train, Split):
        values = value_range(dataset.train.images)
        if dataset.train.images.dtype == np.uint8:
            mean, std = channel_mean_std(dataset.train.images)
        else:
            mean, std = scaled_mean_std(dataset.train.images, values)
    else:
        mean, std, how = mean_std(dataset.name, dataset.train)
        notes.append(f"means and deviations are {how}")
    low, scale = values[0], values[1] - values[0]
    return {
        "name": dataset.name,
        "source": dataset.source,
        "notes": notes,
        **shape,
        "class_names": list(dataset.class_names),
        "examples": {name: len(split) for name, split in splits.items()},
        **_of_targets(dataset, splits),
        "mean": (low + mean * scale).tolist(),
        "std": (std * scale).tolist(),
    }


def _of_texts(dataset: Dataset) -> dict[str, Any]:
    return _of_lengths(dataset, {"vocabulary": len(dataset.words)}, lengths, 1)


def _of_sounds(dataset: Dataset) -> dict[str, Any]:
    return _of_lengths(dataset, {"rate": dataset.rate}, sound_lengths, dataset.rate)


def _of_videos(dataset: Dataset) -> dict[str, Any]:
    assert isinstance(dataset.train, Split)
    mean, std = clip_mean_std(dataset.train.inputs)
    facts = {"frame_shape": list(dataset.train.image_shape[1:])}
    found = _of_lengths(dataset, facts, video_lengths, 1)
    return {**found, "mean": (255 * mean).tolist(), "std": (255 * std).tolist()}


def _of_lengths(
    dataset: Dataset, facts: dict[str, Any], counted: Callable[[np.ndarray], np.ndarray], unit: int
) -> dict[str, Any]:
    """Facts of examples of different lengths, which `counted` tells of inputs (n, t)."""
    splits = {name: split for name, split in parts_of(dataset).items() if isinstance(split, Split)}
    found = {name: counted(split.inputs) for name, split in splits.items()}

    def told(value: Any) -> float:
        return int(value) if unit == 1 else round(float(value) / unit, 3)

    return {
        "name": dataset.name,
        "source": dataset.source,
        "notes": list(dataset.notes),
        **facts,
        "lengths": {name: [told(each.min()), told(each.max())] for name, each in found.items()},
        "mean_lengths": {
            name: round(float(each.mean()) / unit, 1 if unit == 1 else 3)
            for name, each in found.items()
        },
        "class_names": list(dataset.class_names),
        "examples": {name: len(split) for name, split in splits.items()},
        **_of_targets(dataset, dict(splits)),
    }


def _of_targets(dataset: Dataset, splits: dict[str, Examples]) -> dict[str, Any]:
    classes = len(dataset.class_names)
    facts = {name: target_facts(split.targets, classes) for name, split in splits.items()}
    if "mean" in facts["train"]:
        numbers = {
            name: [
                dict(zip(found, each, strict=True)) for each in zip(*found.values(), strict=True)
            ]
            for name, found in facts.items()
        }
        return {"numbers": numbers}
    for what in ("boxes", "pixels", "there"):
        if what in facts["train"]:
            counts = {name: [int(each) for each in found[what]] for name, found in facts.items()}
            return {"class_counts": counts}
    return {
        "class_counts": {
            name: class_counts(split.labels, classes).tolist() for name, split in splits.items()
        }
    }
