"""What a default recipe depends on."""

from __future__ import annotations

from typing import Any, NamedTuple

from cnn_jax.recipe import Recipe

OPERATIONS = 80e12
"""Of a training of series or texts: some 30 minutes on two cores. Larger sets are seen less often,
if need be."""

FEWER = "so that it ends within an hour on two cores"

_UNEVEN = 5
"""From so many times as many examples as of the rarest class on it is said."""


class ImageFacts(NamedTuple):
    """What the choice of a recipe depends on.

    Attributes:
      examples: to learn from, a validation part included.
      targets: how many classes, tags or numbers there are.
      side: pixels of the shorter side, in the middle of all.
      same_size: whether all images have one size, as far as was looked.
      channels: 1 where every image that was looked at is stored as grey.
      files: whether they lie on disk one by one, encoded.
      largest: the share of the most frequent class; None where there are no classes.
      smallest: the share of the rarest class.
    """

    examples: int
    targets: int
    side: int
    same_size: bool
    channels: int
    files: bool
    largest: float | None = None
    smallest: float | None = None


class Chosen(NamedTuple):
    """A recipe, and in a sentence or two why."""

    recipe: Recipe
    why: str


def class_shares(labels: Any, classes: int) -> tuple[float, float]:
    """The shares of the most frequent class and of the rarest that is there.

    Args:
      labels: (n,) int.
      classes: how many there are.
    """
    # A help page need not wait for numpy.
    import numpy as np

    shares = np.bincount(labels, minlength=classes) / len(labels)
    return float(shares.max()), float(shares[shares > 0].min())


def uneven(largest: float | None, smallest: float | None, what: str) -> str:
    """A sentence on classes that are uneven, to be added to others; empty where they are not.

    Args:
      largest: the share of the most frequent class; None where there are no classes.
      smallest: the share of the rarest.
      what: examples are called.
    """
    if not largest or not smallest or largest <= _UNEVEN * smallest:
        return ""
    return (
        f". Classes are uneven: the most frequent has {largest:.1%} of the {what}, which is the "
        f"accuracy of always telling it; the rarest has {smallest:.1%}"
    )
