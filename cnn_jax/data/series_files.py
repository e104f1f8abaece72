"""Files of series: the `.ts` of the UCR/UEA archives, and tables with a series a row."""

from __future__ import annotations

import csv
import dataclasses
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from cnn_jax.errors import UserError, unknown
from cnn_jax.recipe import Columns

Fill = Literal["none", "linear"]
"""What is done about values that are missing between others: refuse, or draw a line."""

SUFFIXES = (".ts", ".tsv", ".txt", ".csv")
"""Of the files that are read, the first before the others where a set has several."""

_MISSING = {"", "?", "nan", "na", "null"}
_NAME = re.compile(r"_|^[+-]?0\d")
LABELS = ("label", "class", "target", "y", "classlabel", "class_label")
"""What the column of the label is called, where a heading says it."""
_SHOWN = 5


class SeriesFile(NamedTuple):
    """What a file holds.

    Attributes:
      series: n arrays (t, c) float32, not a number where a value is missing.
      labels: n rows of words, as they stand in the file; empty where it has none.
      places: the line of each series, from 1.
      kind: `class` or `number` where the file says what its labels are, else None.
      notes: what a user should know.
      titles: what the words of a row are called, where a heading says it.
      groups: what each series belongs to, where that is asked for.
    """

    series: list[np.ndarray]
    labels: list[list[str]]
    places: list[int]
    kind: str | None
    notes: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    groups: list[str] | None = None


