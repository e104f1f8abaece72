"""What a run came to on each part of its data, with intervals where predictions are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cnn_jax.errors import UserError
from cnn_jax.evaluation.found_predictions import find_predictions
from cnn_jax.evaluation.measured import BOOTSTRAPS, Measured, measure
from cnn_jax.evaluation.predictions import Predictions
from cnn_jax.report.page.facts import RunFacts, by_name_of, metric_of, numbers_of
from cnn_jax.run_folder import RunFolder
from cnn_jax.tasks.predicted import KINDS

PARTS = {"test": "test", "validation": "best"}
"""Parts of the data that results are of, and what a summary calls them."""


class Value(NamedTuple):
    """A number of a part.

    Attributes:
      value: itself.
      text: as it is written.
      interval: in which 95 % of bootstraps lie, as it is written; empty where there is none.
    """

    value: float
    text: str
    interval: str


@dataclass(frozen=True)
class PartResults:
    """What a run came to on a part.

    Attributes:
      name: of the part.
      values: by metric, those of the run's own evaluation first.
      examples: how many there are; None where that is not known.
      rows: for each class, tag or number.
      predictions: what was told of each example; None where it is not kept.
      measured: of these.
      why: there are no predictions; empty where there are.
    """

    name: str
    values: Mapping[str, Value]
    examples: int | None
    rows: Sequence[Mapping[str, Any]]
    predictions: Predictions | None = field(repr=False)
    measured: Measured | None = field(repr=False)
    why: str = ""


def part_results(facts: RunFacts, part: str) -> PartResults | None:
    """The results of a part; None where the run has none.

    Args:
      facts: of the run.
      part: `test` or `validation`.
    """
    stored = (facts.summary or {}).get(PARTS[part])
    if part == "validation" and stored is None:
        stored = facts.best_validation
    if not stored:
        return None
    predictions, why = _stored(facts.folder, part, facts.summary is not None)
    measured = None
    if predictions is not None:
        if predictions.about["predicted"] in KINDS:
            measured = measure(predictions, BOOTSTRAPS)
        else:
            task, predictions = predictions.about["task"], None
            why = f"of {task} no intervals are made, and no example is simply wrong"
    numbers = numbers_of(stored)
    rows: Sequence[Mapping[str, Any]] = by_name_of(stored)
    if measured is not None:
        numbers = {**numbers, **{k: v for k, v in measured.metrics.items() if k not in numbers}}
        rows = measured.by_name or rows
    intervals = measured.intervals if measured is not None else {}
    values = {name: _value(name, each, intervals.get(name)) for name, each in numbers.items()}
    examples = stored.get("examples")
    if examples is None and facts.spec is not None:
        examples = facts.spec.examples.get(part)
    count = None if examples is None else int(examples)
    return PartResults(part, values, count, rows, predictions, measured, why)


def _stored(run: Path, part: str, finished: bool) -> tuple[Predictions | None, str]:
    if not RunFolder(run).predictions.is_dir():
        why = "what was told of each example was not kept"
        return None, why if finished else "the run has not finished"
    try:
        return find_predictions(run, part).predictions, ""
    except UserError as error:
        return None, str(error)


def _value(name: str, value: float, interval: tuple[float, float] | None) -> Value:
    metric = metric_of(name)
    text = metric.written(value) if math.isfinite(value) else "not a number"
    if interval is None or interval[0] == interval[1]:
        return Value(value, text, "")
    low, high = (metric.written(each) for each in interval)
    return Value(value, text, f"{low} to {high}")


class Cell(NamedTuple):
    """A cell of a table that can be sorted.

    Attributes:
      text: what it shows.
      key: by what it is sorted.
    """

    text: str
    key: float | str


def by_name_table(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[Cell]]]:
    """The heads and rows of a table with a row for each class, tag or number."""
    heads = list(dict.fromkeys(name for row in rows for name in row))
    return [head.replace("_", " ") for head in heads], [
        [_cell(head, row.get(head)) for head in heads] for row in rows
    ]


_SHARES = ("precision", "recall", "f1")


def _cell(head: str, value: Any) -> Cell:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Cell("", -math.inf)
    if isinstance(value, str):
        return Cell(value, value)
    if isinstance(value, int | np.integer):
        return Cell(f"{int(value):,}", float(value))
    text = f"{value:.1%}" if head in _SHARES else metric_of(head).written(value)
    return Cell(text, float(value))


class Confusion(NamedTuple):
    """How many examples of each class are told to be of each.

    Attributes:
      names: of the classes.
      cells: by what is true and what is told: count, and how dark it is, from 0 to 1.
    """

    names: Sequence[str]
    cells: list[list[tuple[int, float]]]


def confusion(matrix: np.ndarray, names: Sequence[str]) -> Confusion:
    """A matrix (k, k) as a table: a cell is the darker, the larger its part of the row."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    # The root, so that a few mistakes among many examples are seen.
    dark = np.where(np.eye(len(matrix), dtype=bool), shares, np.sqrt(shares))
    return Confusion(
        names,
        [
            [(int(n), round(float(d), 3)) for n, d in zip(row, strengths, strict=True)]
            for row, strengths in zip(matrix, dark, strict=True)
        ],
    )


def confused_pairs(matrix: np.ndarray, names: Sequence[str], most: int) -> list[tuple[str, ...]]:
    """True class, told class and count of the pairs that are confused most."""
    apart = matrix - np.diag(np.diag(matrix))
    found: list[tuple[str, ...]] = []
    for place in np.argsort(-apart.ravel(), kind="stable")[:most].tolist():
        row, column = divmod(place, len(names))
        if apart[row, column]:
            found.append((names[row], names[column], f"{int(apart[row, column]):,}"))
    return found
