"""The cells of a table as targets: a class, tags or numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cnn_jax.errors import UserError

_SEPARATORS = ";|, "
"""What may stand between tags in one cell; what comes first is looked for first."""
_UNKNOWN = {"", "?", "-1", "nan", "na"}

_Found = tuple[tuple[str, ...], np.ndarray, list[str]]
_Where = Callable[[int], str]
"""Of the place of a row among all, where it stands in words: `row 5 of FILE`."""


def _classes(
    file: Path,
    titles: list[str],
    cells: list[list[str]],
    listed: list[str] | None,
    where: _Where,
) -> _Found:
    if len(titles) != 1:
        raise UserError(
            f"classes are told by one column, but {file} has {', '.join(titles)}; name one by "
            "--data.columns.targets, or learn several by --task.name tagging or regression"
        )
    words = [row[0] for row in cells]
    if "" in words:
        raise UserError(f"{where(words.index(''))} has no {titles[0]}")
    names = listed or sorted(set(words), key=by_number)
    known = {name: place for place, name in enumerate(names)}
    strange = sorted(set(words) - set(known))
    if strange:
        raise UserError(
            f"{file} has classes that --data.columns.names does not list: {', '.join(strange[:9])}"
        )
    return tuple(names), np.array([known[word] for word in words], np.int32), []


def check_several(file: Path, class_names: tuple[str, ...]) -> None:
    """Refuses a set with one class, of which nothing can be learnt."""
    if len(class_names) < 2:
        raise UserError(f"{file} has one class only, {class_names[0]}; there must be at least 2")


def by_number(name: str) -> tuple[bool, float, str]:
    """Whole numbers come before words, and in their order."""
    return (False, int(name), name) if name.isdecimal() else (True, 0.0, name)


def _tags(
    file: Path,
    titles: list[str],
    cells: list[list[str]],
    listed: list[str] | None,
    where: _Where,
) -> _Found:
    if len(titles) > 1:
        return _tag_columns(titles, cells, where)
    words = [row[0] for row in cells]
    separator = next((each for each in _SEPARATORS if any(each in word for word in words)), ";")
    rows = [[tag.strip() for tag in word.split(separator) if tag.strip()] for word in words]
    there = {tag for row in rows for tag in row}
    names = listed or sorted(there)
    if not names:
        raise UserError(f"{file} has no tag in the column {titles[0]}")
    known = {name: place for place, name in enumerate(names)}
    targets = np.zeros((len(rows), len(names)), np.int8)
    for place, row in enumerate(rows):
        targets[place, [known[tag] for tag in row if tag in known]] = 1
    notes, others = [], there - set(known)
    if others:
        bare = int(np.sum(~targets.any(axis=1)) - sum(not row for row in rows))
        notes.append(
            f"{len(others):,} tags are left out that --data.columns.names does not list; "
            f"{bare:,} images have none but these"
        )
    absent = sorted(set(known) - there)
    if absent:
        notes.append(f"{len(absent):,} listed tags are in no image: {', '.join(absent[:9])}")
    return tuple(names), targets, notes


def _tag_columns(titles: list[str], cells: list[list[str]], where: _Where) -> _Found:
    values = {"1": 1, "0": 0, **dict.fromkeys(_UNKNOWN, -1), "true": 1, "false": 0}
    values |= {"1.0": 1, "0.0": 0, "yes": 1, "no": 0}
    targets = np.empty((len(cells), len(titles)), np.int8)
    for place, row in enumerate(cells):
        for column, cell in enumerate(row):
            if cell.lower() not in values:
                raise UserError(
                    f"{where(place)} has {titles[column]} {cell!r}; a tag is 1, 0, or "
                    "nothing where it is unknown"
                )
            targets[place, column] = values[cell.lower()]
    blank = int(np.sum(targets < 0))
    notes = [f"{blank:,} of {targets.size:,} tags are unknown"] if blank else []
    return tuple(titles), targets, notes


def _numbers(
    file: Path,
    titles: list[str],
    cells: list[list[str]],
    listed: list[str] | None,
    where: _Where,
) -> _Found:
    targets = np.empty((len(cells), len(titles)), np.float32)
    for place, row in enumerate(cells):
        for column, cell in enumerate(row):
            try:
                targets[place, column] = float(cell)
            except ValueError:
                targets[place, column] = np.nan
            if not np.isfinite(targets[place, column]):
                raise UserError(
                    f"{where(place)} has {titles[column]} {cell!r}, which is no finite "
                    "number; mend or remove the row, or choose columns by --data.columns.targets"
                )
    return tuple(titles), targets, []


TARGETS = {"class": _classes, "tags": _tags, "number": _numbers}
"""By kind: (file, titles of columns, cells of each row, listed names, where a row stands) -> the
names, the targets (n, ...) and what a user should know."""
