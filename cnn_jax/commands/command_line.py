"""How recipes are read from a command line: the types that tyro does not know."""

from __future__ import annotations

import ast
import dataclasses
import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from cnn_jax.duration import Duration
from cnn_jax.errors import UserError, forget_closed_loops
from cnn_jax.recipe import Recipe

T = TypeVar("T")

_registry = ConstructorRegistry()


@_registry.primitive_rule
def _duration(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Duration] | None:
    if info.type is not Duration:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="DURATION",
        instance_from_str=lambda words: Duration.parse(words[0]),
        is_instance=lambda value: isinstance(value, Duration),
        str_from_instance=lambda value: [str(value).replace(" ", "")],
    )


@_registry.primitive_rule
def _options(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Mapping[str, Any]] | None:
    if info.type_origin is not Mapping:
        return None
    return PrimitiveConstructorSpec(
        nargs="*",
        metavar="NAME=VALUE",
        instance_from_str=parse_options,
        is_instance=lambda value: isinstance(value, Mapping),
        str_from_instance=lambda value: [
            f"{name}={str(entry).replace(' ', '').strip('()')}" for name, entry in value.items()
        ],
    )


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """Options from words such as `widths=32,64`, `nesterov=True`, `kernel_init=he_normal`.

    Raises:
      UserError: a word has no name, or a name comes twice.
    """
    options: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.isidentifier():
            raise UserError(f"{word!r} is no option; options are written name=value")
        if name in options:
            raise UserError(f"the option {name} is given twice")
        if text.lower() in _WORDS:
            options[name] = _WORDS[text.lower()]
            continue
        try:
            options[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            options[name] = text
    return options


_WORDS = {"true": True, "false": False, "none": None}


def added_options(default: Recipe, given: Recipe) -> Recipe:
    """The recipe with the options of a command line added to those that it had before.

    Those of another model or optimizer are left behind.

    Args:
      default: the recipe of the experiment's file.
      given: as the command line changes it, with options replaced.
    """
    changed: dict[str, Any] = {}
    for field in ("model", "optimizer"):
        old, new = getattr(default, field), getattr(given, field)
        if old.name == new.name:
            options = {**old.options, **new.options}
        else:
            # None given: what stands there is still the other one's.
            options = {} if new.options == old.options else new.options
        changed[field] = dataclasses.replace(new, options=options)
    return dataclasses.replace(given, **changed)


def parse(kind: type[T], *, default: T | None = None, arguments: Sequence[str] | None = None) -> T:
    """A dataclass from the command line.

    Args:
      kind: the dataclass.
      default: what flags that are not given leave as it is.
      arguments: the words, by default those of the process.
    """
    with _registry:
        if default is None:
            return tyro.cli(kind, args=arguments)
        return tyro.cli(kind, args=arguments, default=default)


def quiet_libraries() -> None:
    """Keeps remarks of libraries, which a user can do nothing about, off the terminal."""
    # Orbax logs what it then raises, traceback upon traceback.
    for name in ("absl", "asyncio", "concurrent.futures"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    forget_closed_loops()
    warnings.filterwarnings("ignore", category=DeprecationWarning)
