"""What all tasks share whose targets are one array of an example, whatever the inputs are."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnn_jax.batch import Batch
from cnn_jax.data.fields import COMPANIONS
from cnn_jax.data.spec import DataSpec
from cnn_jax.errors import UserError, unknown
from cnn_jax.own.values import Own
from cnn_jax.recipe import Recipe
from cnn_jax.tasks.contract import Apply, Metric, Turn
from cnn_jax.tasks.input_kinds import inputs_of
from cnn_jax.tasks.inputs import Inputs
from cnn_jax.tasks.own_functions import by_example


@dataclass(frozen=True)
class ExampleTask(ABC):
    """A task whose targets are one array of an example.

    Args:
      recipe: what is trained, with the defaults of its task filled in.
      spec: facts of the data.
    """

    METRICS: ClassVar[tuple[Metric, ...]]
    PARTS: ClassVar[tuple[Metric, ...]] = ()
    HEADLINE: ClassVar[tuple[Metric, ...]]
    LOSSES: ClassVar[tuple[str, ...]]
    KINDS: ClassVar[tuple[str, ...]]
    NUMBERS: ClassVar[bool] = False
    OUTPUT: ClassVar[str] = "vector"  # see cnn_jax.models.OUTPUT_KINDS
    OPTIONS: ClassVar[Mapping[str, Any]] = {}
    PREDICTED: ClassVar[str] = ""
    """The kind of its stored predictions, see `cnn_jax.tasks.predicted.KINDS`; empty for none from
    which further metrics are made."""

    recipe: Recipe
    spec: DataSpec

    def __post_init__(self) -> None:
        """Checks that the data hold what is to be learnt.

        Raises:
          UserError: they do not, or an option is unknown.
        """
        name = self.recipe.task.name
        kinds = [each.kind for each in self.spec.targets.values() if each.kind not in COMPANIONS]
        if len(kinds) != 1 or kinds[0] not in self.KINDS:
            raise UserError(
                f"--task.name {name} learns {' or '.join(self.KINDS)}, but {self.spec.name} has "
                f"{', '.join(kinds)}; choose a task that learns these"
            )
        for option in self.recipe.task.options:
            if option not in self.OPTIONS:
                raise unknown(f"option of --task.name {name}:", option, self.OPTIONS)

    @property
    @abstractmethod
    def outputs(self) -> int:
        """See `Task`."""

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of what the model gives an example."""
        return (self.outputs,)

    def own_loss(self, taken: int = 2) -> Callable[..., jax.Array] | None:
        """The loss of a user's own, with its options, if the recipe has one.

        Args:
          taken: how many arrays it is given: outputs, targets, and what else the task's losses
            take.

        Raises:
          UserError: it does not take as many, or (when called) gives no value an example.
        """
        name = self.recipe.loss.name
        if not isinstance(name, Own):
            return None
        return by_example("loss", name, taken, self.recipe.loss.options)

    def option(self, name: str) -> Any:
        """An option of the task, as the recipe gives it or by default."""
        return self.recipe.task.options.get(name, self.OPTIONS[name])

    @property
    def turns(self) -> tuple[Turn, ...]:
        """See `Task`."""
        return ()

    @functools.cached_property
    def inputs(self) -> Inputs:
        """How what the model is given is prepared and changed."""
        return inputs_of(self.recipe, self.spec)

    @property
    def model_options(self) -> dict[str, Any]:
        """See `Task`."""
        return self.inputs.model_options

    def check(self, model: nn.Module) -> None:
        """See `Task`."""
        self.inputs.check(model)

    def example(self, *, evaluation: bool = False) -> Any:
        """See `Task`."""
        return self.inputs.example(evaluation=evaluation)

    @abstractmethod
    def encoded(self, targets: jax.Array) -> Any:
        """Raw targets (b, ...) as the loss has them, a tree of float32 that may be blended."""

    def prepared(self, inputs: Any) -> Any:
        """See `Task`."""
        return self.inputs.prepared(inputs)

    def training_batch(
        self,
        key: jax.Array,
        run_key: jax.Array,
        inputs: Any,
        targets: jax.Array,
        epochs: jax.Array,
        indices: jax.Array,
    ) -> Batch:
        """See `Task`."""
        encoded = self.encoded(targets)
        return self.inputs.training_batch(key, run_key, inputs, encoded, epochs, indices)

    def evaluation_batch(self, inputs: Any, targets: jax.Array, weights: jax.Array) -> Batch:
        """See `Task`."""
        return self.inputs.evaluation_batch(inputs, self.encoded(targets), weights)

    def initial(self, params: Any) -> Any:
        """See `Task`."""
        return params

    def infer(self, apply: Apply, inputs: Any) -> Any:
        """See `Task`."""
        return self.inputs.infer(apply, inputs)

    def kept(self, outputs: Any, batch: Batch) -> dict[str, jax.Array]:
        """Arrays (b, ...) that are stored of each example with the records, which they are not
        among: what it takes to compute any metric without the net.
        """
        return {}

    def details(self, sums: Mapping[str, Any]) -> dict[str, Any]:
        """What an evaluation stores besides the metrics, and no table shows."""
        return {}

    def choose(self, records: Mapping[str, Any]) -> dict[str, Any]:
        """See `Task`."""
        return {}


def total(values: jax.Array, weights: jax.Array) -> jax.Array:
    """The weighted sum of values (b,)."""
    # Padding may hold anything, even what is not a number: it is selected away.
    return jnp.sum(jnp.where(weights > 0, weights * values, 0.0))


def with_head_bias(params: Any, bias: jax.Array) -> Any:
    """Parameters whose last layer, `head`, has another bias; as they are where it has none."""
    head = params.get("head", {})
    if getattr(head, "get", None) is None or jnp.shape(head.get("bias")) != bias.shape:
        return params
    return {**params, "head": {**head, "bias": bias.astype(head["bias"].dtype)}}
