"""What a run has to know of its data, stored in the run folder."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DataSpec:
    """Facts of a data set that a model trained on it depends on.

    Attributes:
      name: the data set's name, as in the recipe.
      class_names: the k classes in the order of the logits.
      image_shape: (h, w, c) of the raw images.
      mean: channel means of the training images, on the scale 0 to 1.
      std: channel deviations of the training images, on the scale 0 to 1.
      examples: count of examples in each split.
      streamed: whether images are read from disk while the training runs.
      evaluation_shape: (h, w, c) of the raw images in evaluation, where it is another.
      statistics: what `mean` and `std` are of.
    """

    name: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    examples: dict[str, int]
    streamed: bool = False
    evaluation_shape: tuple[int, int, int] | None = None
    statistics: str = "of all training images"

    @property
    def evaluated_shape(self) -> tuple[int, int, int]:
        """(h, w, c) of the raw images in evaluation."""
        return self.evaluation_shape or self.image_shape

    @property
    def num_classes(self) -> int:
        """How many logits a model has."""
        return len(self.class_names)
