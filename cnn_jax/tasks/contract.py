"""What a task is: the one thing that says what is learnt, and all that the trainer asks of it.

A task is a frozen value made of a recipe and the facts of its data. Its methods are pure
functions. `training/` passes batches on to it and looks inside none of them, so that another task
is one file here and no change there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from flax import linen as nn

from cnn_jax.batch import Batch

Apply = Callable[[Any], Any]
"""The net with its parameters laid out: inputs (b, ...) -> outputs (b, ...). In training it carries
batch statistics and random streams from one application to the next."""


def with_auxiliary(apply: Apply, inputs: Any) -> tuple[Any, tuple[Any, ...]]:
    """The net's outputs in training, and those of its auxiliary heads, if it has any.

    They are the activations called `aux_logits`, `aux1_logits` and so on, see
    `cnn_jax.models.googlenet`.
    """
    found = getattr(apply, "with_auxiliary", None)
    return (apply(inputs), ()) if found is None else found(inputs)


LossFn = Callable[[Apply, Batch, jax.Array], tuple[jax.Array, dict[str, jax.Array]]]
"""(apply, batch, key) -> the loss of each example (b,), and named parts (b,) that are shown."""


class Turn(NamedTuple):
    """One of several losses of a step, each lowered by its own part of the parameters.

    Attributes:
      name: under which the loss stands among the metrics.
      moves: pattern found in the paths of the parameters that it moves, such as `^critic/`.
      loss: what is lowered.
    """

    name: str
    moves: str
    loss: LossFn


Sums = dict[str, jax.Array]
Metrics = dict[str, Any]


class Metric(NamedTuple):
    """A number that says how good a model is.

    Attributes:
      name: as it stands in the metrics.
      higher: whether more is better.
      form: how it is written.
      short: a heading for it.
    """

    name: str
    higher: bool = False
    form: str = "{:.4f}"
    short: str = ""

    def worth(self, metrics: Mapping[str, Any]) -> float:
        """The value such that larger is better; what is no number is worse than any."""
        value = float(metrics[self.name])
        if math.isnan(value):
            return -math.inf
        return value if self.higher else -value

    def written(self, value: float) -> str:
        """The value as it is shown."""
        return self.form.format(value)


class Task(Protocol):
    """What a model is trained for.

    Attributes:
      METRICS: all by which a checkpoint may be the best, the one that counts by default first.
      PARTS: what the loss names besides itself, each shown like a metric.
      HEADLINE: what a result in one line names.
      LOSSES: the names of its losses, the default first.
      KINDS: the kinds of targets that can be learnt so, see `cnn_jax.data.fields`.
      NUMBERS: whether what is told are numbers, and not probabilities.
      outputs: how many numbers the model gives an example.
    """

    METRICS: tuple[Metric, ...]
    PARTS: tuple[Metric, ...]
    HEADLINE: tuple[Metric, ...]
    LOSSES: tuple[str, ...]
    KINDS: tuple[str, ...]
    NUMBERS: bool

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Of adversaries, the losses in the order in which a step takes them; each sees what the
        one before moved. Empty where there is one loss, which moves all parameters.
        """
        ...

    @property
    def outputs(self) -> int:
        """How many numbers the model gives an example."""
        ...

    @property
    def model_options(self) -> dict[str, Any]:
        """Options of a model that follow from the data, for a model that has them."""
        ...

    def check(self, model: nn.Module) -> None:
        """Checks the recipe against the data, before anything is compiled.

        Raises:
          UserError: they do not fit.
        """
        ...

    def example(self, *, evaluation: bool = False) -> Any:
        """Shapes and dtypes of one prepared example, without the batch's axis, as a tree."""
        ...

    def prepared(self, inputs: Any) -> Any:
        """Raw inputs as evaluation gives them to the model."""
        ...

    def training_batch(
        self,
        key: jax.Array,
        run_key: jax.Array,
        inputs: Any,
        targets: Any,
        epochs: jax.Array,
        indices: jax.Array,
    ) -> Batch:
        """The batch of a step, from raw examples, changed at random.

        Args:
          key: of the step.
          run_key: of the whole training.
          inputs: raw, a tree of arrays (b, ...).
          targets: raw, a tree of arrays (b, ...).
          epochs: (b,) int32, in which each is seen.
          indices: (b,) int32, their places in the data set.
        """
        ...

    def evaluation_batch(self, inputs: Any, targets: Any, weights: jax.Array) -> Batch:
        """The batch of an evaluation, from raw examples, prepared but not changed."""
        ...

    def initial(self, params: Any) -> Any:
        """The parameters that a training begins with, from random ones."""
        ...

    def loss(
        self, apply: Apply, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """See `LossFn`; the step takes the mean over weights."""
        ...

    def infer(self, apply: Apply, inputs: Any) -> Any:
        """What is evaluated: the net's outputs for prepared inputs, a tree of arrays (b, ...)."""
        ...

    def sums(self, outputs: Any, batch: Batch) -> Sums:
        """Sums over the examples of weight 1; they are added over batches in float64."""
        ...

    def records(self, outputs: Any, batch: Batch) -> dict[str, jax.Array]:
        """Arrays (b, ...) that are gathered, each example once in the order of the split."""
        ...

    def finish(
        self,
        sums: Mapping[str, Any],
        records: Mapping[str, np.ndarray],
        chosen: Mapping[str, Any] | None,
    ) -> Metrics:
        """The metrics of a split.

        Args:
          sums: over all examples, `examples` among them, which is how many there are.
          records: of all examples.
          chosen: what `choose` found on the validation part, if it has been asked.
        """
        ...

    def choose(self, records: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """What is chosen on the validation part and then kept, such as a threshold of each tag."""
        ...

    def answers(self, outputs: Any) -> Any:
        """What is told of an example: arrays (b, ...), such as probabilities, in the data's
        units.
        """
        ...
