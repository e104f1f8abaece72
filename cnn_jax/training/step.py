"""The two functions everything else calls: one update, and the sums of one evaluated batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from cnn_jax.augment import averaged, views_of
from cnn_jax.augment.views import Views
from cnn_jax.batch import Batch
from cnn_jax.layers.batch_axis import WHOLE, BatchAxis, batch_axis, rising, updates_made
from cnn_jax.optimisation.frozen import frozen_norms, stopped
from cnn_jax.optimisation.lookahead import SetBack
from cnn_jax.state import TrainState, Variables, stream
from cnn_jax.tasks import classification
from cnn_jax.tasks.losses import LossFn

Metrics = dict[str, jax.Array]
TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
Objective = Callable[[Any, Any, Batch, jax.Array], tuple[jax.Array, tuple[Any, jax.Array]]]
EvalStep = Callable[[Variables, Batch], dict[str, jax.Array]]
Layout = Callable[[Any], Any]
"""A tree of arrays laid out otherwise on the devices, with the same values."""


def make_objective(
    model: nn.Module,
    loss: LossFn,
    *,
    frozen: str | None = None,
    axis: BatchAxis = WHOLE,
    gathered: Layout = lambda params: params,
) -> Objective:
    """Builds `objective(params, batch_stats, batch, key) -> (loss, (batch_stats, accuracy))`.

    Its gradient with respect to the parameters is what a step is made of; the key draws what
    dropout leaves out. For the arguments see `make_train_step`.
    """

    def objective(
        params: Any, batch_stats: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, jax.Array]]:
        with frozen_norms(frozen), batch_axis(axis):
            logits, changed = model.apply(
                {"params": gathered(stopped(params, frozen)), "batch_stats": batch_stats},
                batch.images,
                train=True,
                rngs={"dropout": key},
                mutable=["batch_stats"],
            )
        right = classification.ranks(logits, batch.targets) < 1
        mean_loss = jnp.mean(loss(logits, batch.targets))
        return mean_loss, (changed.get("batch_stats", {}), jnp.mean(right))

    return objective


def make_train_step(
    model: nn.Module,
    loss: LossFn,
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

    The metrics are scalars `loss` and `accuracy` of the batch before the update, `update_norm`
    of what is added to all parameters together, and the vector
    `grad_norms` (one norm a parameter array, in the order of `parameter_paths`), with
    `update_norms` also the norms of what was added to the parameters. The gradient norms are
    always there, so that a loss that is not finite can be explained after the fact: they cost
    one pass over the gradients.

    Args:
      model: module called with (b, h, w, c) images and `train`.
      loss: per-example loss.
      optimizer: turns mean gradients into updates.
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
    objective = make_objective(model, loss, frozen=frozen, axis=axis, gathered=gathered)
    gradient = jax.value_and_grad(objective, has_aux=True)

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        key = stream(state.seed, state.step, "dropout")
        batch_stats = state.batch_stats
        totals: Any = None
        # Unrolled, not scanned: on the CPU XLA's convolutions are slow inside a loop.
        for index in range(accumulate):
            part = _part(batch, index, accumulate)
            if totals is not None:
                # One part after the other: at once they would take the memory of the whole.
                part, totals = jax.lax.optimization_barrier((part, totals))
            made = None if loaded else state.step * accumulate + index
            with updates_made(made):
                (value, (batch_stats, right)), grads = gradient(
                    state.params, batch_stats, part, jax.random.fold_in(key, index)
                )
            found = (value, right, split(grads))
            totals = found if totals is None else jax.tree.map(jnp.add, totals, found)
        value, right, grads = jax.tree.map(lambda total: total / accumulate, totals)
        if axis.name is not None:
            value, right, grads = jax.lax.pmean((value, right, grads), axis.name)

        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
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
            "loss": value,
            "accuracy": right,
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


def apply_to_views(model: nn.Module, variables: Variables, images: jax.Array, views: Views) -> Any:
    """Logits (b, k) of images (b, h, w, c), averaged over their views.

    The views of an image lie side by side in one batch, so that they stay on its device.
    """
    if views == "none":
        return model.apply(variables, images, train=False)
    seen = views_of(images, views)
    logits = cast(jax.Array, model.apply(variables, seen.reshape(-1, *seen.shape[2:]), train=False))
    return averaged(logits.reshape(*seen.shape[:2], -1), views)


def make_eval_step(
    model: nn.Module,
    loss: LossFn,
    *,
    views: Views = "none",
    gathered: Layout = lambda params: params,
) -> EvalStep:
    """Builds `eval_step(variables, batch) -> sums` over the examples of weight 1.

    See `cnn_jax.tasks.classification.sums` for what is summed.

    Args:
      model: module called with (b, h, w, c) images.
      loss: per-example loss.
      views: whose logits are averaged, see `cnn_jax.augment.views`.
      gathered: lays out parameters as the model is applied with them.
    """

    def eval_step(variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        logits = apply_to_views(model, gathered(variables), batch.images, views)
        return classification.sums(logits, batch, loss)

    return eval_step
