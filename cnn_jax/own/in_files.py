"""Code of a user's own that a command line names: `FILE.py:NAME`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from cnn_jax.errors import UserError, unknown
from cnn_jax.own.importing import imported
from cnn_jax.own.parts import CODE
from cnn_jax.own.values import held_by
from cnn_jax.user_path import user_path

_NAMED = re.compile(r"(.+\.py):([A-Za-z_][\w.]*)")

T = TypeVar("T")


def with_files(recipe: T) -> T:
    """A recipe in which every `FILE.py:NAME` has become that code.

    Args:
      recipe: whose parts may have one where a name of code stands, and in their options; and whose
        metrics may be such.

    Raises:
      UserError: there is no such file, or nothing of this name in it.
    """
    assert dataclasses.is_dataclass(recipe) and not isinstance(recipe, type)
    changed: dict[str, Any] = {}
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = [each for each in (*CODE, "options") if hasattr(value, each)]
            new = {name: _found(getattr(value, name)) for name in names}
            new = {name: each for name, each in new.items() if each is not getattr(value, name)}
            if new:
                changed[field.name] = dataclasses.replace(value, **new)
        elif field.name == "metrics":
            changed[field.name] = metrics = tuple(map(_found, value))
            for each in metrics:
                if type(each) is str:
                    raise UserError(f"--metrics {each} is not written FILE.py:NAME")
    return dataclasses.replace(recipe, **changed)


def named_code(flag: str, value: str) -> Any:
    """What FILE.py:NAME stands for.

    Args:
      flag: where it is written, for the error.
      value: the name.

    Raises:
      UserError: it is not written so, or there is no such file, or nothing of this name in it.
    """
    if _NAMED.fullmatch(value) is None:
        raise UserError(f"{flag} {value} is not written FILE.py:NAME")
    return _found(value)


def _found(value: Any) -> Any:
    if isinstance(value, Mapping):
        new = {name: _found(each) for name, each in value.items()}
        return new if any(new[name] is not value[name] for name in new) else value
    named = _NAMED.fullmatch(value) if type(value) is str else None
    if named is None:
        return value
    file, name = user_path(named[1]), named[2]
    if not file.is_file():
        raise UserError(f"{value} names code in a file, but {file} is not there")
    module = imported(file.resolve(), file.stem)
    found = held_by(vars(module), name)
    if found is None:
        there = [each for each, held in vars(module).items() if _is_of(held, module)]
        raise unknown(f"name in {file}:", name, there)
    return found


def _is_of(held: Any, module: Any) -> bool:
    return callable(held) and getattr(held, "__module__", None) == module.__name__
