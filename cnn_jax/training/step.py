"""The two functions everything else calls: one update, and the sums of one evaluated batch."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from cnn_jax.batch import Batch
from cnn_jax.layers.batch_axis import WHOLE, BatchAxis, batch_axis, rising, updates_made
from cnn_jax.optimisation.frozen import frozen_norms, stopped
from cnn_jax.optimisation.in_turn import part_of
from cnn_jax.optimisation.lookahead import SetBack
from cnn_jax.state import TrainState, Variables, stream
from cnn_jax.tasks import LossFn, Task, Turn
from cnn_jax.tasks.example_task import total

Metrics = dict[str, jax.Array]
TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
Objective = Callable[[Any, Any, Batch, jax.Array], tuple[jax.Array, tuple[Any, Metrics]]]
EvalStep = Callable[[Variables, Batch], tuple[Metrics, Metrics]]
Layout = Callable[[Any], Any]
"""A tree of arrays laid out otherwise on the devices, with the same values."""

OWN = "own:"
"""Before the names of sums of a user's own metrics, which may be those of the task."""

KEPT = "kept:"
"""Before the names of what is stored of each example besides the records."""
_TURN_STREAM = 2**30
"""Added to the place of a turn, whose key is folded out of a step's."""

_AUXILIARY = re.compile(r"aux\d*_logits")

_LOSS_STREAM = 2**31
"""Folded into a step's key for what a loss draws itself: far from the parts of a batch."""


class _Applied:
    """The net in training, as a loss applies it once or several times.

    Attributes:
      batch_stats: those after the last application.
    """

    def __init__(self, model: nn.Module, params: Any, batch_stats: Any, key: jax.Array) -> None:
        self._model, self._params, self._key = model, params, key
        self._times = 0
        self.batch_stats = batch_stats

    def __call__(self, inputs: Any) -> Any:
        return self._applied(inputs, ["batch_stats"])[0]

    def with_auxiliary(self, inputs: Any) -> tuple[Any, tuple[Any, ...]]:
        """The outputs, and those of auxiliary heads: the activations `aux_logits` and the like."""
        outputs, changed = self._applied(inputs, ["batch_stats", "intermediates"])
        found = changed.get("intermediates", {})
        names = sorted(name for name in found if _AUXILIARY.fullmatch(name))
        return outputs, tuple(found[name][0] for name in names)

    def _applied(self, inputs: Any, mutable: list[str]) -> tuple[Any, Any]:
        key = jax.random.fold_in(self._key, self._times) if self._times else self._key
        self._times += 1
        outputs, changed = self._model.apply(
            {"params": self._params, "batch_stats": self.batch_stats},
            inputs,
            train=True,
            rngs={"dropout": key},
            mutable=mutable,
        )
        self.batch_stats = changed.get("batch_stats", {})
        return outputs, changed


