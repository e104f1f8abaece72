"""What a step sees."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax


class Batch(NamedTuple):
    """Examples of one step.

    Attributes:
      inputs: a tree of arrays (b, ...) that the model is applied to, such as normalised images
        (b, h, w, c) float32.
      targets: a tree of arrays (b, ...) that the loss compares with, such as the probability of
        each class (b, k) float32.
      weights: (b,) float32, 0 for padding and 1 for an example.
    """

    inputs: Any
    targets: Any
    weights: jax.Array
