"""Which detectors are measured, on what: known to every process, and so without any framework."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

BATCHES = 2
"""Different batches that training goes through in turn."""

LEARNING_RATE = 0.001
MOMENTUM = 0.9
CLASSES = 20
SIDES = (320, 320)
"""Height and width of the images in pixels."""

BOXES = 8
"""In each image."""


@dataclass(frozen=True)
class Case:
    """A detector with its batch.

    Attributes:
      model: its name in our registry.
      batch: images in a step.
      options: of our model that differ from its own.
      theirs: of torchvision's.
    """

    model: str
    batch: int
    options: dict[str, Any] = field(default_factory=dict)
    theirs: dict[str, Any] = field(default_factory=dict)


CASES: dict[str, Case] = {
    "fcos": Case("fcos_resnet50_fpn", 2, theirs={"score_thresh": 0.05}),
    "retinanet": Case("retinanet_resnet50_fpn", 2, theirs={"detections_per_img": 100}),
    "faster_rcnn": Case("fasterrcnn_resnet50_fpn", 2),
}
"""By the name that is asked for. The thresholds and numbers of proposals are torchvision's."""


def draw(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (BATCHES b, h, w, 3), boxes (.., BOXES, 4) float32 and classes (.., BOXES) int32.

    Boxes are top, left, bottom, right, always the same.
    """
    random = np.random.default_rng(0)
    count = BATCHES * case.batch
    images = random.standard_normal((count, *SIDES, 3), np.float32)
    sides = random.uniform(16, 0.6 * min(SIDES), (count, BOXES, 2))
    low = random.uniform(0, 1, (count, BOXES, 2)) * (np.array(SIDES) - sides)
    boxes = np.concatenate([low, low + sides], axis=-1).astype(np.float32)
    return images, boxes, random.integers(0, CLASSES, (count, BOXES), np.int32)


def read(folder: Path, net: str, weights: str) -> dict[str, np.ndarray]:
    """The initial weights that `__main__` has written, by `paths` or by PyTorch's names."""
    with np.load(folder / f"{net}_{weights}.npz") as found:
        return dict(found)
