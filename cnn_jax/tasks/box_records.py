"""What is kept of detections and of truth, image by image, to be judged without the net."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class BoxRecords(NamedTuple):
    """Padded arrays of n images, boxes in pixels of the files.

    Attributes:
      boxes: (n, d, 4) float32, told: top, left, bottom, right.
      scores: (n, d) float32.
      classes: (n, d) int32, -1 where nothing is told.
      true_boxes: (n, m, 4) float32.
      true_classes: (n, m) int32, -1 where there is no box.
      true_flags: (n, m) int8, of `cnn_jax.data.boxed_set.CROWD` and `DIFFICULT`.
      true_areas: (n, m) float32, in pixels.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    true_boxes: np.ndarray
    true_classes: np.ndarray
    true_flags: np.ndarray
    true_areas: np.ndarray

    @classmethod
    def of(cls, records: Mapping[str, np.ndarray]) -> BoxRecords:
        """Those of a dictionary by their names."""
        return cls(**{name: np.asarray(records[name]) for name in cls._fields})