def read_series_file(
    file: Path, *, labelled: bool = True, columns: Columns | None = None, lacking: bool = False
) -> SeriesFile:
    """The series of a file, and what is told of each.

    Args:
      file: `.ts`; or a table of tabs, commas, semicolons or blanks with a series a row, the label
        first or in the column that a heading calls label, class, target or y.
      labelled: whether each row of a table has a label; `.ts` files say so themselves.
      columns: which columns of a table with a heading are told, and which is a group; the others
        are the values.
      lacking: whether such columns may lack, as where nothing is known yet.

    Raises:
      UserError: it cannot be read, or is written in another way; the message has the line.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if "\0" in text:
        raise UserError(f"{file} holds no text; series are read from {', '.join(SUFFIXES)} files")
    lines = [(place, line.strip()) for place, line in enumerate(text.splitlines(), 1)]
    lines = [(place, line) for place, line in lines if line]
    columns = columns or Columns()
    if file.suffix.lower() == ".ts":
        if columns != Columns():
            raise UserError(
                f"--data.columns is for tables with a heading, and {file} is a .ts file"
            )
        found = _ts(file, lines)
    else:
        found = _table(file, lines, labelled, columns, lacking)
    if not found.series:
        raise UserError(f"{file} holds no series")
    return found


def _ts(file: Path, lines: Sequence[tuple[int, str]]) -> SeriesFile:
    facts: dict[str, list[str]] = {}
    start = len(lines)
    for index, (place, line) in enumerate(lines):
        if line.startswith("#"):
            continue
        if not line.startswith("@"):
            raise UserError(
                f"line {place} of {file} stands before @data, but begins with neither # nor @"
            )
        word, *rest = line[1:].split()
        facts[word.lower()] = rest
        if word.lower() == "data":
            start = index + 1
            break
    else:
        raise UserError(f"{file} has no line @data, behind which a .ts file has its series")
    if _says(facts, "timestamps"):
        raise UserError(
            f"{file} has times beside its values (@timeStamps true), which are not read; write the "
            "values at even times"
        )
    kind = None
    if _says(facts, "classlabel"):
        kind = "class"
    elif _says(facts, "targetlabel"):
        kind = "number"
    series, labels, places = [], [], []
    for place, line in lines[start:]:
        if line.startswith("#"):
            continue
        parts = line.split(":")
        if kind is not None:
            labels.append([parts.pop().strip()])
        where = f"line {place} of {file}"
        channels = [_numbers(part.split(","), where) for part in parts]
        if not channels:
            raise UserError(f"{where} has a label but no values, or no label behind a colon")
        series.append(_together(channels, where))
        places.append(place)
    valid = facts.get("classlabel", [])[1:]
    if kind == "class" and valid:
        known = {label_word(each) for each in valid}
        for place, (label,) in zip(places, labels, strict=True):
            if label_word(label) not in known:
                raise UserError(
                    f"line {place} of {file} ends with the class {label!r}, which is none of its "
                    f"@classLabel: {' '.join(valid[:20])}"
                )
    return SeriesFile(series, labels, places, kind)


def _says(facts: dict[str, list[str]], name: str) -> bool:
    return [each.lower() for each in facts.get(name, [])[:1]] == ["true"]


def _together(channels: Sequence[np.ndarray], where: str) -> np.ndarray:
    lengths = {len(each) for each in channels}
    if len(lengths) > 1:
        raise UserError(
            f"{where} has channels of {', '.join(map(str, sorted(lengths)))} values; the channels "
            "of a series are as long (? stands for a value that is missing)"
        )
    return np.stack(channels, axis=1)


def _table(
    file: Path,
    lines: Sequence[tuple[int, str]],
    labelled: bool,
    columns: Columns,
    lacking: bool,
) -> SeriesFile:
    first = lines[0][1] if lines else ""
    separator = next((each for each in "\t,;" if each in first), None)

    def cells_of(line: str, place: int) -> list[str]:
        if '"' not in line or separator not in (",", ";"):
            return [cell.strip().strip('"') for cell in line.split(separator)]
        try:
            # A quoted cell may hold what stands between cells.
            (cells,) = csv.reader([line], delimiter=separator, skipinitialspace=True)
        except csv.Error as error:
            raise UserError(f"line {place} of {file} cannot be read: {error}") from None
        return [cell.strip() for cell in cells]

    head = cells_of(first, lines[0][0]) if lines else []
    words = [cell for cell in head if not is_number(cell) and cell.lower() not in _MISSING]
    asked = {*columns.targets, columns.group}
    titled = len(head) > 1 and (2 * len(words) > len(head) or bool(asked & set(head)))
    if titled:
        lines = lines[1:]
    if lacking:
        there = tuple(each for each in columns.targets if each in head)
        labelled = labelled and len(there) > 0 if columns.targets else labelled
        group = columns.group if columns.group in head else None
        columns = dataclasses.replace(columns, targets=there, group=group)
    told, group_at = _columns(file, head if titled else [], labelled, columns)
    titles = [head[place] for place in told] if titled else []
    notes = []
    if titled and labelled:
        notes.append(f"{file.name} has a heading; its labels are in column {', '.join(titles)}")
    series, labels, places, groups = [], [], [], []
    for place, line in lines:
        cells = cells_of(line, place)
        where = f"line {place} of {file}"
        # Behind a shorter series the last column comes sooner.
        told_here = told if len(told) > 1 else [min(each, len(cells) - 1) for each in told]
        apart = {*told_here, *(() if group_at is None else (group_at,))}
        if len(cells) <= max(apart, default=-1) or len(cells) == len(apart):
            raise UserError(f"{where} has {len(cells)} cells only; a row is a label and the values")
        if told:
            labels.append([cells[each] for each in told_here])
        if group_at is not None:
            groups.append(cells[group_at])
        values = [cell for each, cell in enumerate(cells) if each not in apart]
        series.append(_numbers(values, where)[:, None])
        places.append(place)
    return SeriesFile(
        series,
        labels,
        places,
        None,
        tuple(notes),
        tuple(titles),
        None if group_at is None else groups,
    )


def _columns(
    file: Path, head: Sequence[str], labelled: bool, columns: Columns
) -> tuple[list[int], int | None]:
    """The columns that are told, and that of the group, which are no values."""
    for field in ("file", "split", "text"):
        if getattr(columns, field) is not None:
            raise UserError(f"--data.columns.{field} is not for series; leave it out")

    def place(flag: str, name: str) -> int:
        if name not in head:
            raise unknown(f"column of {file} in --data.columns.{flag}:", name, head)
        return head.index(name)

    group = None if columns.group is None else place("group", columns.group)
    if not labelled:
        return [], group
    if columns.targets:
        return [place("targets", name) for name in columns.targets], group
    titles = [cell.lower() for cell in head]
    usual = next((titles.index(each) for each in LABELS if each in titles), None)
    return [usual if usual is not None else int(group == 0)], group


def is_number(cell: str) -> bool:
    """Whether a cell is a number that stands there, and not one that is missing."""
    try:
        return not math.isnan(float(cell))
    except ValueError:
        return False


def _numbers(cells: Sequence[str], where: str) -> np.ndarray:
    """Values (t,) float32, not a number where one is missing."""
    try:
        values = np.array([float(cell) for cell in cells], np.float64)
    except ValueError:
        values = np.array([_number(cell, time, where) for time, cell in enumerate(cells, 1)])
    values = np.where(np.abs(values) > np.finfo(np.float32).max, np.inf, values)
    if (wrong := np.flatnonzero(np.isinf(values))).size:
        raise UserError(
            f"{where} has {cells[wrong[0]].strip()} at time {wrong[0] + 1}, which is no finite "
            "number; mend it, or write ? for a value that is missing"
        )
    return values.astype(np.float32)


def _number(cell: str, time: int, where: str) -> float:
    if cell.strip().lower() in _MISSING:
        return np.nan
    try:
        return float(cell)
    except ValueError:
        raise UserError(
            f"{where} has {cell.strip()!r} at time {time}, which is no number"
        ) from None


def label_word(label: str) -> str:
    """A label as classes are called: whole numbers in one way, `1` for 1.0 and 1.0000000e+00.

    What has more signs than a number needs is a name: 01 and 1_0 are other classes than 1 and 10.
    """
    if _NAME.search(label):
        return label
    try:
        value = float(label)
    except ValueError:
        return label
    return str(int(value)) if value.is_integer() else label


def completed(
    series: Sequence[np.ndarray], places: Sequence[str], name: str, fill: Fill
) -> tuple[list[np.ndarray], int]:
    """Series without what lies beyond their end, and without missing values.

    A series ends with its last value. What is missing before is refused or, where that is asked
    for, drawn as a line between its neighbours; at either end the nearest value is taken.

    Args:
      series: arrays (t, c), not a number where a value is missing.
      places: where each stands, for messages.
      name: of the set or file.
      fill: what is done about missing values.

    Returns:
      Arrays (t', c) float32 of finite numbers; and how many of them had values missing.

    Raises:
      UserError: a series or a channel has no value at all, or values are missing and not filled.
    """
    found, lacking = [], []
    for values, place in zip(series, places, strict=True):
        known = ~np.isnan(values)
        if not known.any(axis=0).all():
            what = "no value" if not known.any() else "a channel without any value"
            raise UserError(f"{place} has {what}; leave the series out")
        values = values[: np.flatnonzero(known.any(axis=1))[-1] + 1]
        missing = np.isnan(values)
        if missing.any():
            time, channel = np.argwhere(missing)[0]
            of = f", channel {channel + 1}" if values.shape[1] > 1 else ""
            lacking.append(f"{place} at time {time + 1}{of}")
            values = _drawn(values) if fill == "linear" else values
        found.append(np.ascontiguousarray(values, np.float32))
    if lacking and fill == "none":
        more = "" if len(lacking) <= _SHOWN else f"; and {len(lacking) - _SHOWN:,} more"
        raise UserError(
            f"{name} has {len(lacking):,} series with values that are missing before their end: "
            f"{'; '.join(lacking[:_SHOWN])}{more}. --data.fill-missing linear draws a line from "
            "one neighbour to the other"
        )
    return found, len(lacking)


def _drawn(values: np.ndarray) -> np.ndarray:
    times = np.arange(len(values))
    columns = []
    for column in values.T:
        known = ~np.isnan(column)
        columns.append(np.interp(times, times[known], column[known]))
    return np.stack(columns, axis=1).astype(np.float32)
