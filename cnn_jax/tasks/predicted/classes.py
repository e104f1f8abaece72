"""Stored predictions of one class of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from cnn_jax.tasks import scores
from cnn_jax.tasks.contract import Metric
from cnn_jax.tasks.predicted import calibration
from cnn_jax.tasks.predicted.contract import Columns, Predicted


def _share(name: str, higher: bool = True) -> Metric:
    return Metric(name, higher=higher, form="{:.2%}")


ECE, ADAPTIVE_ECE = _share("ece", higher=False), _share("adaptive_ece", higher=False)
BRIER = (
    Metric("brier"),
    Metric("brier_reliability"),
    Metric("brier_resolution", higher=True),
    Metric("brier_uncertainty"),
)
RANKED = (Metric("auroc", higher=True), Metric("average_precision", higher=True))
MACRO = (
    _share("balanced_accuracy"),
    _share("macro_precision"),
    _share("macro_recall"),
    _share("macro_f1"),
)


class Classes(Predicted):
    """One of k classes: `logits` (n, k) and `truth` (n,).

    Probabilities are softmaxes of the logits, as in `nll` of an evaluation. The confidence of an
    example is the probability of the class that is told.
    """

    METRICS: ClassVar[tuple[Metric, ...]] = (
        _share("accuracy"),
        _share("top5"),
        Metric("nll"),
        *BRIER,
        ECE,
        ADAPTIVE_ECE,
        *MACRO,
        *RANKED,
        Metric("aurc"),
    )
    COLUMNS = ("logits", "truth")
    HEADLINE = ("accuracy", "nll", "ece")

    def fault(self) -> str | None:
        """See `Predicted`."""
        found = super().fault()
        if found is None and not ((self.truth >= 0) & (self.truth < len(self.names))).all():
            found = f"a truth is the place of none of the {len(self.names)} classes"
        return found

    def told(self) -> np.ndarray:
        """See `Predicted`."""
        return self.columns[self.COLUMNS[0]]

    @property
    def truth(self) -> np.ndarray:
        """The place of the true class, (n,) int64."""
        return self.columns["truth"].astype(np.int64)

    def logits(self) -> np.ndarray:
        """(n, k) float64."""
        return self.columns["logits"].astype(np.float64)

    def log_probabilities(self) -> np.ndarray:
        """(n, k), of the classes."""
        logits = self.logits()
        with np.errstate(invalid="ignore"):  # of an infinite one nothing can be told
            apart = logits - logits.max(axis=-1, keepdims=True)
        return apart - np.log(np.sum(np.exp(apart), axis=-1, keepdims=True))

    def values(self) -> dict[str, np.ndarray]:
        """See `Predicted`."""
        logs, truth = self.log_probabilities(), self.truth
        probabilities = np.exp(logs)
        rows = np.arange(len(truth))
        own = probabilities[rows, truth]
        nothing = np.isnan(logs).any(axis=-1)
        told = np.argmax(logs, axis=-1)
        # Of equal probabilities the class that comes first ranks first, as in an evaluation.
        ahead = (probabilities > own[:, None]) | (
            (probabilities == own[:, None]) & (np.arange(logs.shape[1]) < truth[:, None])
        )
        rank = np.where(nothing, logs.shape[1], ahead.sum(axis=-1))
        return {
            "truth": truth,
            "told": told,
            "nothing": nothing,
            "right": rank < 1,
            "top5": rank < 5,
            "nll": -logs[rows, truth],
            "brier": np.sum(probabilities**2, axis=-1) - 2 * own + 1,
            "confidence": probabilities[rows, told],
        }

    def statistics(self, values: Columns) -> dict[str, float]:
        """See `Predicted`: `macro_` is over the classes that are there or told, as scikit-learn has
        it, `balanced_accuracy` over those that are there; `brier` is summed over classes.
        """
        confidence, right = values["confidence"], values["right"]
        found = {"accuracy": float(right.mean())}
        if len(self.names) > 5:
            found["top5"] = float(values["top5"].mean())
        found |= {name: float(values[name].mean()) for name in ("nll", "brier")}
        for name, bins in (
            ("ece", calibration.equal_width),
            ("adaptive_ece", calibration.equal_count),
        ):
            found[name] = calibration.calibration_error(confidence, right, bins(confidence))
        return found | _macro(values, len(self.names))

    def rankings(self) -> dict[str, float]:
        """See `Predicted`: means over the classes that are there and not the only one, each told
        from all others; and the parts of the Brier score, summed over classes.
        """
        probabilities, truth = np.exp(self.log_probabilities()), self.truth
        parts = {each.name: 0.0 for each in BRIER[1:]}
        areas, precisions = [], []
        for place in range(probabilities.shape[1]):
            there, told = truth == place, probabilities[:, place]
            found = calibration.brier_parts(told, there)
            parts = {name: value + found[name] for name, value in parts.items()}
            if there.any() and not there.all():
                areas.append(scores.roc_auc(there, told))
                precisions.append(scores.average_precision(there, told))
        values = self.values()
        return {
            **parts,
            "auroc": _mean(areas),
            "average_precision": _mean(precisions),
            "aurc": calibration.aurc(values["confidence"], values["right"]),
        }

    def by_name(self) -> list[dict[str, Any]]:
        """See `Predicted`."""
        each = _each(self.values(), len(self.names))
        return [
            {"class": name, **{what: values[place].item() for what, values in each.items()}}
            for place, name in enumerate(self.names)
        ]

    def confusion(self) -> np.ndarray:
        """See `Predicted`."""
        return _confusion(self.values(), len(self.names))

    def right(self) -> np.ndarray:
        """See `Predicted`."""
        return self.values()["right"]

    def averaged(self, others: Sequence[Predicted]) -> dict[str, np.ndarray]:
        """See `Predicted`: the logits are logarithms of the mean probabilities."""
        return {**self.columns, "logits": self._mean_logs(others)}

    def _mean_logs(self, others: Sequence[Predicted]) -> np.ndarray:
        total = self.log_probabilities()
        for each in others:
            assert isinstance(each, Classes)
            # Of logarithms, so that what is all but impossible is not quite so.
            total = np.logaddexp(total, each.log_probabilities())
        return total - np.log(len(others) + 1)

    def temperature(self) -> float:
        """See `Predicted`."""
        self.check_finite()
        return calibration.best_temperature(calibration.class_slope(self.logits(), self.truth))

    def at_temperature(self, temperature: float) -> dict[str, np.ndarray]:
        """See `Predicted`; in float64, where logits that differ still do."""
        return {**self.columns, "logits": self.logits() / temperature}


class Binaries(Classes):
    """One of two classes: `score` (n,), the logit of the second, and `truth` (n,) bool."""

    METRICS = (
        *(each for each in Classes.METRICS if each.name != "top5"),
        Metric("precision", higher=True),
        Metric("recall", higher=True),
        Metric("f1", higher=True),
    )
    COLUMNS = ("score", "truth")
    HEADLINE = ("accuracy", "auroc", "nll")

    def logits(self) -> np.ndarray:
        """See `Classes`."""
        score = self.columns["score"].astype(np.float64)
        return np.stack([np.zeros_like(score), score], axis=-1)

    def statistics(self, values: Columns) -> dict[str, float]:
        """See `Classes`; precision, recall and F1 are those of the second class."""
        each = _each(values, 2)
        own = {name: float(each[name][1]) for name in ("precision", "recall", "f1")}
        return {**super().statistics(values), **own}

    def rankings(self) -> dict[str, float]:
        """See `Classes`; the ranking is by the second class."""
        there, score = self.columns["truth"].astype(bool), self.columns["score"]
        return {
            **super().rankings(),
            "auroc": scores.roc_auc(there, score),
            "average_precision": scores.average_precision(there, score),
        }

    def averaged(self, others: Sequence[Predicted]) -> dict[str, np.ndarray]:
        """See `Classes`."""
        logs = self._mean_logs(others)
        return {**self.columns, "score": logs[:, 1] - logs[:, 0]}

    def at_temperature(self, temperature: float) -> dict[str, np.ndarray]:
        """See `Classes`."""
        return {**self.columns, "score": self.columns["score"].astype(np.float64) / temperature}


def _confusion(values: Columns, classes: int) -> np.ndarray:
    # Where logits are no numbers no class is told: such an example is of its class, and not found.
    some = ~values["nothing"]
    pairs = values["truth"][some] * classes + values["told"][some]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def _each(values: Columns, classes: int) -> dict[str, np.ndarray]:
    """Precision, recall, F1 and count (k,) of each class; what would divide by zero is zero."""
    confusion = _confusion(values, classes)
    hits, told = np.diag(confusion), confusion.sum(axis=0)
    there = np.bincount(values["truth"], minlength=classes)
    return {
        "precision": hits / np.maximum(told, 1),
        "recall": hits / np.maximum(there, 1),
        "f1": 2 * hits / np.maximum(there + told, 1),
        "support": there,
    }


def _macro(values: Columns, classes: int) -> dict[str, float]:
    each = _each(values, classes)
    there = each["support"] > 0
    met = there | np.isin(np.arange(classes), values["told"][~values["nothing"]])
    return {
        "balanced_accuracy": _mean(each["recall"][there]),
        **{f"macro_{name}": _mean(each[name][met]) for name in ("precision", "recall", "f1")},
    }


def _mean(values: Sequence[float] | np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
