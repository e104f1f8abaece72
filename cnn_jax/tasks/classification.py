"""Classification: sums over examples that a step returns, and the metrics they make."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from cnn_jax.batch import Batch
from cnn_jax.tasks.losses import LossFn

LOWER_IS_BETTER = frozenset({"loss", "nll"})


def ranks(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Rank of the target class of each example, 0 for the largest logit, (b, k) -> (b,).

    Of equal logits the class that comes first ranks first, as `argmax` has it. A logit that is
    not a number makes the example wrong: it ranks last.
    """
    labels = jnp.argmax(targets, axis=-1)[:, None]
    own = jnp.take_along_axis(logits, labels, axis=-1)
    before = jnp.arange(logits.shape[-1]) < labels
    ahead = (logits > own) | ((logits == own) & before)
    bad = jnp.any(jnp.isnan(logits), axis=-1)
    return jnp.where(bad, logits.shape[-1], jnp.sum(ahead, axis=-1))


def sums(logits: jax.Array, batch: Batch, loss: LossFn) -> dict[str, jax.Array]:
    """Weighted sums over a batch: loss, nll, number right, number right in five, examples.

    Args:
      logits: (b, k).
      batch: its targets and weights are used; an example of weight 0 does not count.
      loss: the task's loss.
    """
    weights = batch.weights
    rank = ranks(logits, batch.targets)

    def total(values: jax.Array) -> jax.Array:
        # Padding may hold anything, even what is not a number: it is selected away.
        return jnp.sum(jnp.where(weights > 0, weights * values, 0.0))

    return {
        "loss": total(loss(logits, batch.targets)),
        "nll": total(-jnp.sum(batch.targets * jax.nn.log_softmax(logits), axis=-1)),
        "accuracy": total(rank < 1),
        "top5": total(rank < 5),
        "examples": total(jnp.ones_like(weights)),
    }


def metrics(summed: Mapping[str, float | np.floating]) -> dict[str, float | int]:
    """Means over examples from sums over all batches, and the count of examples."""
    examples = round(float(summed["examples"]))
    means = {name: float(value) / examples for name, value in summed.items() if name != "examples"}
    return {**means, "examples": examples}
