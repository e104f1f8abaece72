"""What a training step will cost on a mesh, found without running or compiling anything."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Var
from jax.sharding import AbstractMesh, Mesh

from cnn_jax.batch import Batch
from cnn_jax.data.spec import DataSpec
from cnn_jax.devices.collectives import Collective, collectives
from cnn_jax.devices.mesh import DATA, FSDP
from cnn_jax.layers.batch_axis import BatchAxis
from cnn_jax.models import parameter_count
from cnn_jax.models.cost import multiply_adds_of
from cnn_jax.optimisation.frozen import check_frozen, frozen_pattern
from cnn_jax.optimisation.lookahead import make_lookahead
from cnn_jax.optimisation.parameter_rules import check_factors
from cnn_jax.optimisation.paths import parameter_paths
from cnn_jax.recipe import Recipe
from cnn_jax.state import TrainState
from cnn_jax.tasks import kind_of, make_task
from cnn_jax.training.checks import check_recipe
from cnn_jax.training.evaluator import make_model
from cnn_jax.training.plan import Plan
from cnn_jax.training.recipe_functions import abstract_state, optimizer_of
from cnn_jax.training.step import Objective, make_objective, make_train_step


@dataclass(frozen=True)
class Traffic:
    """What the devices send each other in a step, for one purpose.

    Attributes:
      kind: of the operation, as in `cnn_jax.devices.collectives.KINDS`.
      what: the arrays.
      bytes: of them on one device, each whole, as `cnn_jax.devices.collectives` counts.
    """

    kind: str
    what: str
    bytes: int


@dataclass(frozen=True)
class CostPlan:
    """The cost of a recipe's training step; bytes are those of one device.

    Attributes:
      data: copies of the state that the batch is spread over.
      fsdp: devices that share one copy of the state.
      batch_size: examples in a step, over all devices.
      parameters: how many numbers the model has, those that are frozen included.
      parameter_bytes: of the parameters, or the device's part of them.
      optimizer_bytes: of the optimizer's state.
      average_bytes: of the moving averages and the slow copy of parameters and batch statistics.
      batch_stats_bytes: of the running statistics of normalisation layers.
      counter_bytes: of the step and the seed.
      data_set_bytes: of the training examples, or of those of a batch.
      streamed: only a batch of the data set lies there.
      index_bytes: of the numbers that say which examples a step sees.
      batch_bytes: of the inputs as the model is given them, with targets and weights.
      activation_bytes: of what the forward pass keeps for the backward pass. A compiler may
        compute some of it anew instead, and needs room of its own besides.
      gathered_bytes: of parameters that lie in parts, whole for the time of a step.
      gradient_bytes: of the gradients before they are summed over the devices; twice where a
        batch is taken in parts, which are added up.
      multiply_adds: of all devices in one step, forward and backward, as `cnn_jax.models.cost`
        counts (zeros around images and gradients included), without augmentation.
      traffic: what the devices send each other for the gradient; optimizers that look at whole
        matrices (muon) and mixing of examples (mixup, cutmix) send more.
    """

    data: int
    fsdp: int
    batch_size: int
    parameters: int
    parameter_bytes: int
    optimizer_bytes: int
    average_bytes: int
    batch_stats_bytes: int
    counter_bytes: int
    data_set_bytes: int
    streamed: bool
    index_bytes: int
    batch_bytes: int
    activation_bytes: int
    gathered_bytes: int
    gradient_bytes: int
    multiply_adds: int
    traffic: tuple[Traffic, ...]

    @property
    def devices(self) -> int:
        """How many devices the mesh has."""
        return self.data * self.fsdp

    @property
    def state_bytes(self) -> int:
        """Of the state of the run, which lies there from step to step."""
        return (
            self.parameter_bytes
            + self.optimizer_bytes
            + self.average_bytes
            + self.batch_stats_bytes
            + self.counter_bytes
        )

    @property
    def argument_bytes(self) -> int:
        """Of all that the step's program is given."""
        return self.state_bytes + self.data_set_bytes + self.index_bytes

    @property
    def temporary_bytes(self) -> int:
        """Of all that lives within a step only."""
        return self.batch_bytes + self.activation_bytes + self.gathered_bytes + self.gradient_bytes

    @property
    def gathered_traffic_bytes(self) -> int:
        """Of what all-gathers make whole."""
        return sum(each.bytes for each in self.traffic if each.kind == "all-gather")

    @property
    def reduced_bytes(self) -> int:
        """Of what is summed over devices: by all-reduces, or by reduce-scatters where the
        compiler finds that a device needs its part only.
        """
        return sum(each.bytes for each in self.traffic if each.kind == "all-reduce")

    @property
    def other_traffic_bytes(self) -> int:
        """Of all else that devices send each other."""
        return 0


