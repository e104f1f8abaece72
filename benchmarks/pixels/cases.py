"""Which nets are measured, on what: known to every process, and so without any framework."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

BATCHES = 2
"""Different batches that training goes through in turn."""

LEARNING_RATE = 0.001
MOMENTUM = 0.9
CLASSES = 11
SIDES = (180, 240)
"""Height and width of the images in pixels: CamVid's at half size."""


@dataclass(frozen=True)
class Case:
    """A net with its batch.

    Attributes:
      model: its name in our registry.
      batch: images in a step.
    """

    model: str
    batch: int


CASES: dict[str, Case] = {
    "unet32": Case("unet32", 8),
    # Without the auxiliary head, and without dropout: the frameworks draw different numbers.
    "fcn_resnet50": Case("fcn_resnet50", 2),
}
"""By the name that is asked for; `nets_torch` has the same nets."""

OPTIONS = {"unet32": {}, "fcn_resnet50": {"aux_head": False, "dropout": 0.0}}
"""Of our models."""


def draw(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Images (BATCHES b, h, w, 3) float32 and the classes of their pixels, always the same."""
    random = np.random.default_rng(0)
    shape = (BATCHES * case.batch, *SIDES)
    images = random.standard_normal((*shape, 3), np.float32)
    return images, random.integers(0, CLASSES, shape, np.int32)


def read(folder: Path, net: str, weights: str) -> dict[str, np.ndarray]:
    """The initial weights that `__main__` has written, by `paths` or by PyTorch's names."""
    with np.load(folder / f"{net}_{weights}.npz") as found:
        return dict(found)
