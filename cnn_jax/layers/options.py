"""Checks of the fields of a model: their names, types and values."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union

from flax import linen as nn

from cnn_jax.errors import UserError, unknown
from cnn_jax.layers import initialisers

_NOT_OPTIONS = {"num_classes", "dtype", "parent", "name"}


def defaults(module: type[nn.Module]) -> dict[str, Any]:
    """The options of a model class with their defaults: its fields but num_classes and dtype."""
    return {
        field.name: field.default
        if field.default_factory is dataclasses.MISSING
        else field.default_factory()
        for field in dataclasses.fields(module)
        if field.init and field.name not in _NOT_OPTIONS
    }


def checked(
    model: str, module: type[nn.Module], options: Mapping[str, Any], base: Mapping[str, Any]
) -> dict[str, Any]:
    """The `options` as the types that the fields of `module` are declared with.

    Lists become tuples and whole numbers become floats where the field is so declared.

    Args:
      model: name of the model, for messages.
      module: the class whose annotations are checked against.
      options: values by field name.
      base: all valid options with their defaults.

    Raises:
      UserError: an unknown option, or a value of the wrong type.
    """
    try:
        hints = typing.get_type_hints(module)
    except NameError:
        hints = {}  # of a user's own class, defined where its annotations cannot be looked up
    result = {}
    for name, value in options.items():
        if name not in base:
            error = unknown(f"option of model {model!r}:", name, base)
            raise UserError(f"{error} Defaults: {_listing(base)}.")
        try:
            result[name] = _convert(value, hints.get(name, Any))
        except TypeError:
            raise UserError(
                f"option {name}={value!r} of model {model!r} must be {describe(hints[name])}, "
                f"for instance {name}={base[name]!r}"
            ) from None
    return result


def _listing(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items()) or "none"


def describe(hint: Any) -> str:
    """A type annotation in words, such as `a tuple of whole numbers` or `'none' or 'batch'`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join(map(describe, arguments))
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return f"a tuple, each {describe(arguments[0])}"
        return f"a tuple ({', '.join(map(describe, arguments))})"
    if origin is Callable or hint is Callable or origin is typing.get_origin(Callable[..., Any]):
        return "a function"
    words = {int: "a whole number", float: "a number", str: "a text", bool: "True or False"}
    if origin is Mapping:
        return "a dictionary"
    if hint is None or hint is type(None):
        return "None"
    return words.get(hint, str(hint))


def _convert(value: Any, hint: Any) -> Any:
    """`value` as the type `hint`; raises TypeError where it is not of that type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin is Literal:
        for valid in arguments:
            if type(valid) is type(value) and valid == value:
                return value
        if value is None and "none" in arguments:
            return "none"  # as a command line has it, where `none` is nothing
        raise TypeError
    if origin in (Union, types.UnionType):
        for argument in arguments:
            try:
                return _convert(value, argument)
            except TypeError:
                continue
        raise TypeError
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise TypeError
        if arguments[-1] is Ellipsis:
            return tuple(_convert(item, arguments[0]) for item in value)
        if len(value) != len(arguments):
            raise TypeError
        return tuple(map(_convert, value, arguments))
    if isinstance(value, bool) and hint is not bool:
        raise TypeError
    if hint is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, origin or hint):
        raise TypeError
    return value


def check_positive(module: nn.Module, *names: str) -> None:
    """Checks that the fields are whole numbers above zero, or tuples of such.

    Raises:
      UserError: one is not.
    """
    for name in names:
        value = getattr(module, name)
        items = value if isinstance(value, tuple) else (value,)
        if not all(isinstance(item, int) and item > 0 for item in items):
            raise UserError(
                f"{name}={value!r} of {type(module).__name__}: must be above zero, whole numbers"
            )


def check_rate(module: nn.Module, *names: str) -> None:
    """Checks that the fields are probabilities in [0, 1).

    Raises:
      UserError: one is not.
    """
    for name in names:
        value = getattr(module, name)
        if not 0 <= value < 1:
            raise UserError(
                f"{name}={value!r} of {type(module).__name__}: must be at least 0 and below 1"
            )


def check_initialisers(module: nn.Module) -> None:
    """Checks the names in the fields kernel_init and bias_init, where the module has them.

    Raises:
      UserError: one is not known.
    """
    if hasattr(module, "kernel_init"):
        initialisers.kernel(module.kernel_init)
    if hasattr(module, "bias_init"):
        initialisers.bias(module.bias_init, fan_in=1)
