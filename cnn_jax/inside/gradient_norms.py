"""How large gradients and weights are, layer by layer, and which units are never active."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from cnn_jax.batch import Batch
from cnn_jax.inside.points import Point, layers, outputs
from cnn_jax.tasks.contract import LossFn
from cnn_jax.training.step import make_objective

VANISHING = 1e-4
"""Gradients of the first layers that are less than this part of the largest."""
EXPLODING = 100.0
"""A gradient that is larger than the weights by this factor: a step of a hundredth of it, as a
learning rate of 0.01 makes, moves them by their own size."""
DEAD = 0.5
"""A layer of which more than this part of the units is never active; some always are not, as of a
few examples many."""


class LayerNorm(NamedTuple):
    """The weights of a layer.

    Attributes:
      name: of the layer.
      gradient: root mean square of its weights' gradients, the mean over batches.
      weight: root mean square of the weights.
    """

    name: str
    gradient: float
    weight: float


class Checkup(NamedTuple):
    """What was found at a checkpoint.

    Attributes:
      step: of the checkpoint; 0 for the state that the run began with.
      loss: the mean over batches.
      layers: those with weights, in the order of computation.
      dead: part of the units that were active in no example, of each layer that ends in a ReLU.
    """

    step: int
    loss: float
    layers: tuple[LayerNorm, ...]
    dead: dict[str, float]


Checked = Callable[[int, Any, Sequence[Batch], jax.Array], Checkup]
"""(step, variables, batches, key) -> what was found."""


def checker(module: nn.Module, loss: LossFn) -> Checked:
    """What checks a model at one checkpoint after the other, compiled once.

    Args:
      module: the model.
      loss: that it is trained by.

    Returns:
      See `Checked`. Gradients are those of training, dropout and statistics of the batch included;
      activity is looked at in evaluation.
    """
    objective = make_objective(module, loss)

    @jax.jit
    def computed(variables: Any, batch: Batch, key: jax.Array) -> Any:
        def mean(params: Any) -> Any:
            return objective(params, variables.get("batch_stats", {}), batch, key)

        (value, _), slopes = jax.value_and_grad(mean, has_aux=True)(variables["params"])
        active: dict[str, Any] = {}

        def meet(point: Point) -> None:
            least = jnp.min(point.value)
            over = tuple(range(point.value.ndim - 1))
            active[point.name] = jnp.any(point.value > 0, over), least, jnp.any(point.value == 0)

        outputs(module, variables, batch.inputs, meet)
        return value, jax.tree.map(_size, slopes), active

    sizes = jax.jit(lambda params: jax.tree.map(_size, params))

    def check(step: int, variables: Any, batches: Sequence[Batch], key: jax.Array) -> Checkup:
        found = [
            jax.device_get(computed(variables, batch, jax.random.fold_in(key, place)))
            for place, batch in enumerate(batches)
        ]
        order = [each.name for each in layers(module, variables, batches[0].inputs)]
        weights = dict(_weights(sizes(variables["params"])))
        slopes = [dict(_weights(each[1])) for each in found]
        norms = [
            LayerNorm(name, float(np.mean([each[name] for each in slopes])), float(weights[name]))
            for name in sorted(weights, key=lambda name: _place(name, order))
        ]
        loss = float(np.mean([each[0] for each in found]))
        return Checkup(step, loss, tuple(norms), _dead([each[2] for each in found], order))

    return check


def _size(leaf: jax.Array) -> Any:
    """The root mean square of weights; of biases and scales, which have one axis, nothing."""
    if leaf.ndim < 2:
        return None
    return jnp.sqrt(jnp.mean(jnp.square(leaf.astype(jnp.float32))))


def _weights(tree: Any) -> Iterator[tuple[str, float]]:
    """The largest weights of each layer by its path."""
    for path, value in jax.tree_util.tree_leaves_with_path(tree):
        names = [str(getattr(each, "key", each)) for each in path]
        own = names[-1] in ("kernel", "vectors", "embedding")
        yield "/".join(names[:-1] if own else names), value


def _place(name: str, order: Sequence[str]) -> int:
    """Where a layer stands among the points that were met."""
    inside = [place for place, each in enumerate(order) if each == name]
    if inside:
        return inside[0]
    around = name.rpartition("/")[0]
    return order.index(around) if around in order else len(order)


def _dead(found: Sequence[Any], order: Sequence[str]) -> dict[str, float]:
    """The part of the units that are never above 0, of layers that are never below 0."""
    shares: dict[str, float] = {}
    before = 0
    for name in order:
        active = np.any([each[name][0] for each in found], axis=0)
        rectified = min(float(each[name][1]) for each in found) >= 0
        rectified = rectified and any(bool(each[name][2]) for each in found)
        # What follows a ReLU and has as many maps, such as a pooling, tells the same again.
        if rectified and before != len(active):
            shares[name] = float(1 - active.mean())
        before = len(active) if rectified else 0
    return shares


def verdict(found: Checkup) -> list[str]:
    """What there is to say of a checkup, a sentence each; a single one if all is well."""
    norms = found.layers
    bad = [each.name for each in norms if not np.isfinite(each.gradient)]
    if bad or not np.isfinite(found.loss):
        return [f"exploding: the gradients of {_some(bad or ['the loss'])} are no numbers any more"]
    said = []
    large = [each for each in norms if each.gradient > EXPLODING * each.weight > 0]
    if large:
        worst = max(large, key=lambda each: each.gradient / each.weight)
        said.append(
            f"exploding: the gradients of {_some([each.name for each in large])} are more than "
            f"{EXPLODING:.0f} times as large as the weights, of {worst.name} "
            f"{worst.gradient / worst.weight:.3g} times; lower the learning rate, clip gradients, "
            "or normalise"
        )
    most = max(norms, key=lambda each: each.gradient, default=None)
    early = norms[: max(1, len(norms) // 3)]
    if most is not None and most.gradient == 0:
        said.append("no gradient reaches any layer: nothing is learnt any more")
    elif most is not None:
        small = [each for each in early if each.gradient < VANISHING * most.gradient]
        if small:
            least = min(small, key=lambda each: each.gradient)
            said.append(
                f"vanishing: the gradients of {_some([each.name for each in small])} are less than "
                f"{VANISHING:g} of those of {most.name}, of {least.name} "
                f"{least.gradient / most.gradient:.1e}; use ReLU, normalisation, shortcuts, or "
                "other initial values"
            )
    dead = {name: share for name, share in found.dead.items() if share > DEAD}
    if dead:
        most_dead = max(dead, key=lambda name: dead[name])
        said.append(
            f"dead ReLUs: of {_some(list(dead))} more than {DEAD:.0%} of the units are active in "
            f"no example, of {most_dead} {dead[most_dead]:.0%}; lower the learning rate, or begin "
            "with smaller weights"
        )
    if said or most is None:
        return said
    share = min(each.gradient for each in early) / most.gradient
    idle = max(found.dead.values(), default=0)
    return [
        "healthy: gradients neither vanish nor explode (the smallest of the first layers are "
        f"{share:.2g} times the largest of all), and at most {idle:.0%} of the units of a "
        "layer are never active"
    ]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + f" and {len(names) - 3} more" * (len(names) > 3)
