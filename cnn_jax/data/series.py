"""A data set of series of numbers: `series:PATH`."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnn_jax.data.arrays import Kind, checked_targets
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.npz import read_npz
from cnn_jax.data.series_files import Fill, completed, label_word, read_series_file
from cnn_jax.data.series_places import find_series
from cnn_jax.data.splits import cut_test
from cnn_jax.data.strata import check_groups
from cnn_jax.data.table import listed_names
from cnn_jax.errors import UserError
from cnn_jax.recipe import Columns
from cnn_jax.user_path import user_path


class _Part(NamedTuple):
    """Series (t, c) of any lengths, where each stands, a word or numbers of each, its group, and
    what numbers are called.
    """

    series: list[np.ndarray]
    places: list[str]
    targets: list[str] | np.ndarray
    groups: list[str] | None = None
    titles: tuple[str, ...] = ()


def load_series(
    path: str | Path,
    *,
    kind: Kind = "class",
    fill: Fill = "none",
    name: str | None = None,
    test_part: float | None = None,
    columns: Columns | None = None,
) -> Dataset:
    """The data set `series:PATH`; without a test part a tenth of train is cut as one.

    PATH is a folder with NAME_TRAIN and NAME_TEST (and perhaps NAME_VALIDATION) as `.ts`, `.tsv`,
    `.txt` or `.csv`; FOLDER/NAME where a folder holds several sets; one such file; or an `.npz`
    with arrays (n, t) or (n, t, c) called as `cnn_jax.data.npz.load_npz` says. Shorter series are
    filled up with what is not a number to the length of the longest.

    Args:
      path: see above.
      kind: of the targets: `class` (words or numbers), `number`, of `.npz` also `tags`.
      fill: what is done about values that are missing before the end of a series.
      name: of the set, by default `series:PATH`.
      test_part: of train where there is no test part, as of `cnn_jax.data.splits.cut_test`.
      columns: of tables with a heading, see `cnn_jax.data.series_files.read_series_file`.

    Raises:
      UserError: there is no such set, it cannot be read, or it does not hold such targets.
    """
    name = name or f"series:{path}"
    splits, class_names, notes = series_parts(path, name, kind, fill, columns)
    dataset = Dataset(
        name=name,
        class_names=class_names,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        source=str(user_path(path).resolve()),
        notes=tuple(notes),
    )
    return cut_test(dataset, test_part)


def series_parts(
    path: str | Path,
    name: str,
    kind: Kind,
    fill: Fill,
    columns: Columns | None = None,
    *,
    judged: bool = False,
) -> tuple[dict[str, Split], tuple[str, ...], list[str]]:
    """The parts of `series:PATH`, the names of what is told, and notes; see `load_series`.

    Args:
      path: as of `load_series`, and so `kind` and `fill`.
      name: of the set.
      kind: of the targets.
      fill: of missing values.
      columns: of tables with a heading.
      judged: whether nothing is learnt, so that there may be one class only and no training part.

    Raises:
      UserError: as of `load_series`.
    """
    notes: list[str] = []
    place, names = user_path(path), None
    columns = columns or Columns()
    if place.suffix.lower() == ".npz":
        if columns != Columns():
            raise UserError(f"--data.columns is for tables with a heading, and {name} has arrays")
        parts, names = _arrays(place, name, kind, notes)
    else:
        files = find_series(path, name, notes, judged=judged)
        parts = {part: _file(file, name, kind, notes, columns) for part, file in files.items()}
        names = listed_names(columns.names)
    whole = _completed(parts, name, fill, notes)
    class_names, targets = _told(parts, names, kind, name, judged)
    longest = max(len(each) for part in whole.values() for each in part)
    groups = _groups(place, parts, columns)
    splits = {
        part: Split(padded(whole[part], longest), targets[part], groups.get(part)) for part in parts
    }
    return splits, class_names, list(dict.fromkeys(notes))


def _groups(
    source: Path, parts: dict[str, _Part], columns: Columns
) -> dict[str, np.ndarray | None]:
    """The group of each series of each part, (n,) int32, where there are groups."""
    named = {part: each.groups for part, each in parts.items() if each.groups is not None}
    if not named:
        return {}
    check_groups(source, named, str(columns.group))
    known = sorted({group for each in named.values() for group in each})
    return {part: np.searchsorted(known, each).astype(np.int32) for part, each in named.items()}


def _file(file: Path, name: str, kind: Kind, notes: list[str], columns: Columns) -> _Part:
    found = read_series_file(file, columns=columns)
    notes += found.notes
    if kind not in ("class", "number"):
        raise UserError(f"{name} has classes or numbers, and the task learns {kind}")
    if not found.labels:
        raise UserError(f"{file} has neither @classLabel true nor @targetLabel true: no labels")
    if found.kind is not None and found.kind != kind:
        what = {"class": "classes (@classLabel)", "number": "numbers (@targetLabel)"}
        task = {"class": "classification", "number": "regression"}[found.kind]
        raise UserError(
            f"{file} has {what[found.kind]}, and the task learns {kind}; give --task.name {task}"
        )
    places = [f"line {place} of {file.name}" for place in found.places]
    if kind == "class":
        if len(found.labels[0]) > 1:
            raise UserError(
                f"--data.columns.targets names {len(found.labels[0])} columns, and a class stands "
                "in one; give --task.name regression to learn numbers"
            )
        words = [label_word(label) for (label,) in found.labels]
        return _Part(found.series, places, words, found.groups)
    # The column that is found by itself has no name worth telling.
    titles = found.titles if columns.targets else ()
    numbers = _told_numbers(found.labels, places)
    return _Part(found.series, places, numbers, found.groups, titles)


def _told_numbers(labels: Sequence[Sequence[str]], places: Sequence[str]) -> np.ndarray:
    numbers = np.full((len(labels), len(labels[0])), np.nan, np.float32)
    for row, (words, place) in enumerate(zip(labels, places, strict=True)):
        for column, word in enumerate(words):
            with contextlib.suppress(ValueError):  # which leaves what is no number
                numbers[row, column] = float(word)
            if not np.isfinite(numbers[row, column]):
                raise UserError(f"{place} tells {word!r}, which is no finite number")
    return numbers


def _arrays(
    file: Path, name: str, kind: Kind, notes: list[str]
) -> tuple[dict[str, _Part], list[str] | None]:
    whole, names, unknown = read_npz(file, name)
    if unknown:
        notes.append(f"passed over the arrays {', '.join(unknown)}")
    parts = {}
    for part, (inputs, targets) in whole.items():
        values = _three_axes(inputs, part, name, notes)
        if len(values) != len(targets) or not len(values):
            raise UserError(
                f"the {part} part of {name} has {len(values)} series and {len(targets)} targets; "
                "there must be as many, and one at least"
            )
        places = [f"series {place + 1} of the {part} part" for place in range(len(values))]
        wrong = np.flatnonzero(np.isinf(values).any(axis=(1, 2)))
        if wrong.size:
            more = f", and so do {len(wrong) - 1:,} others" * (len(wrong) > 1)
            raise UserError(
                f"{places[wrong[0]]} of {name} holds a value that is no finite number{more}"
            )
        told: list[str] | np.ndarray
        if kind == "class" and targets.dtype.kind in "US":
            told = [label_word(str(each)) for each in np.ravel(targets)]
        elif kind == "class":
            told = [str(each) for each in checked_targets(targets, kind, part)]
            if names is not None:
                told = [names[int(each)] if int(each) < len(names) else each for each in told]
        else:
            told = checked_targets(targets, kind, part)
        parts[part] = _Part(list(values), places, told)
    return parts, names


def _three_axes(values: np.ndarray, part: str, name: str, notes: list[str]) -> np.ndarray:
    """Series (n, t, c) float32."""
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.dtype.kind not in "iufb":
        raise UserError(
            f"the series of the {part} part of {name} are {values.shape} {values.dtype}; valid are "
            "numbers (n, times) and (n, times, channels)"
        )
    if values.shape[1] < values.shape[2]:
        values = np.moveaxis(values, 1, -1)
        notes.append(
            f"series have their {values.shape[-1]} channels before their {values.shape[1]} times; "
            "channels are put last"
        )
    return values.astype(np.float32)


def _completed(
    parts: dict[str, _Part], name: str, fill: Fill, notes: list[str]
) -> dict[str, list[np.ndarray]]:
    """The series (t, c) of each part, finite up to their ends, all of as many channels."""
    channels = {
        each.shape[1]: place
        for part in parts.values()
        for each, place in zip(part.series, part.places, strict=True)
    }
    if len(channels) > 1:
        such = ", ".join(f"{count} in {place}" for count, place in sorted(channels.items()))
        raise UserError(f"the series of {name} differ in their number of channels: {such}")
    whole, gaps = {}, 0
    for part, each in parts.items():
        whole[part], filled = completed(each.series, each.places, name, fill)
        gaps += filled
    if gaps:
        notes.append(
            f"missing values of {gaps:,} series are drawn as lines between their neighbours"
        )
    lengths = [len(each) for part in whole.values() for each in part]
    if min(lengths) < max(lengths):
        notes.append(
            f"series are of {min(lengths):,} to {max(lengths):,} times; nothing is made of what is "
            "beyond an end"
        )
    return whole


def _told(
    parts: dict[str, _Part], names: list[str] | None, kind: Kind, name: str, judged: bool
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """What is told is called, and the targets of each part."""
    if kind == "class":
        words = [str(label) for part in parts.values() for label in part.targets]
        class_names = _class_names(words, names, name, judged)
        known = {each: place for place, each in enumerate(class_names)}
        return class_names, {
            part: np.array([known[str(label)] for label in each.targets], np.int32)
            for part, each in parts.items()
        }
    targets = {part: np.asarray(each.targets) for part, each in parts.items()}
    widths = sorted({each.shape[1] for each in targets.values()})
    if len(widths) > 1:
        raise UserError(f"the parts of {name} tell {' and '.join(map(str, widths))} values")
    word = {"number": "number", "tags": "tag"}[kind]
    if names is not None and len(names) != widths[0]:
        raise UserError(f"{name} tells {widths[0]} values, but names {len(names)}")
    names = names or list(next(iter(parts.values())).titles)
    return tuple(names or (f"{word} {place}" for place in range(widths[0]))), targets


def _class_names(
    words: list[str], names: list[str] | None, name: str, judged: bool
) -> tuple[str, ...]:
    """The classes, numbers in their order."""
    found = set(words)
    if "" in found:
        raise UserError(f"{name} has series without a class")
    if names is not None:
        if strange := sorted(found - set(names)):
            raise UserError(f"{name} has classes without a name: {', '.join(strange[:9])}")
        return tuple(names)
    if len(found) < 2 and not judged:
        raise UserError(f"{name} has one class only, {words[0]}; there must be at least 2")
    values = {each: _number_of(each) for each in found}
    numbers = {each: value for each, value in values.items() if value is not None}
    broken = [each for each, value in numbers.items() if not value.is_integer()]
    if broken and 2 * len(found) > len(words):
        raise UserError(
            f"{name} tells numbers such as {min(broken)}, of which nearly every series has one of "
            "its own; give --task.name regression to learn them"
        )
    if len(numbers) == len(found):
        return tuple(sorted(found, key=numbers.__getitem__))
    return tuple(sorted(found))


def _number_of(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def padded(series: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Series (t, c) of any lengths as one array (n, length, c), not a number after their ends."""
    whole = np.full((len(series), length, series[0].shape[1]), np.nan, np.float32)
    for row, values in zip(whole, series, strict=True):
        row[: len(values)] = values
    return whole
