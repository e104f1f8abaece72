"""What a data set is once it has been read or found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

# JAX is imported where it is used: processes that read images do without.
from cnn_jax.data.fields import SPATIAL, fields_of


class Examples(Protocol):
    """Examples of a task, in memory or on disk."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    @property
    def targets(self) -> Any:
        """A tree of arrays (n, ...): what is to be told of each example."""
        ...

    @property
    def labels(self) -> np.ndarray:
        """(n,) int32, the targets where they are places in the class names."""
        ...

    @property
    def groups(self) -> np.ndarray | None:
        """(n,) int32, examples of one group stay in one part; None where there are none."""
        ...

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Of one example to learn from: (h, w, c) of an image."""
        ...

    def take(self, indices: np.ndarray) -> Examples:
        """The examples at the given places, in their order."""
        ...

    def decoded(self, indices: np.ndarray) -> Split:
        """A few examples in memory, prepared as for evaluation."""
        ...


@dataclass(frozen=True)
class Split:
    """Examples in memory.

    Attributes:
      inputs: a tree of arrays (n, ...), such as images (n, h, w, c) uint8.
      targets: a tree of arrays (n, ...), such as the places in the class names (n,) int32.
      groups: (n,) int32, where some examples belong together and must stay in one part.

    Raises:
      TypeError: an array is of no kind that there is, see `cnn_jax.data.fields`, or they are not
        of equally many examples.
    """

    inputs: Any
    targets: Any
    groups: np.ndarray | None = None

    def __post_init__(self) -> None:
        import jax

        fields_of(self.targets)
        for given in fields_of(self.inputs).values():
            if given.kind in SPATIAL:
                raise TypeError(
                    f"no field is {given.dtype} of shape {given.shape} an example, among inputs: "
                    f"this is a {given.kind}, which is told of an image; images have channels too"
                )
        if len({len(leaf) for leaf in jax.tree.leaves((self.inputs, self.targets))}) != 1:
            shapes = jax.tree.map(np.shape, (self.inputs, self.targets))
            raise TypeError(f"inputs and targets of one split are as many, not {shapes}")

    def __len__(self) -> int:
        import jax

        return len(jax.tree.leaves(self.inputs)[0])

    @property
    def images(self) -> np.ndarray:
        """(n, h, w, c), the inputs where they are images."""
        return self.inputs

    @property
    def labels(self) -> np.ndarray:
        """(n,) int32, the targets where they are places in the class names."""
        return self.targets

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Of one example: (h, w, c) of an image, (t, c) of a series, (t,) of tokens or samples,
        (t, h, w, c) of a video.
        """
        return tuple(self.images.shape[1:])

    def take(self, indices: np.ndarray) -> Split:
        """The examples at the given places, in their order."""
        import jax

        inputs, targets = jax.tree.map(lambda leaf: leaf[indices], (self.inputs, self.targets))
        return Split(inputs, targets, None if self.groups is None else self.groups[indices])

    def decoded(self, indices: np.ndarray) -> Split:
        """The same as `take`."""
        return self.take(indices)


@dataclass(frozen=True)
class Dataset:
    """The parts of a data set.

    Attributes:
      name: the name it was asked for by.
      class_names: the k classes in the order of the labels, the tags, or what the numbers are of.
      train: examples to learn from.
      validation: examples to choose by, where the set has such a part or it has been cut.
      test: examples to read once, at the end.
      source: where it lies.
      notes: what a user should know of how it was made, such as a part that was cut.
      grey_range: the values of 16-bit grey images that were read as black and white; None where
        there is no such image.
      words: of texts, the vocabulary: the places of words begin with
        `cnn_jax.data.vocabulary.FIRST`.
      rate: of sounds, samples a second.
      folds: (n,) int from 0, the fold of each training example of a set that comes with folds and
        is to be dealt into these.
      fold_names: what these are called.
      fold: what the set calls the fold that is the test part.
      facts: what else is to be known of the targets, such as the colours of classes.
    """

    name: str
    class_names: tuple[str, ...]
    train: Examples
    validation: Examples | None
    test: Examples | None
    source: str
    notes: tuple[str, ...] = ()
    grey_range: tuple[int, int] | None = None
    words: tuple[str, ...] = ()
    rate: int = 0
    folds: np.ndarray | None = None
    fold_names: tuple[str, ...] = ()
    fold: str = ""
    facts: dict[str, tuple[float, ...]] = field(default_factory=dict)


def input_kind(examples: Examples) -> str:
    """The kind of what a model is given of examples, see `cnn_jax.data.fields`."""
    return next(iter(fields_of(examples.inputs))) if isinstance(examples, Split) else "image"
