"""How recipes are read from a command line: the types that tyro does not know."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import inspect
import logging
import re
import shutil
import sys
import types
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from cnn_jax.commands.flags import flags
from cnn_jax.commands.given_words import check_words, stray_word
from cnn_jax.commands.help_page import print_help
from cnn_jax.duration import Duration
from cnn_jax.errors import UserError, forget_closed_loops
from cnn_jax.own.names import own_names, with_own
from cnn_jax.recipe import Recipe
from cnn_jax.terminal import Fitted
from cnn_jax.user_path import user_path

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
def _path(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Path] | None:
    if info.type is not Path:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH",
        instance_from_str=_given_path,
        is_instance=lambda value: isinstance(value, Path),
        str_from_instance=lambda value: [str(value)],
    )


def _given_path(words: list[str]) -> Path:
    try:
        return user_path(words[0])
    except UserError as error:
        raise ValueError(error) from None  # tyro names the flag


@_registry.primitive_rule
def _none(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[None] | None:
    """The word for nothing that a shell is given; a folder of that name is ./none."""
    if info.type is not types.NoneType:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="none",
        instance_from_str=_given_none,
        is_instance=lambda value: value is None,
        str_from_instance=lambda value: ["none"],
    )


def _given_none(words: list[str]) -> None:
    if words[0].lower() != "none":
        raise ValueError(f"{words[0]!r} is not none")


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
    given = with_own(given, dict(own_names(default)))
    for field in ("model", "optimizer"):
        old, new = getattr(default, field), getattr(given, field)
        if old.name == new.name:
            options = {**old.options, **new.options}
        else:
            # None given: what stands there is still the other one's.
            options = {} if new.options == old.options else new.options
        changed[field] = dataclasses.replace(new, options=options)
    return dataclasses.replace(given, **changed)


def parse(
    kind: type[T],
    *,
    default: T | None = None,
    arguments: Sequence[str] | None = None,
    name: str | None = None,
    about: str | None = None,
    most_used: Sequence[str] = (),
) -> T:
    """A dataclass from the command line; `--help` prints its page and ends the process.

    Args:
      kind: the dataclass.
      default: what flags that are not given leave as it is.
      arguments: the words, by default those of the process.
      name: of the program in its help, by default that of its file.
      about: what its help begins with, by default the dataclass's docstring.
      most_used: paths of fields that its help names first.

    Raises:
      UserError: a flag is unknown or has no such value, a word is missing, or a word has no
        place: a `StrayWord`.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    before = words[: words.index("--")] if "--" in words else words
    if "--help" in before or "-h" in before:
        print_help(
            kind,
            name=name or sys.argv[0],
            about=about or inspect.getdoc(kind) or "",
            default=default,
            most_used=most_used,
        )
        sys.exit(0)
    program = name or Path(sys.argv[0]).name
    check_words(kind, words, program)
    # Usage lines and descriptions come from tyro in one piece.
    fitted: Any = Fitted(sys.stdout, shutil.get_terminal_size().columns)
    given: dict[str, Any] = {} if default is None else {"default": default}
    with _registry, contextlib.redirect_stdout(fitted):
        found, left = tyro.cli(kind, prog=name, args=words, return_unknown_args=True, **given)
    if left:
        raise stray_word(kind, left, program)
    return found


def flags_of(kind: type[Any]) -> set[str]:
    """The flags that a dataclass has on a command line, those of its dataclasses included."""
    return {name for flag in flags(kind) if not flag.positional for name in flag.names}


@contextlib.contextmanager
def foreign_flags_told(command: Any) -> Iterator[None]:
    """Within it a `UserError` says of the flags that it names which `command` does not have.

    Messages about data and recipes name the flags of an experiment, where most of them are read.
    """
    try:
        yield
    except UserError as error:
        named = dict.fromkeys(re.findall(r"(?<![\w=-])--[a-z][a-z0-9.-]*[a-z0-9]", str(error)))
        foreign = [flag for flag in named if flag not in flags_of(type(command))]
        if foreign:
            verb = "are flags" if len(foreign) > 1 else "is a flag"
            error.args = (
                f"{error}\n({' and '.join(foreign)} {verb} of an experiment's file, not of this "
                "command.)",
            )
        raise


def quiet_libraries() -> None:
    """Keeps remarks of libraries, which a user can do nothing about, off the terminal."""
    # Orbax logs what it then raises, traceback upon traceback.
    for name in ("absl", "asyncio", "concurrent.futures"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    forget_closed_loops()
    warnings.filterwarnings("ignore", category=DeprecationWarning)
