"""Tables of patterns between two ways to name the parts of a model, read in both directions."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from cnn_jax.errors import UserError
from cnn_jax.pretrained.tensors import shown

Rows = Sequence[tuple[str, str]]
"""Regular expressions over their names, each with the replacement that makes ours of it."""


class NameTable:
    r"""Our names from theirs and theirs from ours, by a table of patterns.

    A row such as `(r"layer(\d)\.(\d+)\.conv1", r"stage\1/block\2/conv1")` holds for names that
    the whole pattern matches; the first row that does counts. To be read backwards, what varies
    in a pattern must stand in groups that the replacement uses; of alternatives outside them,
    such as `(?:shortcut|downsample)`, the first is written.

    Raises:
      UserError: a pattern is no regular expression, or its replacement none for it.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._patterns = [_compiled(*row) for row in rows]

    def ours(self, name: str) -> str | None:
        """Our name of what they call `name`, if a row holds for it."""
        for pattern, (_, replacement) in zip(self._patterns, self._rows, strict=True):
            if match := pattern.fullmatch(name):
                return match.expand(replacement)
        return None

    def theirs(self, name: str) -> str | None:
        """Their name of what we call `name`, if there is one that `ours` makes it of.

        Raises:
          UserError: a row cannot be read backwards.
        """
        for mirror in self._mirrors:
            if match := mirror.pattern.fullmatch(name):
                found = "".join(
                    match[f"g{part}"] if isinstance(part, int) else part for part in mirror.parts
                )
                if self.ours(found) == name:
                    return found
        return None

    @functools.cached_property
    def _mirrors(self) -> list[_Mirror]:
        return [_Mirror.of(*row) for row in self._rows]


def checked(pattern: str) -> re.Pattern[str]:
    """A regular expression.

    Raises:
      UserError: it is none.
    """
    try:
        return re.compile(pattern)
    # Numbers that are too large, and groups that stand too deep in others.
    except (re.error, OverflowError, RecursionError) as error:
        raise UserError(f"{shown(repr(pattern))} is no regular expression: {error}") from None


def _compiled(pattern: str, replacement: str) -> re.Pattern[str]:
    compiled = checked(pattern)
    if any(int(group) > compiled.groups for group in _REFERENCE.findall(replacement)):
        raise UserError(f"{replacement!r} uses a group that {pattern!r} does not have")
    if "\\" in _REFERENCE.sub("", replacement):
        raise UserError(f"{replacement!r}: only groups such as \\1 stand after a backslash")
    return compiled


_REFERENCE = re.compile(r"\\(\d)")


@dataclass(frozen=True)
class _Mirror:
    """A row to be read backwards.

    Attributes:
      pattern: matches our names, with group n of the row's pattern as `gn`.
      parts: of their names: fixed text and numbers of groups.
    """

    pattern: re.Pattern[str]
    parts: list[str | int]

    @classmethod
    def of(cls, pattern: str, replacement: str) -> _Mirror:
        reader = _Reader(pattern)
        parts = reader.alternatives()
        mirror, position = "", 0
        used: set[int] = set()
        for reference in _REFERENCE.finditer(replacement):
            group = int(reference[1])
            if group not in reader.groups:
                raise UserError(
                    f"{replacement!r} cannot be read backwards: group {group} of {pattern!r} "
                    "stands in another group"
                )
            mirror += re.escape(replacement[position : reference.start()])
            mirror += f"(?P=g{group})" if group in used else f"(?P<g{group}>{reader.groups[group]})"
            position = reference.end()
            used.add(group)
        mirror += re.escape(replacement[position:])
        if not used.issuperset(part for part in parts if isinstance(part, int)):
            raise UserError(
                f"{pattern!r} cannot be read backwards: {replacement!r} does not use all its groups"
            )
        return cls(re.compile(mirror), parts)


@dataclass
class _Reader:
    """Takes a regular expression, known to be valid, apart.

    Attributes:
      groups: the inside of each capturing group by its number; groups inside it capture nothing.
    """

    pattern: str
    groups: dict[int, str] = field(default_factory=dict)
    _place: int = 0
    _opened: int = 0

    def alternatives(self) -> list[str | int]:
        """The first of the alternatives up to the next unopened parenthesis."""
        first = self._sequence()
        while self._peek() == "|":
            self._place += 1
            self._sequence()
        return first

    def _sequence(self) -> list[str | int]:
        parts: list[str | int] = []
        while (character := self._peek()) not in ("|", ")", ""):
            self._place += 1
            atom: list[str | int]
            if character == "(":
                atom = self._group()
            elif character == "\\":
                escaped = self._peek()
                self._place += 1
                if escaped.isalnum() and not escaped.isdigit():
                    raise self._varies("\\" + escaped)
                atom = [int(escaped)] if escaped.isdigit() else [escaped]
            elif character in ".^$[*+{":
                raise self._varies(character)
            else:
                atom = [character]
            if self._peek() == "?":  # what may be missing is left out
                if any(isinstance(part, int) for part in atom):
                    raise self._varies("a group that may be missing")
                self._place += 1
                atom = []
            parts += atom
        return parts

    def _group(self) -> list[str | int]:
        if self.pattern.startswith("?:", self._place):
            self._place += 2
            parts = self.alternatives()
            self._place += 1
            return parts
        if self._peek() == "?":
            raise self._varies("(?")
        self._opened += 1
        number, inside, depth = self._opened, "", 1
        for token in _TOKEN.finditer(self.pattern, self._place):
            text = token[0]
            depth += text.startswith("(") - (text == ")")
            if depth == 0:
                self._place = token.end()
                break
            self._opened += text == "("
            inside += "(?:" if text == "(" else text
        self.groups[number] = inside
        return [number]

    def _peek(self) -> str:
        return self.pattern[self._place : self._place + 1]

    def _varies(self, what: str) -> UserError:
        return UserError(
            f"{self.pattern!r} cannot be read backwards: {what} stands outside a plain group"
        )


# An escaped character, a class of characters, what opens a group, or any other character.
_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]])*\]|\(\?:|\(|.")
