"""What a run has to know of its data, stored in the run folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cnn_jax.data.fields import CLASS, Field, tree_of


@dataclass(frozen=True)
class DataSpec:
    """Facts of a data set that a model trained on it depends on.

    Attributes:
      name: the data set's name, as in the recipe.
      class_names: the k classes in the order of the logits, the tags, or what the numbers are of.
      image_shape: (h, w, c) of the raw images.
      mean: channel means of the training images, on the scale 0 to 1.
      std: channel deviations of the training images, on the scale 0 to 1.
      examples: count of examples in each split.
      streamed: whether images are read from disk while the training runs.
      evaluation_shape: (h, w, c) of the raw images in evaluation, where it is another.
      statistics: what `mean` and `std` are of.
      inputs: the fields that a model is given, by default an image as 8-bit pixels.
      targets: the fields that are to be told of it.
      facts: of the training targets, see `cnn_jax.data.statistics.target_facts`.
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
    inputs: dict[str, Field] = field(default_factory=dict)
    targets: dict[str, Field] = field(default_factory=lambda: {"class": CLASS})
    facts: dict[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def evaluated_shape(self) -> tuple[int, int, int]:
        """(h, w, c) of the raw images in evaluation."""
        return self.evaluation_shape or self.image_shape

    def examples_of(self, count: int, *, evaluation: bool = False) -> tuple[Any, Any]:
        """Shapes and dtypes of the raw inputs and targets of so many examples, as trees."""
        shape = self.evaluated_shape if evaluation else self.image_shape
        inputs = self.inputs or {"image": Field("image", shape, "uint8")}

        def made(each: Field) -> Any:
            return each.array(count)

        return tree_of(inputs, made), tree_of(self.targets, made)
