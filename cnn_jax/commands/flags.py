"""The flags of a dataclass: what a help page tells and a guess chooses from."""

from __future__ import annotations

import ast
import dataclasses
import functools
import itertools
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import tyro

from cnn_jax.duration import Duration

_POSITIONAL = tyro.conf.Positional[int].__metadata__[0]  # type: ignore[attr-defined]
_NO_PAIR = tyro.conf.FlagCreatePairsOff
_METAVARS = {int: "INT", float: "FLOAT", str: "TEXT", Path: "PATH", Duration: "DURATION"}


class Flag(NamedTuple):
    """A flag of a command line, or a word that stands without one.

    Attributes:
      path: of the field, such as `optimizer.learning_rate`.
      names: what may be typed, the shortest first; a word without a flag has its own name.
      value: what follows it, such as INT; empty of a switch.
      default: in words; empty where there is none.
      says: what the field means.
      positional: whether it stands without a flag.
      required: whether it must be given.
      hint: the type of its value.
      group: the field that holds it, such as `optimizer`, and what that one means.
    """

    path: str
    names: tuple[str, ...]
    value: str
    default: str
    says: str
    positional: bool
    required: bool
    hint: Any
    group: tuple[str, str]


def flags(
    kind: type[Any], default: Any = None, prefix: str = "", group: tuple[str, str] = ("", "")
) -> Iterator[Flag]:
    """The flags that a dataclass has on a command line, those of its dataclasses included.

    Args:
      kind: the dataclass.
      default: an instance whose values are the defaults; by default those of the fields.
      prefix: of the names.
      group: what the flags belong to.
    """
    hints, meanings = get_type_hints(kind, include_extras=True), field_docs(kind)
    # As Python has it in calls: what several commands have in common stands behind their own.
    for each in sorted(dataclasses.fields(kind), key=lambda each: each.kw_only is True):
        hint = hints[each.name]
        hint, *config = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        renamed = [mark.name for mark in config if getattr(mark, "name", None) is not None]
        name = renamed[0] if renamed else each.name
        path = prefix + name
        value = _value_of(each) if default is None else getattr(default, each.name)
        if dataclasses.is_dataclass(hint) and isinstance(hint, type) and hint not in _METAVARS:
            about = meanings.get(each.name) or _joined(hint.__doc__ or "")
            inside = (path, about) if path else group
            yield from flags(
                hint, None if value is dataclasses.MISSING else value, f"{path}." * bool(path),
                inside,
            )  # fmt: skip
            continue
        positional = _POSITIONAL in config
        flag = f"--{path.replace('_', '-')}"
        aliases = [alias for mark in config for alias in getattr(mark, "aliases", None) or ()]
        names = (name.upper(),) if positional else (*aliases, flag)
        if hint is bool:
            # A pair of switches, unless only the first is wanted.
            head, _, last = flag.rpartition(".") if "." in flag else ("-", "", flag[2:])
            paired = _NO_PAIR not in config
            names += (f"{head}{'.' if '.' in flag else '-'}no-{last}",) * paired
        text = "" if value is dataclasses.MISSING else written(value)
        metavar = "" if hint is bool else metavar_of(hint)
        # Where nothing is the default anyway, how to ask for it need not be told.
        metavar += "|none" * (type(None) in get_args(hint) and value is not None)
        says = meanings.get(each.name, "")
        required = value is dataclasses.MISSING
        yield Flag(path, names, metavar, text, says, positional, required, hint, group)


def _value_of(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return dataclasses.MISSING


def field_docs(kind: type[Any]) -> dict[str, str]:
    """What the strings below the fields of a dataclass say, each in one line.

    Those that it has from another say what they say there.
    """
    found = {}
    for each in reversed(kind.__mro__):
        if dataclasses.is_dataclass(each):
            found.update(_own_docs(each))
    return found


def _own_docs(kind: type[Any]) -> dict[str, str]:
    body = _classes(sys.modules[kind.__module__].__file__ or "").get(kind.__name__, [])
    return {
        statement.target.id: _joined(str(after.value.value))
        for statement, after in itertools.pairwise(body)
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
    }


@functools.cache
def _classes(file: str) -> dict[str, list[ast.stmt]]:
    tree = ast.parse(Path(file).read_text())
    return {each.name: each.body for each in tree.body if isinstance(each, ast.ClassDef)}


def _joined(text: str) -> str:
    return " ".join(text.split())


def metavar_of(hint: Any) -> str:
    """What is typed for a value of a type, such as `{a,b}` or `FLOAT FLOAT`."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return "|".join(metavar_of(each) for each in inner if each is not type(None))
    if origin is Literal:
        return f"{{{','.join(map(str, inner))}}}"
    if origin is tuple:
        if inner[1:] == (...,):
            return f"{metavar_of(inner[0])} ..."
        return " ".join(map(metavar_of, inner))
    if origin is Mapping:
        return "NAME=VALUE ..."
    return _METAVARS.get(hint, "{True,False}" if hint is bool else "VALUE")


def written(value: Any) -> str:
    """A default as it would be typed; empty for one that says nothing."""
    match value:
        case None | False | "":
            return ""
        case True:
            return "on"
        case float():
            return f"{value:g}"
        case Mapping():
            return " ".join(f"{name}={entry}" for name, entry in value.items())
        case tuple() | list():
            return " ".join(map(written, value))
    return str(value)
