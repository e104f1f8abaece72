"""What a run has to know of its data, stored in the run folder."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cnn_jax.data.fields import CLASS, Field, tree_of
from cnn_jax.data.vocabulary import Vocabulary
from cnn_jax.json_values import differences, to_json

_SAME = 0.5 / 255
"""Means and deviations that differ by less than half a grey value are taken for those of the same
images: decoders and resizing differ that much between versions of Pillow."""
_EQUAL = 1e-6


@dataclass(frozen=True)
class DataSpec:
    """Facts of a data set that a model trained on it depends on.

    Attributes:
      name: the data set's name, as in the recipe.
      class_names: the k classes in the order of the logits, the tags, or what the numbers are of.
      image_shape: (h, w, c) of the raw images; of other inputs the shape of one.
      mean: channel means of the training images, on the scale 0 to 1; of series in their unit.
      std: channel deviations of the same.
      examples: count of examples in each split.
      streamed: whether images are read from disk while the training runs.
      evaluation_shape: (h, w, c) of the raw images in evaluation, where it is another.
      statistics: what `mean` and `std` are of.
      inputs: the fields that a model is given, by default an image as 8-bit pixels.
      targets: the fields that are to be told of it.
      facts: of the training targets, see `cnn_jax.data.statistics.target_facts`.
      notes: what a user should know of how they were read: what was left out, cut or guessed.
      grey_range: the values of 16-bit grey images that are black and white; None where there was
        no such image. Runs that were stored without it took the whole range.
      value_range: the values of the raw images that are 0 and 1 on the scale of `mean` and `std`.
      words: of texts, the vocabulary, see `cnn_jax.data.vocabulary`.
      rate: of sounds, samples a second.
      fold: what the set calls the fold that is the test part.
    """

    name: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    examples: dict[str, int]
    streamed: bool = False
    evaluation_shape: tuple[int, ...] | None = None
    statistics: str = "of all training images"
    inputs: dict[str, Field] = field(default_factory=dict)
    targets: dict[str, Field] = field(default_factory=lambda: {"class": CLASS})
    facts: dict[str, tuple[float, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    grey_range: tuple[int, int] | None = (0, 65535)
    value_range: tuple[float, float] = (0, 255)
    words: tuple[str, ...] = ()
    rate: int = 0
    fold: str = ""

    @property
    def input_kind(self) -> str:
        """The kind of what a model is given, see `cnn_jax.data.fields`."""
        return next((each.kind for each in self.inputs.values()), "image")

    @property
    def unit(self) -> str:
        """What examples are called that are counted."""
        return "images" if self.input_kind == "image" else "examples"

    @property
    def evaluated_shape(self) -> tuple[int, ...]:
        """(h, w, c) of the raw images in evaluation."""
        return self.evaluation_shape or self.image_shape

    @property
    def vocabulary(self) -> Vocabulary | None:
        """What texts are encoded by for a model; None where it is given something else."""
        return Vocabulary(self.words, self.image_shape[0]) if self.words else None

    def examples_of(self, count: int, *, evaluation: bool = False) -> tuple[Any, Any]:
        """Shapes and dtypes of the raw inputs and targets of so many examples, as trees."""
        shape = self.evaluated_shape if evaluation else self.image_shape
        inputs = self.inputs or {"image": Field("image", shape, "uint8")}

        def made(each: Field) -> Any:
            return each.array(count)

        return tree_of(inputs, made), tree_of(self.targets, made)

    def of_shape(self, shape: tuple[int, ...]) -> DataSpec:
        """These facts for inputs of another shape, such as longer ones."""
        inputs = {
            name: dataclasses.replace(each, shape=shape) for name, each in self.inputs.items()
        }
        return dataclasses.replace(self, image_shape=shape, inputs=inputs)

    def taken_up(self, stored: DataSpec) -> DataSpec:
        """These facts for a run that goes on: with its stored means and deviations, if they fit.

        Args:
          stored: what the run began with.
        """
        pairs = [*zip(self.mean, stored.mean), *zip(self.std, stored.std)]  # noqa: B905
        apart = max((abs(now - then) for now, then in pairs), default=0.0)
        if len(self.mean) != len(stored.mean) or apart > _SAME:
            return self
        notes = self.notes
        if apart > _EQUAL:
            notes += (
                f"means and deviations differ by up to {apart:.2g} from those that the run began "
                "with, as with another version of Pillow or a few other images; it goes on with "
                "those it began with",
            )
        return dataclasses.replace(
            self,
            mean=stored.mean,
            std=stored.std,
            statistics=stored.statistics,
            facts=stored.facts if _close(self.facts, stored.facts) else self.facts,
            notes=notes,
        )

    def changes(self, stored: DataSpec) -> list[str]:
        """One line for each of the stored facts that a run cannot go on with now."""
        then, now = _compared(stored), _compared(self.taken_up(stored))
        if None in (then["grey_range"], now["grey_range"]):
            del then["grey_range"], now["grey_range"]
        return differences(then, now)


def _compared(spec: DataSpec) -> dict[str, Any]:
    """The facts that a model depends on, as JSON, without what is said of them."""
    fields: dict[str, Any] = to_json(spec)
    # Too many to be listed where they differ.
    digest = sha256("\n".join(spec.words).encode()).hexdigest()[:12]
    fields["words"] = f"{len(spec.words):,}, of sha256 {digest}" if spec.words else ""
    return {name: value for name, value in fields.items() if name not in ("notes", "statistics")}


def _close(now: dict[str, tuple[float, ...]], then: dict[str, tuple[float, ...]]) -> bool:
    """Whether facts differ by the last digits at most, as sums do between processors."""
    return now.keys() == then.keys() and all(
        len(now[name]) == len(then[name])
        and all(math.isclose(*pair, rel_tol=_EQUAL) for pair in zip(now[name], then[name]))  # noqa: B905
        for name in now
    )
