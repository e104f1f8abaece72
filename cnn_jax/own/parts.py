"""How the parts of a recipe take code of a user's own, and numbers for durations."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from cnn_jax.duration import Duration
from cnn_jax.own.values import given

CODE = ("name", "own")
"""The fields that name code."""


class Part:
    """A part of a recipe: what is given as a value it holds by name, see `given`."""

    def __post_init__(self) -> None:
        """Puts names and durations in the place of what was given for them.

        Raises:
          UserError: a value is none that the field takes.
        """
        assert dataclasses.is_dataclass(self)
        for field in dataclasses.fields(self):
            old = getattr(self, field.name)
            new = _taken(type(self).__name__.lower(), field.name, str(field.type), old)
            if new is not old:
                object.__setattr__(self, field.name, new)


def _taken(role: str, field: str, kind: str, value: Any) -> Any:
    if kind == "Duration" or kind.startswith("Annotated[Duration"):
        return Duration.of(value)
    if kind == "tuple[Duration, ...]":
        return tuple(map(Duration.of, value))
    if field == "options" and any(map(callable, value.values())):
        return {k: given(v, role) if callable(v) else v for k, v in value.items()}
    if field == "metrics":
        return tuple(each if isinstance(each, str) else given(each, field) for each in value)
    if field not in CODE or value is None or isinstance(value, str):
        return value
    if role == "data" and not callable(value):
        return given(value, role, name=getattr(value, "name", "arrays"))
    return (_of_optax(value) if role == "optimizer" else None) or given(value, role)


def _of_optax(value: Any) -> str | None:
    """The name of a function of optax, which recipes know; None of others."""
    name = getattr(value, "__name__", None)
    libraries = [sys.modules.get(each) for each in ("optax", "optax.contrib")]
    known = name is not None and any(getattr(each, name, None) is value for each in libraries)
    return name if known else None
