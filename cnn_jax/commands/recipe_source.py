"""A recipe as the Python code that makes it, for a file that a user goes on with."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from cnn_jax.duration import Duration
from cnn_jax.recipe import Recipe

_WIDTH = 100
_INDENT = " " * 4

_ALWAYS = ("data", "task", "model", "optimizer", "schedule", "batch_size", "duration")
"""Fields of a recipe that are changed most: written also where they are the default."""
_NAMES = ("name", "source")
"""Fields that stand first in their part and need no name of their own in a call."""


def recipe_source(recipe: Recipe, notes: Mapping[str, str]) -> tuple[str, str]:
    """The code of a recipe, with the fields that differ from the defaults.

    Args:
      recipe: whose parts hold numbers, texts, tuples and dictionaries, and no code of one's own.
      notes: comments before its fields, by their names.

    Returns:
      The import that the file needs, `main` included, and the call of `Recipe`.
    """
    used = {"Recipe", "main"}
    lines = ["Recipe("]
    for name, value in _changed(recipe, Recipe(recipe.name), _ALWAYS):
        if note := notes.get(name):
            comment = textwrap.wrap(note, _WIDTH - len(_INDENT) - 2, break_on_hyphens=False)
            lines += [f"{_INDENT}# {line}" for line in comment]
        lines += [f"{_INDENT}{line}" for line in _written(value, f"{name}=", used, len(_INDENT))]
    return _import(used), "\n".join([*lines, ")"])


def _import(used: set[str]) -> str:
    names = sorted(used)
    line = f"from cnn_jax import {', '.join(names)}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join(["from cnn_jax import (", *(f"{_INDENT}{name}," for name in names), ")"])


def _changed(part: Any, plain: Any, always: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if field.name in (*always, *_NAMES) or value != getattr(plain, field.name):
            yield field.name, value


def _written(value: Any, before: str, used: set[str], indent: int) -> list[str]:
    """Lines of a value with what stands before it, and a comma behind it.

    Args:
      value: see `recipe_source`.
      before: such as `data=`.
      used: names that the code needs are added to it.
      indent: how far in the lines will stand.
    """
    if isinstance(value, Duration):
        used.add(value.unit)
        return [f"{before}{value.unit}({value.amount:g}),"]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        used.add(kind.__name__)
        # A part says its name, but a source of weights only where there is one.
        fields = [each for each in _changed(value, kind()) if each[1] is not None]
        inside = [("" if name in _NAMES else f"{name}=", each) for name, each in fields]
        opened, closed = f"{kind.__name__}(", ")"
    elif isinstance(value, Mapping):
        inside = [(f"{_quoted(name)}: ", each) for name, each in value.items()]
        opened, closed = "{", "}"
    elif isinstance(value, tuple):
        inside = [("", each) for each in value]
        opened, closed = "(", ",)" if len(value) == 1 else ")"
    else:
        return [f"{before}{_quoted(value)},"]
    parts = [_written(each, name, used, indent + len(_INDENT)) for name, each in inside]
    joined = ", ".join(part[0].removesuffix(",") for part in parts)
    line = f"{before}{opened}{joined}{closed},"
    if all(len(part) == 1 for part in parts) and indent + len(line) <= _WIDTH:
        return [line]
    broken = [f"{_INDENT}{line}" for part in parts for line in part]
    return [f"{before}{opened}", *broken, f"{closed.removeprefix(',')},"]


def _quoted(value: Any) -> str:
    """As `repr`, and texts in double quotes."""
    text = repr(value)
    return f'"{text[1:-1]}"' if isinstance(value, str) and '"' not in text else text
