"""Binary classification: one of two classes, told by one logit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from cnn_jax.batch import Batch
from cnn_jax.errors import UserError
from cnn_jax.tasks import scores
from cnn_jax.tasks.classification import ACCURACY, LOSS, means
from cnn_jax.tasks.contract import Apply, Metric
from cnn_jax.tasks.example_task import ExampleTask, total
from cnn_jax.tasks.losses import ClassLoss

AUROC = Metric("auroc", higher=True, short="auroc")
AVERAGE_PRECISION = Metric("average_precision", higher=True, short="ap")
F1 = Metric("f1", higher=True, short="f1")


class Binary(ExampleTask):
    """One of two classes; the logit is of the second of them, the positive one."""

    METRICS = (AUROC, AVERAGE_PRECISION, ACCURACY, F1, LOSS)
    PARTS = (ACCURACY,)
    HEADLINE = (ACCURACY, AUROC, AVERAGE_PRECISION)
    LOSSES = ("binary_cross_entropy",)
    KINDS = ("class",)
    PREDICTED = "binary"

    @property
    def outputs(self) -> int:
        """See `Task`."""
        return 1

    def check(self, model: nn.Module) -> None:
        """See `Task`."""
        names = self.spec.class_names
        if len(names) != 2:
            raise UserError(
                f"--task.name binary is for two classes, but {self.spec.name} has {len(names)}; "
                "give --task.name classification"
            )
        super().check(model)

    def encoded(self, targets: jax.Array) -> jax.Array:
        """The probability of the second class (b, 1)."""
        return targets[:, None].astype(jnp.float32)

    def loss(
        self, apply: Apply, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """See `Task`: sigmoid cross-entropy, or the user's own."""
        logits = apply(batch.inputs)
        smoothing = self.recipe.loss.label_smoothing
        targets = (1 - smoothing) * batch.targets + smoothing / 2
        return self._loss(logits, targets), {"accuracy": _right(logits, batch.targets)}

    @property
    def _loss(self) -> ClassLoss:
        return self.own_loss() or _cross_entropy

    def sums(self, outputs: jax.Array, batch: Batch) -> dict[str, jax.Array]:
        """See `Task`."""
        return {
            "loss": total(self._loss(outputs, batch.targets), batch.weights),
            "accuracy": total(_right(outputs, batch.targets), batch.weights),
        }

    def records(self, outputs: jax.Array, batch: Batch) -> dict[str, jax.Array]:
        """See `Task`: the logit and the class of each example (b,)."""
        return {"score": outputs[:, 0], "truth": batch.targets[:, 0] > 0.5}

    def finish(
        self, sums: Mapping[str, Any], records: Mapping[str, Any], chosen: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """See `Task`: F1 is at a probability of one half, `f1_chosen` at the chosen threshold."""
        there, score = records["truth"], records["score"]
        found = {
            **means(sums),
            "auroc": scores.roc_auc(there, score),
            "average_precision": scores.average_precision(there, score),
            "f1": scores.f1(there, score > 0),
        }
        if chosen:
            threshold = chosen["thresholds"][0]
            found["f1_chosen"] = scores.f1(there, _probability(score) >= threshold)
            found["threshold"] = threshold
        return found

    def choose(self, records: Mapping[str, Any]) -> dict[str, Any]:
        """See `Task`: the probability from which on the second class is told, by F1."""
        found = scores.best_threshold(records["truth"], _probability(records["score"]))
        return {"thresholds": [found]}

    def answers(self, outputs: jax.Array) -> jax.Array:
        """See `Task`: the probability of each of the two classes (b, 2)."""
        return jax.nn.sigmoid(jnp.concatenate([-outputs, outputs], axis=-1))


def _cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    return optax.sigmoid_binary_cross_entropy(logits, targets)[:, 0]


def _right(logits: jax.Array, targets: jax.Array) -> jax.Array:
    # Of equal probabilities the first class is told, as `argmax` has it.
    return (logits[:, 0] > 0) == (targets[:, 0] > 0.5)


def _probability(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(np.float64)))
