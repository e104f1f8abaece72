"""How far probabilities can be trusted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cnn_jax.errors import UserError

BINS = 15
"""As in Guo et al. 2017, https://arxiv.org/abs/1706.04599."""

_COLDEST, _HOTTEST = 0.01, 100.0
"""The temperatures that are looked between."""


def equal_width(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The bin (n,) of each confidence, of equally wide ones (low, high]; 0 is in the first."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    return np.clip(np.searchsorted(edges, confidence, "left") - 1, 0, bins - 1)


def equal_count(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The bin (n,) of each confidence, of as equally full ones as can be; equal ones stay together,
    so that the order of the examples does not matter.
    """
    rising = np.sort(confidence)
    ends = np.ceil(len(rising) * np.arange(1, bins + 1) / bins).astype(int) - 1
    return np.searchsorted(np.unique(rising[ends.clip(0)]), confidence, "left")


def calibration_error(confidence: np.ndarray, right: np.ndarray, placed: np.ndarray) -> float:
    """Mean over examples of the distance of confidence and accuracy in their bin.

    Naeini et al. 2015, https://doi.org/10.1609/aaai.v29i1.9602.

    Args:
      confidence: (n,) the probability of what is told.
      right: (n,) whether it is so.
      placed: (n,) the bin of each.
    """
    if not len(confidence):
        return float("nan")
    apart = np.bincount(placed, confidence - right)
    return float(np.abs(apart).sum() / len(confidence))


def brier_parts(probabilities: np.ndarray, there: np.ndarray) -> dict[str, float]:
    """The Brier score of one event, and what it is the sum of: reliability - resolution +
    uncertainty.

    Murphy 1973, in 15 equally wide bins; resolution has the two parts within bins of Stephenson et
    al. 2008, https://doi.org/10.1175/2007WAF2006116.1, with which the sum is exact.

    Args:
      probabilities: (n,) of the event.
      there: (n,) bool, whether it came.
    """
    p, o = probabilities, there.astype(np.float64)
    placed, n = equal_width(p), len(p)
    count = np.bincount(placed, minlength=BINS)
    full = np.maximum(count, 1)
    mean_p = np.bincount(placed, p, BINS) / full
    mean_o = np.bincount(placed, o, BINS) / full
    inside = p - mean_p[placed]
    between = float(count @ (mean_o - o.mean()) ** 2) / n
    within = float(np.sum(2 * inside * (o - mean_o[placed]) - inside**2)) / n
    return {
        "brier": float(np.mean((p - o) ** 2)),
        "brier_reliability": float(count @ (mean_p - mean_o) ** 2) / n,
        "brier_resolution": between + within,
        "brier_uncertainty": float(o.mean() * (1 - o.mean())),
    }


def aurc(confidence: np.ndarray, right: np.ndarray) -> float:
    """Area under the risk-coverage curve: the mean, over all numbers of most confident examples, of
    the part of them that is told wrong.

    Geifman et al. 2019, https://arxiv.org/abs/1805.08206. Examples of one confidence count as in
    the mean over all their orders.

    Args:
      confidence: (n,)
      right: (n,) bool.
    """
    if not len(confidence):
        return float("nan")
    # A confidence that is no number is the last that one would go by.
    falling, counts = np.unique(-np.nan_to_num(confidence, nan=-1.0), return_counts=True)
    place = np.searchsorted(falling, -np.nan_to_num(confidence, nan=-1.0))
    ends = np.concatenate([[0], np.cumsum(counts)])
    wrong = np.concatenate([[0], np.cumsum(np.bincount(place, ~right))])
    covered = np.arange(1, len(confidence) + 1)
    return float(np.mean(np.interp(covered, ends, wrong) / covered))


def best_temperature(slope: Callable[[float], float]) -> float:
    """The temperature of the least negative log-likelihood, which is convex in its inverse.

    Guo et al. 2017, https://arxiv.org/abs/1706.04599, section 4.2.

    Args:
      slope: of the negative log-likelihood at an inverse temperature.

    Raises:
      UserError: it falls, or rises, to the end.
    """
    from scipy.optimize import brentq

    coldest, hottest = 1 / _COLDEST, 1 / _HOTTEST
    if slope(coldest) <= 0:
        raise UserError(
            "no temperature is best: (nearly) all examples are told right, so that the negative "
            "log-likelihood falls for as long as the probabilities are made more certain; take "
            "more examples for validation"
        )
    if slope(hottest) >= 0:
        raise UserError(
            "no temperature is best: the model tells no better than chance, so that the negative "
            "log-likelihood falls for as long as the probabilities are made less certain"
        )
    logarithm = brentq(lambda log: slope(float(np.exp(log))), np.log(hottest), np.log(coldest))
    return float(np.exp(-logarithm))


def class_slope(logits: np.ndarray, truth: np.ndarray) -> Callable[[float], float]:
    """The slope of the mean negative log-likelihood of classes; see `best_temperature`.

    Args:
      logits: (n, k).
      truth: (n,) places of the true classes.
    """
    # Only differences count; the largest is zero, so that nothing overflows.
    apart = logits - logits.max(axis=-1, keepdims=True)
    own = apart[np.arange(len(apart)), truth]

    def slope(inverse: float) -> float:
        weights = np.exp(inverse * apart)
        told = np.sum(weights * apart, axis=-1) / np.sum(weights, axis=-1)
        return float(np.mean(told - own))

    return slope


def tag_slope(logits: np.ndarray, there: np.ndarray) -> Callable[[float], float]:
    """The same of single events that come or not, (m,) each."""
    return lambda inverse: float(np.mean((sigmoid(inverse * logits) - there) * logits))


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits, without an overflow."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, small) / (1.0 + small)


def logit(probabilities: np.ndarray) -> np.ndarray:
    """Logits of probabilities, infinite of 0 and 1."""
    with np.errstate(divide="ignore"):
        return np.log(probabilities) - np.log1p(-probabilities)
