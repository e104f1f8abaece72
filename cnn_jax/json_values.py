"""Frozen dataclasses to and from JSON."""

from __future__ import annotations

import json
import os
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

import cattrs
import cattrs.errors

from cnn_jax.duration import Duration
from cnn_jax.errors import UserError

T = TypeVar("T")

_converter = cattrs.Converter(forbid_extra_keys=True)
_converter.register_unstructure_hook(Duration, str)
_converter.register_structure_hook(Duration, lambda text, _: Duration.parse(text))
# Options hold plain literals; JSON has no tuples, so sequences come back as tuples.
_converter.register_structure_hook_func(
    lambda kind: get_origin(kind) is Mapping or kind is Mapping,
    lambda value, _: {name: _tuples(entry) for name, entry in value.items()},
)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list | tuple) else value


def _is_optional_tuple(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType) and any(
        get_origin(arm) is tuple for arm in get_args(kind)
    )


_converter.register_structure_hook_func(
    _is_optional_tuple,
    lambda value, kind: (
        None
        if value is None
        else _converter.structure(
            value, next(arm for arm in get_args(kind) if get_origin(arm) is tuple)
        )
    ),
)


def to_json(value: Any) -> Any:
    """A dataclass as plain dictionaries, lists, strings and numbers, equal however written."""
    return json.loads(json.dumps(_converter.unstructure(value)))


def from_json(data: Any, kind: type[T], source: str) -> T:
    """A dataclass of the type `kind` from plain values.

    Args:
      data: what `to_json` gave.
      kind: a dataclass.
      source: where the data stand, for the error.

    Raises:
      UserError: a field is unknown, missing or of the wrong type.
    """
    try:
        return _converter.structure(data, kind)
    except (cattrs.errors.BaseValidationError, UserError) as error:
        reasons = "; ".join(cattrs.transform_error(error)) or str(error)
        raise UserError(f"{source} does not fit this version of cnn_jax: {reasons}") from None


def write_json(path: Path, value: Any) -> None:
    """Writes JSON so that the file is either the old one or the whole new one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w") as file:
            json.dump(value, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
      UserError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON: {error}") from None


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """One line for each field that differs between two values of `to_json`."""
    if isinstance(old, dict) and isinstance(new, dict):
        lines: list[str] = []
        for name in sorted(old.keys() | new.keys()):
            inner = f"{path}.{name}" if path else name
            lines += differences(old.get(name), new.get(name), inner)
        return lines
    return [] if old == new else [f"{path}: {json.dumps(old)} stored, {json.dumps(new)} now"]


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The entries of nested mappings by path, such as `optimizer.learning_rate`."""
    found: dict[str, Any] = {}
    for name, entry in value.items():
        if isinstance(entry, Mapping):
            found |= flat(entry, f"{prefix}{name}.")
        else:
            found[prefix + name] = entry
    return found
