r"""Paths as files tell them that were written on Windows, with `\` between folders."""

from __future__ import annotations

from collections.abc import Callable


def with_slashes(
    names: list[str], is_there: Callable[[str], bool], where: str, notes: list[str]
) -> list[str]:
    r"""Names of files in which `\` is read as `/` where nothing is called as they are written.

    Args:
      names: as they are written.
      is_there: whether there is a file of a name.
      where: they are written, for the note that tells of it.
      notes: what there is to say is added to them.
    """
    turned = {
        name: plain
        for name in dict.fromkeys(names)
        if "\\" in name and not is_there(name) and is_there(plain := name.replace("\\", "/"))
    }
    if turned:
        first = next(iter(turned))
        notes.append(f"paths of {where} such as {first} are written with \\ and read with /")
    return [turned.get(name, name) for name in names]
