"""Metrics of scores, by scikit-learn, which is the reference for them."""

from __future__ import annotations

import numpy as np


def average_precision(there: np.ndarray, scores: np.ndarray) -> float:
    """Average precision of a ranking, nan where nothing is there.

    Args:
      there: (n,) bool.
      scores: (n,), higher where something is rather there; ties are one place of the ranking.
    """
    from sklearn.metrics import average_precision_score

    if not there.any():
        return float("nan")
    return float(average_precision_score(there, ranked(scores)))


def roc_auc(there: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve, nan where all or none are there; arguments as above."""
    from sklearn.metrics import roc_auc_score

    if there.all() or not there.any():
        return float("nan")
    return float(roc_auc_score(there, ranked(scores)))


def best_threshold(there: np.ndarray, scores: np.ndarray) -> float:
    """The threshold of a score from which on F1 is largest, the highest of several such.

    Arguments as above. 0.5 where nothing is there.
    """
    if not there.any():
        return 0.5
    order = np.argsort(-scores, kind="stable")
    hits, said = np.cumsum(there[order]), np.arange(1, len(scores) + 1)
    f1 = 2 * hits / (said + there.sum())
    # A threshold takes all that have one score, or none of them.
    last = np.append(np.diff(scores[order]) != 0, True)
    return float(scores[order][np.argmax(np.where(last, f1, -1.0))])


def f1(there: np.ndarray, said: np.ndarray) -> float:
    """2 hits / (there + said), 0 where both are empty, as scikit-learn has it; (n,) bool each."""
    total = int(there.sum() + said.sum())
    return 2 * int((there & said).sum()) / total if total else 0.0


def ranked(scores: np.ndarray) -> np.ndarray:
    """Scores that can be compared: what is no number comes last."""
    return np.nan_to_num(
        scores.astype(np.float64), nan=-np.inf, posinf=np.inf, neginf=-np.inf
    ).clip(np.finfo(np.float64).min, np.finfo(np.float64).max)
