"""Tagging: any number of tags may be there in one example, and some may be unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from cnn_jax.batch import Batch
from cnn_jax.errors import UserError
from cnn_jax.own.values import Own
from cnn_jax.tasks import scores
from cnn_jax.tasks.classification import LOSS
from cnn_jax.tasks.contract import Apply, Metric
from cnn_jax.tasks.example_task import ExampleTask, total, with_head_bias
from cnn_jax.tasks.losses import asymmetric, tag_cross_entropy

MAP = Metric("map", higher=True, short="map")
MICRO_MAP = Metric("map_micro", higher=True, short="micro")
F1 = Metric("f1_macro", higher=True, short="f1")
EXACT = Metric("exact_match", higher=True, form="{:.2%}", short="exact")
HAMMING = Metric("hamming", form="{:.4f}", short="hamming")


class Tagging(ExampleTask):
    """Tags, each told by a logit of its own; targets are 1, 0, or -1 where a tag is unknown."""

    METRICS = (MAP, MICRO_MAP, F1, EXACT, HAMMING, LOSS)
    PARTS = (EXACT,)
    HEADLINE = (MAP, MICRO_MAP, F1)
    LOSSES = ("binary_cross_entropy", "asymmetric")
    KINDS = ("tags",)
    PREDICTED = "tags"
    OPTIONS: ClassVar[Mapping[str, Any]] = {"prior_bias": True}

    @property
    def outputs(self) -> int:
        """See `Task`."""
        return len(self.spec.class_names)

    def encoded(self, targets: jax.Array) -> dict[str, jax.Array]:
        """Whether a tag is there, and whether that is known, (b, k) float32 each."""
        known = targets >= 0
        return {
            "tags": jnp.where(known, targets, 0).astype(jnp.float32),
            "known": known.astype(jnp.float32),
        }

    def initial(self, params: Any) -> Any:
        """See `Task`: the bias of the last layer tells each tag's share of the training part.

        Lin et al. 2017, https://arxiv.org/abs/1708.02002, section 3.3; without it the first steps
        go into learning that most tags are not there.
        """
        if not self.option("prior_bias"):
            return params
        there, known = (np.asarray(self.spec.facts[name]) for name in ("there", "known"))
        share = (there + 1) / (known + 2)  # Laplace's rule: no tag is certain
        return with_head_bias(params, jnp.asarray(np.log(share / (1 - share)), jnp.float32))

    @property
    def _loss(self) -> Callable[[jax.Array, jax.Array, jax.Array], jax.Array]:
        config = self.recipe.loss
        if (own := self.own_loss(taken=3)) is not None:
            return own
        if config.name == "asymmetric":
            return partial(asymmetric, **config.options)
        return tag_cross_entropy

    def loss(
        self, apply: Apply, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """See `Task`."""
        tags, known = batch.targets["tags"], batch.targets["known"]
        logits = apply(batch.inputs)
        smoothing = self.recipe.loss.label_smoothing
        losses = self._loss(logits, (1 - smoothing) * tags + smoothing / 2, known)
        return losses, {"exact_match": _exact(logits, tags, known)}

    def sums(self, outputs: jax.Array, batch: Batch) -> dict[str, jax.Array]:
        """See `Task`."""
        tags, known, weights = batch.targets["tags"], batch.targets["known"], batch.weights
        wrong = jnp.sum(known * ((outputs > 0) != (tags > 0.5)), axis=-1)
        return {
            "loss": total(self._loss(outputs, tags, known), weights),
            "exact_match": total(_exact(outputs, tags, known), weights),
            "wrong": total(wrong, weights),
            "known": total(jnp.sum(known, axis=-1), weights),
        }

    def records(self, outputs: jax.Array, batch: Batch) -> dict[str, jax.Array]:
        """See `Task`: logits, whether a tag is there, whether that is known, (b, k) each."""
        tags, known = batch.targets["tags"], batch.targets["known"]
        return {"scores": outputs, "truth": tags > 0.5, "known": known > 0.5}

    def finish(
        self, sums: Mapping[str, Any], records: Mapping[str, Any], chosen: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """See `Task`.

        `map` is the mean over tags of the average precision of ranking all examples by a tag;
        tags that are nowhere in the split are left out of it and counted as `tags_absent`.
        `f1_macro` and `f1_micro` are at a probability of one half, those with `_chosen` at
        thresholds chosen on the validation part.
        """
        score, truth, known = records["scores"], records["truth"], records["known"]
        examples = float(sums["examples"])
        by_tag = [
            (truth[known[:, tag], tag], score[known[:, tag], tag]) for tag in range(truth.shape[1])
        ]
        precisions = np.array([scores.average_precision(*each) for each in by_tag])
        areas = np.array([scores.roc_auc(*each) for each in by_tag])
        found: dict[str, Any] = {
            "loss": float(sums["loss"]) / examples,
            "map": _mean(precisions),
            "map_micro": scores.average_precision(truth[known], score[known]),
            "roc_auc": _mean(areas),
            "hamming": float(sums["wrong"]) / float(sums["known"]) if sums["known"] else 0.0,
            "exact_match": float(sums["exact_match"]) / examples,
            **_f1s(truth, score > 0, known, ""),
            "tags_absent": int(np.isnan(precisions).sum()),
        }
        if chosen:
            said = _probability(score) >= np.asarray(chosen["thresholds"])
            found |= _f1s(truth, said, known, "_chosen")
        return found

    def choose(self, records: Mapping[str, Any]) -> dict[str, Any]:
        """See `Task`: for each tag the probability from which on F1 is largest."""
        score, truth, known = records["scores"], records["truth"], records["known"]
        probability = _probability(score)
        found = [
            scores.best_threshold(truth[known[:, tag], tag], probability[known[:, tag], tag])
            for tag in range(truth.shape[1])
        ]
        return {"thresholds": found}

    def answers(self, outputs: jax.Array) -> jax.Array:
        """See `Task`: the probability of each tag (b, k)."""
        return jax.nn.sigmoid(outputs)

    def __post_init__(self) -> None:
        """See `ExampleTask`.

        Raises:
          UserError: the data are no tags, or an option is unknown.
        """
        super().__post_init__()
        if isinstance(self.recipe.loss.name, Own):
            return  # its options are its own
        if self.recipe.loss.options and self.recipe.loss.name != "asymmetric":
            raise UserError(
                f"--loss.options are of --loss.name asymmetric, not of {self.recipe.loss.name}"
            )
        valid = ("gamma_negative", "gamma_positive", "shift")
        for name, value in self.recipe.loss.options.items():
            if name not in valid or not isinstance(value, int | float) or value < 0:
                raise UserError(
                    f"--loss.options {name}={value}: valid are {', '.join(valid)}, at least 0 each"
                )


def _exact(logits: jax.Array, tags: jax.Array, known: jax.Array) -> jax.Array:
    return jnp.all(((logits > 0) == (tags > 0.5)) | (known < 0.5), axis=-1)


def _mean(values: np.ndarray) -> float:
    """The mean of those that are numbers, nan of none."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _f1s(truth: np.ndarray, said: np.ndarray, known: np.ndarray, end: str) -> dict[str, float]:
    each = [
        scores.f1(truth[known[:, tag], tag], said[known[:, tag], tag])
        for tag in range(truth.shape[1])
    ]
    return {
        f"f1_macro{end}": float(np.mean(each)),
        f"f1_micro{end}": scores.f1(truth[known], said[known]),
    }


def _probability(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(np.float64)))
