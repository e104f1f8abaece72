"""Help pages: what a command does, then its flags, those first that are changed most."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from cnn_jax.commands.flags import Flag, flags
from cnn_jax.commands.output import show


def print_help(
    kind: type[Any],
    *,
    name: str,
    about: str,
    default: Any = None,
    most_used: Sequence[str] = (),
) -> None:
    """Prints the help of a command.

    Args:
      kind: the dataclass that is read from its words.
      name: of the program, with the command.
      about: what it does.
      default: an instance whose values are the defaults.
      most_used: paths of fields that come first, in this order.
    """
    found = list(flags(kind, default))
    words = [flag for flag in found if flag.positional]
    rest = [flag for flag in found if not flag.positional]
    shape = " ".join(_word(flag) for flag in words)
    lines: list[tuple[str, str]] = [("bold", f"usage: {name} {shape + ' ' * bool(shape)}[flags]")]
    lines += [("", ""), *(("", line) for line in paragraphs(about)), ("", "")]
    for flag in words:
        lines += _entry(flag)
    if most_used:
        by_path = {flag.path: flag for flag in rest}
        lines.append(("bold", "changed most"))
        for path in most_used:
            lines += _entry(by_path[path])
    for (group, says), members in groupby(
        sorted(rest, key=lambda flag: _place(flag, rest)), key=lambda flag: flag.group
    ):
        left = [flag for flag in members if flag.path not in most_used]
        if not left:
            continue
        title = group.replace("_", " ") or ("this run" if most_used else "flags")
        lines += [("", ""), ("bold", f"{title}{': ' * bool(says)}{says}")]
        for flag in left:
            lines += _entry(flag)
    show(lines)


def _place(flag: Flag, all_flags: Sequence[Flag]) -> int:
    """Where a flag's group begins: fields of one group may lie apart."""
    return next(i for i, each in enumerate(all_flags) if each.group == flag.group)


def _word(flag: Flag) -> str:
    if flag.value.endswith("..."):
        return f"[{flag.names[0]} ...]"
    return flag.names[0] if flag.required else f"[{flag.names[0]}]"


def _entry(flag: Flag) -> list[tuple[str, str]]:
    value = "" if flag.positional else f" {flag.value}".rstrip()
    default = f"  (default: {flag.default})" if flag.default else ""
    head = f"  {', '.join(flag.names)}{value}{default}"
    return [("", head), *([("dim", f"      {flag.says}")] if flag.says else [])]


def paragraphs(text: str) -> list[str]:
    """A docstring with the lines of a paragraph joined; what is indented stays as it is.

    A line such as `Command: ...` begins anew.
    """
    found: list[str] = []
    for line in text.strip("\n").splitlines():
        begins = not line.strip() or line.startswith(" ") or re.match(r"[A-Z][\w ]*: ", line)
        if begins or not found or not found[-1] or found[-1].startswith(" "):
            found.append(line.rstrip())
        else:
            found[-1] += f" {line.strip()}"
    return found
