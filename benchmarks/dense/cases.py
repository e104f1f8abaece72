"""Which nets are measured, on what: known to every process, and so without any framework."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

BATCHES = 2
"""Different batches that training goes through in turn."""

LEARNING_RATE = 0.001
MOMENTUM = 0.9
BOXES = 8
"""In each image."""


@dataclass(frozen=True)
class Case:
    """A net with its batch.

    Attributes:
      kind: what it tells: the class of each of the `pixels`, or `boxes`.
      model: its name in our registry.
      batch: images in a step.
      options: of our model that differ from its own.
      theirs: of torchvision's.
    """

    kind: str
    model: str
    batch: int
    options: dict[str, Any] = field(default_factory=dict)
    theirs: dict[str, Any] = field(default_factory=dict)

    @property
    def classes(self) -> int:
        """How many there are: as many as CamVid has, or VOC."""
        return 11 if self.kind == "pixels" else 20

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the images in pixels: CamVid's at half size, or a square."""
        return (180, 240) if self.kind == "pixels" else (320, 320)


CASES: dict[str, Case] = {
    "unet32": Case("pixels", "unet32", 8),
    # Without the auxiliary head, and without dropout: the frameworks draw different numbers.
    "fcn_resnet50": Case("pixels", "fcn_resnet50", 2, {"aux_head": False, "dropout": 0.0}),
    "fcos": Case("boxes", "fcos_resnet50_fpn", 2, theirs={"score_thresh": 0.05}),
    "retinanet": Case("boxes", "retinanet_resnet50_fpn", 2, theirs={"detections_per_img": 100}),
    "faster_rcnn": Case("boxes", "fasterrcnn_resnet50_fpn", 2),
}
"""By the name that is asked for. The thresholds and numbers of proposals are torchvision's."""


def images_of(case: Case) -> np.ndarray:
    """Images (BATCHES b, h, w, 3) float32, always the same."""
    shape = (BATCHES * case.batch, *case.sides, 3)
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def pixels_of(case: Case) -> np.ndarray:
    """The class (BATCHES b, h, w) int32 of each pixel."""
    shape = (BATCHES * case.batch, *case.sides)
    return np.random.default_rng(1).integers(0, case.classes, shape, np.int32)


def boxes_of(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (BATCHES b, BOXES, 4) float32, top, left, bottom, right, and their classes int32."""
    random, count = np.random.default_rng(1), BATCHES * case.batch
    sides = random.uniform(16, 0.6 * min(case.sides), (count, BOXES, 2))
    low = random.uniform(0, 1, (count, BOXES, 2)) * (np.array(case.sides) - sides)
    boxes = np.concatenate([low, low + sides], axis=-1).astype(np.float32)
    return boxes, random.integers(0, case.classes, (count, BOXES), np.int32)


def read(folder: Path, net: str, weights: str) -> dict[str, np.ndarray]:
    """The initial weights that `initial` has written, by `paths` or by PyTorch's names."""
    with np.load(folder / f"{net}_{weights}.npz") as found:
        return dict(found)
