"""Names, values and colours of the classes of masks, from a file of a user's."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnn_jax.data.csv_rows import csv_rows
from cnn_jax.data.image_folders import visible
from cnn_jax.data.signatures import verdict
from cnn_jax.data.utf8 import read_utf8
from cnn_jax.errors import UserError

Colour = tuple[int, int, int]

NAMES = (
    "classes.txt",
    "classes.csv",
    "classes.json",
    "class_dict.csv",
    "label_colors.txt",
    "labels.txt",
    "labelmap.txt",
)
"""What such a file is called where it lies beside the masks."""

_VOID = ("void", "unlabeled", "unlabelled", "ignore", "ignored", "unknown")
_COLOUR_AND_NAME = re.compile(r"(\d+)[\s,]+(\d+)[\s,]+(\d+)[\s,:]+(\S.*)")
_NAME_AND_COLOUR = re.compile(r"([^:]+):(\d+),(\d+),(\d+):.*")
_VALUE_AND_NAME = re.compile(r"(\d+)\s*[:,;\t ]\s*(\S.*)")
_RGB = (("r", "red"), ("g", "green"), ("b", "blue"))
_VALUE = ("id", "value", "index", "class_id", "label_id", "pixel")
_NAME = ("name", "class", "class_name", "classname", "label", "label_name")


@dataclass(frozen=True)
class ClassTable:
    """The classes of masks.

    Attributes:
      names: in the order of their values.
      values: what stands for each in a mask.
      colours: of each, where masks may be in colour; empty where none are given.
      file: where they were read.
    """

    names: tuple[str, ...]
    values: tuple[int, ...]
    colours: tuple[Colour, ...]
    file: Path

    @property
    def void(self) -> tuple[int, ...]:
        """The values of those whose name says that nothing is known of a pixel."""
        named = zip(self.names, self.values, strict=True)
        return tuple(value for name, value in named if name.lower() in _VOID)


def find_table_file(folders: Sequence[Path]) -> Path | None:
    """The file of class names in one of these folders, in capitals or not; None without one."""
    for folder in folders:
        there = {each.name.lower(): each for each in visible(folder)}
        for name in NAMES:
            file = there.get(name)
            if file is not None and file.is_file() and verdict(file) == "no image":
                return file
    return None


def read_classes(file: Path) -> ClassTable:
    """The classes that a file names.

    A text has a line a class: its name, its value and its name, or its colour (three numbers) and
    its name. A table in CSV has columns such as name, value, r, g, b. JSON is a list of names, or
    of objects with `name` and perhaps `id` and `color`, or an object of names by value. Without
    values classes are counted from 0.

    Raises:
      UserError: there is no such file, it is none of these, or a name, value or colour is twice
        there.
    """
    text = read_utf8(file)
    kind = file.suffix.lower()
    try:
        if kind == ".json":
            rows = _of_json(json.loads(text))
        elif kind == ".csv":
            rows = _of_csv(file, text)
        else:
            rows = _of_lines(text)
    except RecursionError:
        raise UserError(f"{file} is no list of classes: it is nested too deeply") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{file} is no list of classes ({error}); write a name a line, or a table with the "
            "columns name, value, r, g, b"
        ) from None
    rows.sort(key=lambda row: row[1])
    names, values, colours = (
        [tuple(each) for each in zip(*rows, strict=True)] if rows else ((),) * 3
    )
    if not names:
        raise UserError(f"{file} names no class")
    if "" in names:
        raise UserError(
            f"{file} has a class without a name, that of the value {values[names.index('')]}"
        )
    known = [each for each in colours if each is not None]
    if known and len(known) < len(names):
        raise UserError(f"{file} gives colours of {len(known)} of {len(names)} classes; give all")
    for what, each in (("name", names), ("value", values), ("colour", known)):
        again = sorted({str(one) for one in each if list(each).count(one) > 1})
        if again:
            raise UserError(f"{file} has the {what} {again[0]} more than once")
    return ClassTable(names, values, tuple(known), file)


_Row = tuple[str, int, Colour | None]


def _of_lines(text: str) -> list[_Row]:
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if found := _all(_COLOUR_AND_NAME, lines):
        return [(each[4].strip(), place, _colour(each[1:4])) for place, each in enumerate(found)]
    if found := _all(_NAME_AND_COLOUR, lines):
        return [(each[1].strip(), place, _colour(each[2:5])) for place, each in enumerate(found)]
    if found := _all(_VALUE_AND_NAME, lines):
        return [(each[2].strip(), int(each[1]), None) for each in found]
    return [(line, place, None) for place, line in enumerate(lines)]


def _all(form: re.Pattern[str], lines: Sequence[str]) -> list[list[str]]:
    """What each line holds of a form: itself, then its parts; empty unless every line has it."""
    found = [form.fullmatch(line) for line in lines]
    return [[each[0], *each.groups()] for each in found if each] if all(found) else []


def _of_csv(file: Path, text: str) -> list[_Row]:
    delimiter = max(",;\t|", key=text.lstrip().split("\n", 1)[0].count)
    rows = [row for row in csv_rows(file, text, delimiter) if "".join(row).strip()]
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    name = next((header.index(each) for each in _NAME if each in header), None)
    if name is None:
        return _of_lines("\n".join(",".join(row) for row in rows))
    value = next((header.index(each) for each in _VALUE if each in header), None)
    places = [next((header.index(each) for each in both if each in header), None) for both in _RGB]
    found: list[_Row] = []
    for place, row in enumerate(rows[1:]):
        if len(row) < len(header):
            raise ValueError(f"{','.join(row)} has {len(row)} cells, and {len(header)} are named")
        colour = (
            None if None in places else _colour([row[each] for each in places if each is not None])
        )
        found.append((row[name].strip(), place if value is None else int(row[value]), colour))
    return found


def _of_json(found: Any) -> list[_Row]:
    if isinstance(found, dict):
        inner = next(
            (found[key] for key in ("classes", "names", "categories") if key in found), None
        )
        if isinstance(inner, list | dict):
            return _of_json(inner)
        if all(isinstance(value, int) for value in found.values()):
            return [(name.strip(), _whole(value), None) for name, value in found.items()]
        return [(_called(name), int(value), None) for value, name in found.items()]
    rows: list[_Row] = []
    for place, each in enumerate(found):
        if isinstance(each, str):
            rows.append((_called(each), place, None))
            continue
        colour = each.get("color", each.get("colour"))
        value = next((each[key] for key in _VALUE if key in each), place)
        colours = None if colour is None else _colour(colour)
        rows.append((_called(each["name"]), _whole(value), colours))
    return rows


def _called(name: Any) -> str:
    if not isinstance(name, str | int | float):
        raise ValueError(f"{json.dumps(name)} is no name")
    return str(name).strip()


def _whole(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(f"{json.dumps(value)} is no whole number")
    return int(value)


def _colour(parts: Sequence[Any]) -> Colour:
    red, green, blue = (_whole(part) for part in parts)
    if not all(0 <= each <= 255 for each in (red, green, blue)):
        raise ValueError(f"{red} {green} {blue} is no colour")
    return red, green, blue
