"""A comparison of runs as tables of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cnn_jax.evaluation.compared_runs import ComparedRun, Group, differing
from cnn_jax.evaluation.comparison import Comparison
from cnn_jax.evaluation.significance import Spread
from cnn_jax.tasks import Metric

_MOST_VALUES = 6
"""Of a field that differs so many values are shown."""


class DifferingField(NamedTuple):
    """A field of recipes that is not the same in all runs.

    Attributes:
      name: its path.
      values: those that are met, in words.
      inside: whether it differs within groups as well.
    """

    name: str
    values: str
    inside: bool


def fields_that_differ(
    groups: Sequence[Group], runs: Sequence[ComparedRun]
) -> list[DifferingField]:
    """The fields of recipes that differ, between groups and within them."""
    found = []
    for name, values in differing(runs).items():
        met = list(dict.fromkeys(map(str, values)))
        more = f" and {len(met) - _MOST_VALUES} more" * (len(met) > _MOST_VALUES)
        inside = any(name in differing(group.runs) for group in groups)
        found.append(DifferingField(name, f"{', '.join(met[:_MOST_VALUES])}{more}", inside))
    return found


def comparison_table(found: Comparison) -> tuple[list[str], list[list[str]]]:
    """The heads and rows of a table with a row for each group on each data set."""
    several = len({row.dataset for row in found.rows}) > 1
    heads = ["group", *["data"] * several, "n"]
    first = found.metrics[0]
    for metric in found.metrics:
        heads += [metric.name, "95 % interval"] if metric is first else [metric.name]
    rows = []
    for row in found.rows:
        cells = [row.group, *[row.dataset] * several, str(row.spreads[first.name].n)]
        for metric in found.metrics:
            spread = row.spreads[metric.name]
            cells.append(_mean(spread, metric))
            if metric is first:
                cells.append(_interval(spread, metric))
        rows.append(cells)
    return heads, rows


def _mean(spread: Spread, metric: Metric) -> str:
    mean = metric.written(spread.mean)
    return mean if spread.n < 2 else f"{mean} ± {metric.written(spread.deviation)}"


def _interval(spread: Spread, metric: Metric) -> str:
    if spread.n < 2:
        return ""
    return f"[{metric.written(spread.low)}, {metric.written(spread.high)}]"
