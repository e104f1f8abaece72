"""What a data set is once it has been read or found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Examples(Protocol):
    """Labelled images, in memory or on disk."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    @property
    def labels(self) -> np.ndarray:
        """(n,) int32, places in the class names."""
        ...

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(h, w, c) of an image to learn from."""
        ...

    def take(self, indices: np.ndarray) -> Examples:
        """The examples at the given places, in their order."""
        ...

    def decoded(self, indices: np.ndarray) -> Split:
        """A few examples in memory, prepared as for evaluation."""
        ...


@dataclass(frozen=True)
class Split:
    """Labelled images.

    Attributes:
      images: (n, h, w, c) uint8.
      labels: (n,) int32, places in the class names.
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise TypeError(
                f"images are (n, h, w, c) uint8, not {self.images.shape} {self.images.dtype}"
            )
        if self.labels.dtype != np.int32 or self.labels.shape != self.images.shape[:1]:
            raise TypeError(
                f"labels are ({len(self.images)},) int32, not {self.labels.shape} "
                f"{self.labels.dtype}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(h, w, c) of an image."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    def take(self, indices: np.ndarray) -> Split:
        """The examples at the given places, in their order."""
        return Split(self.images[indices], self.labels[indices])

    def decoded(self, indices: np.ndarray) -> Split:
        """The same as `take`."""
        return self.take(indices)


@dataclass(frozen=True)
class Dataset:
    """The parts of a data set.

    Attributes:
      name: the name it was asked for by.
      class_names: the k classes, in the order of the labels.
      train: examples to learn from.
      validation: examples to choose by, where the set has such a part or it has been cut.
      test: examples to read once, at the end.
      source: where it lies.
      notes: what a user should know of how it was made, such as a part that was cut.
      grey_range: the values of 16-bit grey images that were read as black and white; None where
        there is no such image.
    """

    name: str
    class_names: tuple[str, ...]
    train: Examples
    validation: Examples | None
    test: Examples | None
    source: str
    notes: tuple[str, ...] = ()
    grey_range: tuple[int, int] | None = None
