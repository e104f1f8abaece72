"""What a default recipe depends on."""

from __future__ import annotations

from typing import NamedTuple

from cnn_jax.recipe import Recipe


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