def plan_cost(recipe: Recipe, spec: DataSpec, mesh: Mesh | AbstractMesh) -> CostPlan:
    """What a training step of a recipe costs on a mesh, the convolutions being plain ones.

    Args:
      recipe: what is trained.
      spec: facts of the data.
      mesh: the devices, or only how many there would be.

    Raises:
      UserError: a name, an option or a size in the recipe does not fit.
    """
    devices = mesh.size
    check_recipe(recipe, spec, devices)
    plan = Plan.of(recipe, spec.examples)
    task = make_task(recipe, spec)
    model = make_model(recipe, task)
    task.check(model)
    frozen = frozen_pattern(recipe.optimizer.freeze, model)
    state = abstract_state(recipe, spec, mesh)
    check_frozen(recipe.optimizer.freeze, state.params)
    check_factors(recipe.optimizer, state.params)

    axis = BatchAxis(recipe.model.norm_examples)
    optimizer = optimizer_of(recipe, task, model, plan)
    step = make_train_step(
        model,
        task.turns or task.loss,
        optimizer,
        ema=recipe.ema,
        lookahead=make_lookahead(recipe.lookahead, plan.total),
        accumulate=recipe.optimizer.accumulate,
        update_norms=recipe.log_norms,
        frozen=frozen,
        axis=axis,
    )
    whole_state = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), state)

    def batch(examples: int) -> Batch:
        key = jax.eval_shape(lambda: jax.random.key(0))
        places = jax.ShapeDtypeStruct((examples,), jnp.int32)
        raw = spec.examples_of(examples)
        return jax.eval_shape(task.training_batch, key, key, *raw, places, places)

    part = recipe.batch_size // recipe.optimizer.accumulate
    trained = [
        leaf
        for path, leaf in zip(
            parameter_paths(state.params), jax.tree.leaves(state.params), strict=True
        )
        if frozen is None or not re.search(frozen, path)
    ]
    held = recipe.batch_size // devices if spec.streamed else spec.examples["train"]
    # The epoch of each example is used by this change alone; the compiler leaves out the rest.
    numbers = 2 if recipe.augment.mirror == "alternating" else 1
    return CostPlan(
        data=mesh.shape[DATA],
        fsdp=mesh.shape[FSDP],
        batch_size=recipe.batch_size,
        parameters=parameter_count(state.params),
        parameter_bytes=_bytes_here(state.params),
        optimizer_bytes=_bytes_here(state.opt_state),
        average_bytes=_bytes_here((state.averages, state.slow)),
        batch_stats_bytes=_bytes_here(state.batch_stats),
        counter_bytes=_bytes_here((state.step, state.seed)),
        data_set_bytes=held * _bytes(spec.examples_of(1)),
        streamed=spec.streamed,
        index_bytes=recipe.batch_size * 4 * numbers // devices,
        batch_bytes=_bytes(batch(recipe.batch_size)) // devices,
        # One loss after the other: what one keeps is free before the next.
        activation_bytes=max(
            activations(
                make_objective(model, loss, frozen=frozen, axis=axis),
                whole_state.params,
                whole_state.batch_stats,
                batch(part),
                batch(2 * part),
                devices,
            )
            for loss in [turn.loss for turn in task.turns] or [task.loss]
        ),
        gathered_bytes=_bytes(_in_parts(state.params)),
        gradient_bytes=_bytes(trained) * (1 if recipe.optimizer.accumulate == 1 else 2),
        multiply_adds=multiply_adds_of(step, whole_state, batch(recipe.batch_size)),
        traffic=tuple(_traffic(recipe, state, trained, frozen, devices)),
    )


def _bytes(tree: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _bytes_here(tree: Any) -> int:
    """Of the parts of arrays that lie on one device."""
    return sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(tree)
    )


def _in_parts(tree: Any) -> list[Any]:
    """The arrays of which no device holds the whole."""
    return [leaf for leaf in jax.tree.leaves(tree) if not leaf.sharding.is_fully_replicated]


