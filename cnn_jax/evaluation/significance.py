"""What can be concluded from a few numbers: spreads, paired differences, tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LEVEL = 0.95


class Spread(NamedTuple):
    """Several values of one number.

    Attributes:
      n: how many.
      mean: their mean.
      deviation: the sample's, by n - 1; nan of a single one.
      low: end of the 95 % interval of the mean, by Student's t; nan of a single one.
      high: its other end.
    """

    n: int
    mean: float
    deviation: float = math.nan
    low: float = math.nan
    high: float = math.nan


class Difference(NamedTuple):
    """The second of two sides less the first.

    Attributes:
      spread: of the difference.
      p: of Student's t, paired or Welch's, that there is none; nan where it cannot be known.
      paired: whether each value has its counterpart.
    """

    spread: Spread
    p: float
    paired: bool


class Disagreement(NamedTuple):
    """Two models on the same examples.

    Attributes:
      first: how many the first alone tells right.
      second: how many the second alone does.
      p: exact, two-sided, that these are equally many (McNemar 1947,
        https://doi.org/10.1007/BF02295996).
    """

    first: int
    second: int
    p: float


def spread(values: Sequence[float]) -> Spread:
    """Mean, deviation and interval of some values."""
    n, mean = len(values), float(np.mean(values))
    if n < 2:
        return Spread(n, mean)
    deviation = float(np.std(values, ddof=1))
    reach = _t(n - 1) * deviation / math.sqrt(n)
    return Spread(n, mean, deviation, mean - reach, mean + reach)


def paired(first: Sequence[float], second: Sequence[float]) -> Difference:
    """The difference of values that belong together, such as those of one seed."""
    found = spread([b - a for a, b in zip(first, second, strict=True)])
    if found.n < 2:
        return Difference(found, math.nan, True)
    error = found.deviation / math.sqrt(found.n)
    return Difference(found, _p(found.mean, error, found.n - 1), True)


def unpaired(first: Sequence[float], second: Sequence[float]) -> Difference:
    """The difference of two means, of deviations that need not be equal (Welch 1947)."""
    a, b = spread(first), spread(second)
    mean = b.mean - a.mean
    if min(a.n, b.n) < 2:
        return Difference(Spread(min(a.n, b.n), mean), math.nan, False)
    parts = a.deviation**2 / a.n, b.deviation**2 / b.n
    error = math.sqrt(sum(parts))
    if error == 0:
        return Difference(Spread(a.n + b.n, mean, 0.0, mean, mean), _p(mean, 0.0, 1), False)
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (a.n - 1) + parts[1] ** 2 / (b.n - 1))
    reach = _t(freedom) * error
    whole = Spread(a.n + b.n, mean, math.nan, mean - reach, mean + reach)
    return Difference(whole, _p(mean, error, freedom), False)


def mcnemar(first: np.ndarray, second: np.ndarray) -> Disagreement:
    """Whether two models are right equally often, by the examples on which they differ.

    Args:
      first: (n,) bool, where the first is right.
      second: (n,) bool, of the second on the same examples.
    """
    from scipy.stats import binomtest

    alone = int((first & ~second).sum()), int((second & ~first).sum())
    p = float(binomtest(alone[0], sum(alone)).pvalue) if sum(alone) else 1.0
    return Disagreement(*alone, p)


def wilcoxon(first: Sequence[float], second: Sequence[float]) -> float:
    """Probability p of the signed ranks of differences over data sets (Demsar 2006,
    https://jmlr.org/papers/v7/demsar06a.html); 1 where none differs.
    """
    from scipy.stats import wilcoxon as test

    differences = np.subtract(second, first)
    return float(test(differences).pvalue) if differences.any() else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """The p of several tests, so that together they err as rarely as one (Holm 1979)."""
    order = np.argsort(p, kind="stable")
    steps = np.asarray(p, float)[order] * np.arange(len(p), 0, -1)
    found = np.empty(len(p))
    found[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(p) else steps
    return [float(each) for each in found]


def _t(freedom: float) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, freedom))


def _p(mean: float, error: float, freedom: float) -> float:
    from scipy.stats import t

    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * t.sf(abs(mean) / error, freedom))
