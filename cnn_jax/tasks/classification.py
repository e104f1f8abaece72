"""Classification: each example is of one class of several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnn_jax.batch import Batch
from cnn_jax.errors import UserError
from cnn_jax.tasks.contract import Apply, Metric
from cnn_jax.tasks.example_task import ExampleTask, total
from cnn_jax.tasks.losses import CLASS_LOSSES, ClassLoss, smooth

ACCURACY = Metric("accuracy", higher=True, form="{:.2%}", short="acc")
LOSS = Metric("loss", short="loss")
NLL = Metric("nll", short="nll")
TOP5 = Metric("top5", higher=True, form="{:.2%}", short="top5")


class Classification(ExampleTask):
    """One class of k, told by k logits; targets are class probabilities (b, k)."""

    METRICS = (ACCURACY, LOSS, NLL, TOP5)
    PARTS = (ACCURACY,)
    HEADLINE = (ACCURACY, NLL)
    LOSSES = tuple(CLASS_LOSSES)
    KINDS = ("class",)
    PREDICTED = "class"

    @property
    def outputs(self) -> int:
        """See `Task`."""
        return len(self.spec.class_names)

    def check(self, model: nn.Module) -> None:
        """See `Task`.

        Raises:
          UserError: the metric that counts is the same for every state.
        """
        metric, classes = self.recipe.checkpoints.metric, self.outputs
        places = {"accuracy": 1, "top5": 5}.get(str(metric), 0)
        if "validation" in self.spec.examples and classes <= places:
            raise UserError(
                f"--checkpoints.metric {metric} is 1 for every state, since the data have "
                f"{classes} class{'es' * (classes > 1)}; give loss"
                + ", nll or accuracy"
                * (classes > 1)
            )
        super().check(model)

    def encoded(self, targets: jax.Array) -> jax.Array:
        """Places in the class names (b,) as probabilities of the classes (b, k)."""
        return jax.nn.one_hot(targets, self.outputs, dtype=jnp.float32)

    def loss(
        self, apply: Apply, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """See `Task`."""
        return class_loss(self._loss, self.recipe.loss.label_smoothing)(apply, batch, key)

    @property
    def _loss(self) -> ClassLoss:
        return self.own_loss() or CLASS_LOSSES[str(self.recipe.loss.name)]

    def sums(self, outputs: jax.Array, batch: Batch) -> dict[str, jax.Array]:
        """See `Task`: the recipe's loss, the negative log-likelihood, hits among one and five."""
        return class_sums(outputs, batch, self._loss)

    def records(self, outputs: jax.Array, batch: Batch) -> dict[str, jax.Array]:
        """See `Task`."""
        return {}

    def kept(self, outputs: jax.Array, batch: Batch) -> dict[str, jax.Array]:
        """See `ExampleTask`: logits (b, k), and the place of the true class (b,)."""
        truth = jnp.argmax(batch.targets, axis=-1).astype(jnp.int32)
        return {"truth": truth, "logits": outputs.astype(jnp.float32)}

    def finish(
        self, sums: Mapping[str, Any], records: Mapping[str, Any], chosen: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """See `Task`: means over examples."""
        return means(sums)

    def answers(self, outputs: jax.Array) -> jax.Array:
        """See `Task`: the probability of each class (b, k)."""
        # Classes judged one by one have probabilities that need not sum to one.
        if self.recipe.loss.name == "binary_cross_entropy":
            return jax.nn.sigmoid(outputs)
        return jax.nn.softmax(outputs)


def class_loss(
    loss: Callable[[jax.Array, jax.Array], jax.Array], label_smoothing: float = 0.0
) -> Callable[[Apply, Batch, jax.Array], tuple[jax.Array, dict[str, jax.Array]]]:
    """The loss of a classification and, as its part, whether each example is right.

    Args:
      loss: of logits and targets (b, k), by example.
      label_smoothing: see `cnn_jax.tasks.losses.smooth`.
    """

    def of(apply: Apply, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        logits = apply(batch.inputs)
        right = ranks(logits, batch.targets) < 1
        return loss(logits, smooth(batch.targets, label_smoothing)), {"accuracy": right}

    return of


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


def class_sums(
    logits: jax.Array, batch: Batch, loss: Callable[[jax.Array, jax.Array], jax.Array]
) -> dict[str, jax.Array]:
    """Weighted sums over a batch: loss, nll, number right, number right in five.

    Args:
      logits: (b, k).
      batch: its targets and weights are used; an example of weight 0 does not count.
      loss: of logits and targets, by example.
    """
    weights, rank = batch.weights, ranks(logits, batch.targets)
    nll = -jnp.sum(batch.targets * jax.nn.log_softmax(logits), axis=-1)
    return {
        "loss": total(loss(logits, batch.targets), weights),
        "nll": total(nll, weights),
        "accuracy": total(rank < 1, weights),
        "top5": total(rank < 5, weights),
    }


def means(sums: Mapping[str, Any]) -> dict[str, Any]:
    """Means over examples from sums over all batches, the count of examples among them."""
    return {
        name: float(value) / float(sums["examples"])
        for name, value in sums.items()
        if name != "examples"
    }