def activations(
    objective: Objective, params: Any, batch_stats: Any, batch: Batch, double: Batch, devices: int
) -> int:
    """Bytes on one device of what the forward pass keeps for the gradient of the parameters.

    What it was given, parameters and batch, does not count.

    Args:
      objective: see `cnn_jax.training.step.make_objective`.
      params: shapes of the parameters.
      batch_stats: shapes of the running statistics.
      batch: shapes of a batch.
      double: those of a batch of twice as many examples: what grows with it is spread over the
        devices, the rest lies on each.
      devices: how many.
    """
    pairs = zip(
        _residuals(objective, params, batch_stats, batch),
        _residuals(objective, params, batch_stats, double),
        strict=True,
    )
    return sum(_bytes(one) // (devices if one.shape != two.shape else 1) for one, two in pairs)


def _residuals(objective: Objective, params: Any, batch_stats: Any, batch: Batch) -> list[Any]:
    def kept(params: Any, batch_stats: Any, batch: Batch, key: jax.Array) -> list[jax.Array]:
        def loss(params: Any) -> Any:
            return objective(params, batch_stats, batch, key)

        return jax.tree.leaves(jax.vjp(loss, params, has_aux=True)[1])

    key = jax.eval_shape(lambda: jax.random.key(0))
    program = jax.make_jaxpr(kept)(params, batch_stats, batch, key).jaxpr
    # A variable is equal only to itself, so that what is kept for two purposes counts once;
    # what is no variable is a number.
    found = dict.fromkeys(each for each in program.outvars if isinstance(each, Var))
    return [each.aval for each in found if each not in program.invars]


def _traffic(
    recipe: Recipe, state: TrainState, trained: list[Any], frozen: str | None, devices: int
) -> Iterator[Traffic]:
    if devices == 1:
        return
    split, parts = _in_parts(state.params), recipe.optimizer.accumulate
    if split:
        yield Traffic("all-gather", "parameters", _bytes(split))
    # The gradient of each part of the batch is summed over the devices before they are added up.
    yield Traffic("all-reduce", "gradients", parts * _bytes(trained))
    if statistics := _statistics(recipe, state, frozen, devices):
        yield Traffic("all-reduce", "batch statistics", parts * statistics)
    # The loss and its parts; of arrays in parts the squares of gradient and update.
    norms, means = len(_in_parts(trained)) + len(split), 1 + len(kind_of(recipe).PARTS)
    yield Traffic("all-reduce", "metrics", parts * 4 * means + norms * 4)


def _statistics(recipe: Recipe, state: TrainState, frozen: str | None, devices: int) -> int:
    """Bytes that normalisation layers sum over devices beyond the gradients of scale and bias."""
    group, part = recipe.model.norm_examples, recipe.batch_size // recipe.optimizer.accumulate
    # Groups that do not reach over devices are summed for the running statistics only.
    own = group is not None and part // devices % group == 0
    params = parameter_paths(state.params)
    total = 0
    for path, leaf in zip(
        parameter_paths(state.batch_stats), jax.tree.leaves(state.batch_stats), strict=True
    ):
        layer, _, name = path.rpartition("/")
        trained = [each for each in params if each.rpartition("/")[0] == layer]
        if frozen and trained and all(re.search(frozen, each) for each in trained):
            continue
        total += _bytes(leaf)
        # The gradient of the mean follows from the bias's and that of the variance from the
        # scale's, where there is one.
        parameter = {"mean": "bias", "var": "scale"}[name]
        if not own and f"{layer}/{parameter}" not in trained:
            total += _bytes(leaf)
    return total


@dataclass(frozen=True)
class Compiled:
    """What a compiled program says of itself; bytes are those of one device.

    Attributes:
      argument_bytes: of what it is given.
      temporary_bytes: of what lives within it.
      collectives: by kind.
    """

    argument_bytes: int
    temporary_bytes: int
    collectives: dict[str, Collective]

    @classmethod
    def of(cls, program: jax.stages.Compiled) -> Compiled:
        """The report of a program."""
        memory: Any = program.memory_analysis()
        return cls(
            argument_bytes=memory.argument_size_in_bytes,
            temporary_bytes=memory.temp_size_in_bytes,
            collectives=collectives(program.as_text() or ""),
        )

    @property
    def gathered_traffic_bytes(self) -> int:
        """Of what all-gathers make whole."""
        return self._bytes("all-gather")

    @property
    def reduced_bytes(self) -> int:
        """Of what is summed over devices."""
        return self._bytes("all-reduce", "reduce-scatter")

    @property
    def other_traffic_bytes(self) -> int:
        """Of all else that devices send each other."""
        return self._bytes("collective-permute", "all-to-all")

    def _bytes(self, *kinds: str) -> int:
        return sum(self.collectives[kind].bytes for kind in kinds if kind in self.collectives)
