"""What a step sees."""

from __future__ import annotations

from typing import NamedTuple

import jax


class Batch(NamedTuple):
    """Examples of one step.

    Attributes:
      images: (b, h, w, c) float32, normalised.
      targets: (b, k) float32, the probability of each class; one-hot unless mixed.
      weights: (b,) float32, 0 for padding and 1 for an example.
    """

    images: jax.Array
    targets: jax.Array
    weights: jax.Array
