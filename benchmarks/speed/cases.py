"""Which nets are measured, on what: known to every process, and so without any framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

BATCHES = 4
"""Different batches that training goes through in turn."""

LEARNING_RATE = 0.001
MOMENTUM = 0.9

MEAN, STD = 0.5, 0.25
"""Of all channels, on the scale 0 to 1; every implementation normalises within its step."""


@dataclass(frozen=True)
class Case:
    """A net with its images and batch.

    Attributes:
      model: its name in our registry.
      side: height and width of the images in pixels.
      channels: of the images.
      classes: number of logits.
      batch: examples in a step.
      options: of our model, where they are not the default ones; the other implementations are
        written for these.
    """

    model: str
    side: int
    channels: int
    classes: int
    batch: int
    options: Mapping[str, Any] = field(default_factory=dict)


CASES: dict[str, Case] = {
    "simple_cnn": Case("simple_cnn", 28, 1, 10, 128),
    "resnet20": Case("resnet20", 32, 3, 10, 128),
    "resnet18": Case("resnet18", 32, 3, 10, 64, {"stem": "small"}),
    "airbench94": Case("airbench94", 32, 3, 10, 512),
    # Dropout is left out, since the frameworks draw different numbers.
    "mobilenet_v2": Case("mobilenet_v2", 224, 3, 1000, 16, {"dropout": 0.0}),
    "resnet50": Case("resnet50", 224, 3, 1000, 16),
}
"""By the name that is asked for."""


@dataclass(frozen=True)
class Inputs:
    """What every implementation of a net is given.

    Attributes:
      images: (BATCHES * b, h, w, c) uint8.
      labels: (BATCHES * b,) int32.
      weights: initial values, by the paths of our model or by PyTorch's names.
    """

    images: np.ndarray
    labels: np.ndarray
    weights: dict[str, np.ndarray]

    @classmethod
    def read(cls, folder: Path, net: str, weights: str) -> Inputs:
        """What `benchmarks.speed.inputs.write` has written.

        Args:
          folder: where it lies.
          net: a name of `CASES`.
          weights: `paths` or `torch`.
        """
        with np.load(folder / f"{net}_images.npz") as found:
            images, labels = found["images"], found["labels"]
        with np.load(folder / f"{net}_{weights}.npz") as found:
            return cls(images, labels, dict(found))


def draw_images(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Images (BATCHES * b, h, w, c) uint8 and labels int32, always the same."""
    random = np.random.default_rng(0)
    count = BATCHES * case.batch
    images = random.integers(0, 256, (count, case.side, case.side, case.channels), np.uint8)
    return images, random.integers(0, case.classes, count, np.int32)
