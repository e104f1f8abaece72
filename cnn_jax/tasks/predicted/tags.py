"""Stored predictions of tags, any number of which may be there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnn_jax.tasks import scores
from cnn_jax.tasks.contract import Metric
from cnn_jax.tasks.predicted import calibration
from cnn_jax.tasks.predicted.classes import ADAPTIVE_ECE, BRIER, ECE
from cnn_jax.tasks.predicted.contract import Columns, Predicted


class Tags(Predicted):
    """Tags: logits `scores`, whether each is there `truth`, and whether that is known, (n, k) each.

    Only what is known counts. A tag is told from a probability of one half on; the confidence of a
    tag is its probability. Brier score and calibration are over all tags of all examples.
    """

    METRICS = (
        Metric("map", higher=True),
        Metric("map_micro", higher=True),
        Metric("roc_auc", higher=True),
        Metric("f1_macro", higher=True),
        Metric("f1_micro", higher=True),
        Metric("exact_match", higher=True, form="{:.2%}"),
        Metric("hamming"),
        Metric("nll"),
        *BRIER,
        ECE,
        ADAPTIVE_ECE,
    )
    COLUMNS = ("scores", "truth", "known")
    HEADLINE = ("map", "f1_macro", "ece")

    @property
    def known(self) -> np.ndarray:
        """(n, k) bool."""
        return self.columns["known"].astype(bool)

    def told(self) -> np.ndarray:
        """See `Predicted`."""
        return self.columns["scores"]

    def values(self) -> dict[str, np.ndarray]:
        """See `Predicted`."""
        score = self.columns["scores"].astype(np.float64)
        truth, known = self.columns["truth"].astype(bool), self.known
        signed = np.where(truth, score, -score)
        return {
            "truth": truth & known,
            "told": (score > 0) & known,
            "known": known,
            "probability": calibration.sigmoid(score),
            "nll": np.maximum(-signed, 0) + np.log1p(np.exp(-np.abs(signed))),
        }

    def statistics(self, values: Columns) -> dict[str, float]:
        """See `Predicted`."""
        truth, told, known = (values[name] for name in ("truth", "told", "known"))
        probability, there = values["probability"][known], truth[known]
        each = _f1(truth, told)
        found = {
            "f1_macro": float(each.mean()),
            "f1_micro": scores.f1(truth.ravel(), told.ravel()),
            "exact_match": float((truth == told).all(axis=-1).mean()),
        }
        if not known.any():
            return found
        return {
            **found,
            "hamming": float((truth != told)[known].mean()),
            "nll": float(values["nll"][known].mean()),
            "brier": float(np.mean((probability - there) ** 2)),
            "ece": calibration.calibration_error(
                probability, there, calibration.equal_width(probability)
            ),
            "adaptive_ece": calibration.calibration_error(
                probability, there, calibration.equal_count(probability)
            ),
        }

    def rankings(self) -> dict[str, float]:
        """See `Predicted`: means over the tags that are there somewhere, and elsewhere not."""
        rows, known = self.by_name(), self.known
        truth, score = self.columns["truth"].astype(bool), self.columns["scores"]
        probability = calibration.sigmoid(score[known].astype(np.float64))
        return {
            "map": _mean([row["average_precision"] for row in rows]),
            "map_micro": scores.average_precision(truth[known], score[known]),
            "roc_auc": _mean([row["auroc"] for row in rows]),
            **calibration.brier_parts(probability, truth[known]),
        }

    def by_name(self) -> list[dict[str, Any]]:
        """See `Predicted`."""
        values, score = self.values(), self.columns["scores"]
        truth, told, known = (values[name] for name in ("truth", "told", "known"))
        hits, there, said = ((each).sum(axis=0) for each in (truth & told, truth, told))
        f1 = _f1(truth, told)
        return [
            {
                "tag": name,
                "precision": float(hits[tag] / max(said[tag], 1)),
                "recall": float(hits[tag] / max(there[tag], 1)),
                "f1": float(f1[tag]),
                "average_precision": scores.average_precision(
                    truth[known[:, tag], tag], score[known[:, tag], tag]
                ),
                "auroc": scores.roc_auc(truth[known[:, tag], tag], score[known[:, tag], tag]),
                "support": int(there[tag]),
            }
            for tag, name in enumerate(self.names)
        ]

    def right(self) -> np.ndarray:
        """See `Predicted`: all known tags of an example are told right."""
        values = self.values()
        return (values["truth"] == values["told"]).all(axis=-1)

    def averaged(self, others: Sequence[Predicted]) -> dict[str, np.ndarray]:
        """See `Predicted`: of the probabilities of each tag."""
        each = [one.columns["scores"].astype(np.float64) for one in (self, *others)]
        mean = np.mean([calibration.sigmoid(one) for one in each], axis=0)
        return {**self.columns, "scores": calibration.logit(mean)}

    def temperature(self) -> float:
        """See `Predicted`: one for all tags."""
        self.check_finite()
        known, score = self.known, self.columns["scores"].astype(np.float64)
        slope = calibration.tag_slope(score[known], self.columns["truth"].astype(bool)[known])
        return calibration.best_temperature(slope)

    def at_temperature(self, temperature: float) -> dict[str, np.ndarray]:
        """See `Predicted`."""
        return {**self.columns, "scores": self.columns["scores"].astype(np.float64) / temperature}


def _f1(truth: np.ndarray, told: np.ndarray) -> np.ndarray:
    """F1 (k,) of each tag, 0 where it is neither there nor told."""
    total = truth.sum(axis=0) + told.sum(axis=0)
    return 2 * (truth & told).sum(axis=0) / np.maximum(total, 1)


def _mean(values: Sequence[float]) -> float:
    there = [value for value in values if not np.isnan(value)]
    return float(np.mean(there)) if there else float("nan")
