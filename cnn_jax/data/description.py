"""What a data set holds, in numbers."""

from __future__ import annotations

from typing import Any

from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.statistics import channel_mean_std, class_counts
from cnn_jax.data.streaming import mean_std


def describe(dataset: Dataset) -> dict[str, Any]:
    """Facts of a data set as JSON holds them.

    Returns:
      name; source (where it lies); notes; image_shape [h, w, c]; class_names; examples (of
      each split); class_counts (of each split, in the order of the names); mean and std (of
      each channel of the training images, on the scale 0 to 255).
    """
    parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    splits = {name: split for name, split in parts.items() if split is not None}
    notes = list(dataset.notes)
    if isinstance(dataset.train, Split):
        mean, std = channel_mean_std(dataset.train.images)
    else:
        mean, std, how = mean_std(dataset.name, dataset.train)
        notes.append(f"means and deviations are {how}")
    classes = len(dataset.class_names)
    return {
        "name": dataset.name,
        "source": dataset.source,
        "notes": notes,
        "image_shape": list(dataset.train.image_shape),
        "class_names": list(dataset.class_names),
        "examples": {name: len(split) for name, split in splits.items()},
        "class_counts": {
            name: class_counts(split.labels, classes).tolist() for name, split in splits.items()
        },
        "mean": (mean * 255).tolist(),
        "std": (std * 255).tolist(),
    }
