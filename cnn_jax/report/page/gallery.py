"""The mistakes of a run as a gallery that can be filtered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cnn_jax.evaluation.predictions import Predictions
from cnn_jax.inside.mistakes import mistakes
from cnn_jax.inside.predicted_examples import examples_of
from cnn_jax.report.page.examples import Examined
from cnn_jax.report.page.thumbnails import Input, decided, inputs_shown
from cnn_jax.tasks.predicted.classes import Classes
from cnn_jax.tasks.predicted.tags import Tags

_FEWEST = 12


class Shown(NamedTuple):
    """A mistake.

    Attributes:
      shown: the example.
      title: what is told and what is true.
      true: the classes that are true, or the tags that were missed.
      told: the classes that are told, or the tags that are not there.
      decided: the windows of a text that speak most for the class that is told.
    """

    shown: Input
    title: str
    true: tuple[str, ...]
    told: tuple[str, ...]
    decided: tuple[str, ...] = ()


class Gallery(NamedTuple):
    """Mistakes.

    Attributes:
      cells: those that are shown.
      true: what they can be filtered by, with how many are shown of each; empty of numbers.
      told: the same of what is told.
      heads: what the filters are called.
      says: how many there are, and which are shown.
    """

    cells: list[Shown]
    true: dict[str, int]
    told: dict[str, int]
    heads: tuple[str, str]
    says: str


def gallery(
    run: Path,
    given: Examined,
    predictions: Predictions,
    count: int,
    data_dir: Path | None = None,
) -> Gallery:
    """The mistakes among stored predictions.

    Args:
      run: the run folder.
      given: its model, and a part of its data.
      predictions: of a part of its own data.
      count: how many are shown at most.
      data_dir: where TFDS sets lie.

    Raises:
      UserError: there are none of such a task, or the examples are no longer there.
    """
    found = mistakes(predictions, len(predictions))
    told: Any = predictions.predicted()
    every = next(iter(found.kinds.values()), [])
    by_place = {mistake.place: mistake.title for mistake in every}
    names = told.names
    true: dict[int, tuple[str, ...]] = {}
    said: dict[int, tuple[str, ...]] = {}
    heads, order = ("", ""), list(by_place)
    if isinstance(told, Classes):
        values, heads = told.values(), ("true class", "told class")
        true = {place: (names[int(values["truth"][place])],) for place in order}
        said = {place: (names[int(values["told"][place])],) for place in order}
        order = _in_turns(order, [(true[each], said[each]) for each in order])
    elif isinstance(told, Tags):
        values, heads = told.values(), ("missed tag", "tag that is not there")
        missed = values["truth"] & ~values["told"]
        wrong = values["told"] & ~values["truth"]
        true = {place: _names(missed[place], names) for place in order}
        said = {place: _names(wrong[place], names) for place in order}
    if not heads[0]:
        count = min(count, max(_FEWEST, len(order) // 4))  # the others are told well enough
    kept = order[:count]
    shown = []
    if kept:
        same = predictions.about["split"] == given.part
        read = given.judged if same else None  # reading it again may take long
        split = examples_of(run, given.restored, predictions, kept, data_dir, read)
        titles = [by_place[place] for place in kept]
        inputs = inputs_shown(given.restored, split.inputs, titles)
        windows = decided(given.restored, split.inputs)
        for place, each, title, own in zip(kept, inputs, titles, windows, strict=True):
            shown.append(Shown(each, title, true.get(place, ()), said.get(place, ()), own))
    return Gallery(
        shown,
        _counted([each.true for each in shown], names) if heads[0] else {},
        _counted([each.told for each in shown], names) if heads[0] else {},
        heads,
        _says(found.wrong, found.total, len(order), len(kept), isinstance(told, Classes)),
    )


def _in_turns(places: Sequence[int], pairs: Sequence[Any]) -> list[int]:
    """Places so that every pair of classes comes once before any comes again."""
    met: dict[Any, int] = {}
    turns = []
    for pair in pairs:
        turns.append(met.get(pair, 0))
        met[pair] = turns[-1] + 1
    return [places[each] for each in np.argsort(turns, kind="stable").tolist()]


def _names(there: np.ndarray, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(names[tag] for tag in np.flatnonzero(there).tolist())


def _counted(every: Sequence[tuple[str, ...]], names: Sequence[str]) -> dict[str, int]:
    counts = {name: sum(name in each for each in every) for name in names}
    return {name: count for name, count in counts.items() if count}


def _says(wrong: int | None, total: int, known: int, shown: int, turns: bool) -> str:
    if wrong is None:
        return f"The {shown:,} of {total:,} examples that are told farthest off, the worst first."
    if not wrong:
        return f"All {total:,} are told right."
    first = f"{wrong:,} of {total:,} are told wrong"
    if shown == known:
        return f"{first}, the worst first."
    return f"{first}; shown are {shown:,}, " + (
        "the worst of each pair of classes first." if turns else "the worst first."
    )
