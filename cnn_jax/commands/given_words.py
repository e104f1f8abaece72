"""The words of a command line, checked before they are read: flags, values, words too many."""

from __future__ import annotations

import difflib
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from cnn_jax.commands.flags import Flag, flags
from cnn_jax.duration import Duration
from cnn_jax.errors import UserError, unknown


def check_words(kind: type[Any], words: Sequence[str], name: str) -> None:
    """Checks the flags of a command line, their values, and that no word is missing.

    Args:
      kind: the dataclass of the command.
      words: those of the command line; what follows `--` is another program's.
      name: of the command, such as `cnn-jax data info`.

    Raises:
      UserError: a flag is unknown, and the nearest is named; its value is missing or none that it
        takes; a switch is told True or False; or a word that has no flag is missing.
    """
    found = list(flags(kind))
    named = {each: flag for flag in found if not flag.positional for each in flag.names}
    left = list(words[: words.index("--")] if "--" in words else words)
    free = []
    while left:
        word = left.pop(0)
        given, equals, value = word.partition("=")
        given = given if given in named else given.replace("_", "-")
        if given not in named:
            if given.startswith("--"):
                raise _unknown_flag(word.partition("=")[0], set(named))
            free.append(word)
            continue
        flag, values = named[given], [value] if equals else []
        most = 1 if equals else _most(flag.hint)
        while left and len(values) < most and not left[0].startswith("--") and left[0] not in named:
            values.append(left.pop(0))
        if flag.value:
            _check_values(flag, given, values)
        else:
            _check_switch(flag, given, values or left[:1])
    places = [flag for flag in found if flag.positional and flag.required]
    places = [flag for flag in places if not flag.value.endswith("...")]
    if len(free) < len(places) and "--" not in words:
        missing, every = places[len(free)], " ".join(flag.names[0] for flag in places)
        word, says = missing.names[0], missing.says[:1].lower() + missing.says[1:].rstrip(".")
        raise UserError(f"no {word} is given: {name} {every}, where {word} is {says}")


def _unknown_flag(given: str, known: set[str]) -> UserError:
    near = nearest(given.replace("_", "-"), known)
    meant = f"; did you mean {' or '.join(near)}?" if near else "."
    return UserError(f"unknown flag {given}{meant} --help lists all")


def _check_switch(flag: Flag, given: str, after: Sequence[str]) -> None:
    if after and after[0].lower() in ("true", "false"):
        names = " or ".join(flag.names)
        raise UserError(f"{given} takes no value, but {after[0]} follows it; give {names} alone")


def _check_values(flag: Flag, given: str, values: Sequence[str]) -> None:
    if _fits(flag.hint, values):
        return
    kinds = [each for each in _alternatives(flag.hint) if get_origin(each) is Literal]
    if kinds and values:
        raise unknown(f"value of {given}:", values[0], [str(each) for each in get_args(kinds[0])])
    what = " or ".join(map(_in_words, _alternatives(flag.hint)))
    got = f", not {' '.join(values)!r}" if values else " after it"
    raise UserError(f"{given} needs {what}{got}")


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _most(hint: Any) -> float:
    """How many words a value of a type has at most."""
    if hint is bool:
        return 0
    counts = []
    for each in _alternatives(hint):
        inner = get_args(each)
        endless = get_origin(each) is Mapping or inner[1:] == (...,)
        counts.append(float("inf") if endless else len(inner) if get_origin(each) is tuple else 1)
    return max(counts)


def _fits(hint: Any, words: Sequence[str]) -> bool:
    """Whether words are a value of a type. Of texts, paths and durations only the count is told."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(each, words) for each in inner)
    if origin is tuple:
        kinds = inner[:1] * len(words) if inner[1:] == (...,) else inner
        return len(kinds) == len(words) and all(
            _fits(kind, [word]) for kind, word in zip(kinds, words, strict=True)
        )
    if origin is Mapping:
        return True
    if len(words) != 1:
        return False
    if origin is Literal:
        return words[0] in map(str, inner)
    if hint is types.NoneType:
        return words[0].lower() == "none"
    if hint is bool:
        return words[0] in ("True", "False")
    if hint in (int, float):
        try:
            hint(words[0])
        except ValueError:
            return False
    return True


def _in_words(hint: Any) -> str:
    """What a value of a type is: `a number`, `none`, `2 whole numbers`."""
    inner = get_args(hint)
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if get_origin(hint) is tuple:
        many = {int: "whole numbers", float: "numbers", Path: "paths"}.get(inner[0], "words")
        return many if inner[1:] == (...,) else f"{len(inner)} {many}"
    kinds = {
        int: "a whole number",
        float: "a number",
        Path: "a path",
        Duration: "a duration, such as 10epochs or 500steps,",
        types.NoneType: "none",
        bool: "True or False",
    }
    return kinds.get(hint, "a word")


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
