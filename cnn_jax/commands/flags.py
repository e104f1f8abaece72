"""The flags of a dataclass: what a help page tells and a guess chooses from."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import functools
import itertools
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import tyro

from cnn_jax.duration import Duration
from cnn_jax.errors import UserError

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
      optional: whether it may be left out.
      group: the field that holds it, such as `optimizer`, and what that one means: the string
        below it, else the docstring of its dataclass.
    """

    path: str
    names: tuple[str, ...]
    value: str
    default: str
    says: str
    positional: bool
    optional: bool
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
        says, optional = meanings.get(each.name, ""), value is not dataclasses.MISSING
        yield Flag(path, names, metavar, text, says, positional, optional, group)


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


def check_flags(kind: type[Any], words: Sequence[str]) -> None:
    """Checks that a dataclass has the flags that are given, and that switches have no value.

    Raises:
      UserError: one is unknown; it names the nearest. Or a switch is told True or False.
    """
    named = [flag for flag in flags(kind) if not flag.positional]
    known = {name for flag in named for name in flag.names}
    switches = {name: flag for flag in named if not flag.value for name in flag.names}
    for word, after in itertools.zip_longest(words, words[1:], fillvalue=""):
        if word == "--":
            return
        given, equals, value = word.partition("=")
        given = given.replace("_", "-")
        value = value if equals else after
        if given in switches and value.lower() in ("true", "false"):
            names = " or ".join(switches[given].names)
            raise UserError(f"{given} takes no value, but {value} follows it; give {names} alone")
        if given.startswith("--") and given not in known:
            near = nearest(given, known)
            meant = f"; did you mean {' or '.join(near)}?" if near else "."
            raise UserError(f"unknown flag {word.partition('=')[0]}{meant} --help lists all")


class StrayWord(UserError):
    """A word stands where a command takes none.

    Attributes:
      word: the first of such words.
      near: the flag that was probably meant; empty if none is like it.
    """

    def __init__(self, message: str, word: str, near: str) -> None:
        super().__init__(message)
        self.word = word
        self.near = near


def stray_word(kind: type[Any], words: Sequence[str], name: str) -> StrayWord:
    """The error for words that neither belong to a flag nor have a place without one.

    Args:
      kind: the dataclass of the command.
      words: those words, one at least.
      name: of the command, such as `cnn-jax data info`.
    """
    word, found = words[0], list(flags(kind))
    known = {each for flag in found if not flag.positional for each in flag.names}
    if word.startswith("-"):
        return StrayWord(f"unknown flag {word}. --help lists all", word, "")
    # Such as `epochs=5`, or the name of a flag without its dashes.
    given = f"--{word.partition('=')[0].replace('_', '-')}"
    near = given if given in known else ""
    places = [flag for flag in found if flag.positional]
    takes = ", ".join(flag.names[0] for flag in places)
    text = f"unexpected word {word!r}: {name} takes {takes}{' and ' * bool(takes)}flags"
    if near:
        text += f"; did you mean {near}?"
    elif any(flag.value.endswith("...") for flag in places):
        text += f", and all {places[-1].names[0]} stand together; put them before the flags"
    else:
        text += " only; leave it out, or give the flag that it belongs to (--help lists all)"
    return StrayWord(text, word, near)


def nearest(flag: str, known: set[str]) -> list[str]:
    """Flags that may have been meant, at most three: those that end alike, then those like it."""
    tail = flag.removeprefix("--").rpartition(".")[2]
    names = sorted(known)
    ends = [name for name in names if name.endswith(f".{tail}")]
    alike = difflib.get_close_matches(flag, names, n=3, cutoff=0.6)
    tails = {name.removeprefix("--").rpartition(".")[2]: name for name in names}
    close = [tails[each] for each in difflib.get_close_matches(tail, tails, n=2, cutoff=0.75)]
    best = close + alike if "." not in flag else alike + close
    return list(dict.fromkeys((ends + best) if len(ends) <= 3 else best or ends))[:3]