def make_objective(
    model: nn.Module,
    loss: LossFn,
    *,
    frozen: str | None = None,
    axis: BatchAxis = WHOLE,
    gathered: Layout = lambda params: params,
) -> Objective:
    """Builds `objective(params, batch_stats, batch, key) -> (loss, (batch_stats, parts))`.

    Its gradient with respect to the parameters is what a step is made of; the key draws what
    dropout leaves out, and what the loss draws. For the arguments see `make_train_step`.
    """

    def objective(
        params: Any, batch_stats: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        with frozen_norms(frozen), batch_axis(axis):
            apply = _Applied(model, gathered(stopped(params, frozen)), batch_stats, key)
            losses, parts = loss(apply, batch, jax.random.fold_in(key, _LOSS_STREAM))

        # Batches to learn from are never padded: all weights are one.
        return jnp.mean(losses), (apply.batch_stats, jax.tree.map(jnp.mean, parts))

    return objective


def make_train_step(
    model: nn.Module,
    loss: LossFn | Sequence[Turn],
    optimizer: optax.GradientTransformation,
    *,
    ema: float | None = None,
    lookahead: SetBack | None = None,
    accumulate: int = 1,
    update_norms: bool = False,
    frozen: str | None = None,
    axis: BatchAxis = WHOLE,
    gathered: Layout = lambda params: params,
    split: Layout = lambda params: params,
    loaded: bool = False,
) -> TrainStep:
    """Builds `train_step(state, batch) -> (state, metrics)`.

    The metrics are scalars `loss` and the parts that it names, of the batch before the update (of
    several losses their sum, and each by its name), `update_norm` of what is added to all
    parameters together, and the vector `grad_norms` (one norm a parameter array, in the order of
    `parameter_paths`), with `update_norms` also the norms of what was added to the parameters. The
    gradient norms are always there, so that a loss that is not finite can be explained after the
    fact: they cost one pass over the gradients.

    Args:
      model: module called with the inputs of a batch and `train`.
      loss: applies it and gives the loss of each example; or several, which are taken in turn.
      optimizer: turns mean gradients into updates; of turns, see `cnn_jax.optimisation.in_turn`.
      ema: decay per step of the moving averages, if any are kept; it rises to that value, see
        `cnn_jax.layers.batch_axis.rising`.
      lookahead: sets the variables back to their slow copy, if there is one.
      accumulate: parts that a batch is split into; normalisation layers see one part at a time.
      update_norms: whether the norms of updates are returned too.
      frozen: pattern of the paths of parameters that stay, see `cnn_jax.optimisation.frozen`.
      axis: what batch statistics are taken over, and the mapped axis, if the step is given a part
        of the batch on every device.
      gathered: lays out parameters as the model is applied with them.
      split: lays out gradients as the parameters are kept.
      loaded: whether the run began with running statistics from elsewhere; those that begin with
        a mean of 0 and a variance of 1 keep less of it in the first steps.
    """
    several = isinstance(loss, Sequence)
    turns = loss if isinstance(loss, Sequence) else (Turn("loss", "", loss),)

    def descent(
        loss: LossFn,
        params: Any,
        batch_stats: Any,
        step: jax.Array,
        batch: Batch,
        key: jax.Array,
    ) -> tuple[jax.Array, Metrics, Any, Any]:
        """The loss, its parts, the gradients, and batch statistics."""
        objective = make_objective(model, loss, frozen=frozen, axis=axis, gathered=gathered)
        gradient = jax.value_and_grad(objective, has_aux=True)
        totals: Any = None
        # Unrolled, not scanned: on the CPU XLA's convolutions are slow inside a loop.
        for index in range(accumulate):
            part = _part(batch, index, accumulate)
            if totals is not None:
                # One part after the other: at once they would take the memory of the whole.
                part, totals = jax.lax.optimization_barrier((part, totals))
            made = None if loaded else step * accumulate + index
            with updates_made(made):
                (value, (batch_stats, parts)), grads = gradient(
                    params, batch_stats, part, jax.random.fold_in(key, index)
                )
            found = (value, parts, split(grads))
            totals = found if totals is None else jax.tree.map(jnp.add, totals, found)
        value, parts, grads = jax.tree.map(lambda total: total / accumulate, totals)
        if axis.name is not None:
            value, parts, grads = jax.lax.pmean((value, parts, grads), axis.name)
        return value, parts, grads, batch_stats

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        key = stream(state.seed, state.step, "dropout")
        params, batch_stats, opt_state = state.params, state.batch_stats, state.opt_state
        found: Metrics = {}
        moved = []
        for place, turn in enumerate(turns):
            drawn = jax.random.fold_in(key, _TURN_STREAM + place) if place else key
            found[turn.name], parts, grads, batch_stats = descent(
                turn.loss, params, batch_stats, state.step, batch, drawn
            )
            which = {"turn": place} if several else {}
            updates, opt_state = optimizer.update(grads, opt_state, params, **which)
            params = optax.apply_updates(params, updates)
            found |= parts
            moved.append((part_of(grads, turn.moves), updates))
        grads, updates = jax.tree.map(lambda *each: sum(each[1:], each[0]), *moved)
        slow = state.slow
        if slow is not None:
            assert lookahead is not None
            now = {"params": params, "batch_stats": batch_stats}
            now, slow = lookahead(state.step + 1, now, slow)
            params, batch_stats = now["params"], now["batch_stats"]
        averages = state.averages
        if averages is not None:
            assert ema is not None
            averages = optax.incremental_update(
                {"params": params, "batch_stats": batch_stats},
                averages,
                1 - rising(ema, state.step),
            )
        metrics = {
            "loss": functools.reduce(jnp.add, [found[turn.name] for turn in turns]),
            **found,
            "grad_norms": leaf_norms(grads),
            "update_norm": optax.tree.norm(updates),
        }
        if update_norms:
            metrics["update_norms"] = leaf_norms(updates)
        new = state.replace(  # type: ignore[attr-defined]
            step=state.step + 1,
            params=params,
            batch_stats=batch_stats,
            opt_state=opt_state,
            averages=averages,
            slow=slow,
        )
        return new, metrics

    return train_step


def _part(batch: Batch, index: int, parts: int) -> Batch:
    """Every `parts`-th example: the examples of a device stay on it, unlike in a slice."""
    if parts == 1:
        return batch
    return jax.tree.map(lambda x: x.reshape(-1, parts, *x.shape[1:])[:, index], batch)


def leaf_norms(tree: Any) -> jax.Array:
    """Euclidean norm of each array of a tree, (n,) float32."""
    return jnp.stack(
        [jnp.sqrt(jnp.sum(jnp.square(leaf.astype(jnp.float32)))) for leaf in jax.tree.leaves(tree)]
    )


def make_eval_step(
    model: nn.Module,
    task: Task,
    *,
    own: Mapping[str, Callable[[Any, Any], jax.Array]] | None = None,
    gathered: Layout = lambda params: params,
) -> EvalStep:
    """Builds `eval_step(variables, batch) -> (sums, records)`.

    The sums are over the examples of weight 1, which `examples` counts; the records are arrays
    (b, ...), see `cnn_jax.tasks.contract.Task`, and with `KEPT` before their names those that are
    stored besides, see `cnn_jax.tasks.example_task.ExampleTask.kept`.

    Args:
      model: module called with the inputs of a batch and `train`.
      task: says how it is applied and what is summed.
      own: further metrics by name, of outputs and targets, with a value an example; their sums
        have `OWN` before the name.
      gathered: lays out parameters as the model is applied with them.
    """

    def eval_step(variables: Variables, batch: Batch) -> tuple[Metrics, Metrics]:
        laid = gathered(variables)
        outputs = task.infer(lambda inputs: model.apply(laid, inputs, train=False), batch.inputs)
        further = {
            f"{OWN}{name}": total(metric(outputs, batch.targets), batch.weights)
            for name, metric in (own or {}).items()
        }
        sums = {**task.sums(outputs, batch), **further, "examples": jnp.sum(batch.weights)}
        records = task.records(outputs, batch)
        # A task of a user's own may have none of it.
        kept: Metrics = getattr(task, "kept", lambda *_: {})(outputs, batch)
        return sums, {**records, **{f"{KEPT}{name}": each for name, each in kept.items()}}

    return eval_step
