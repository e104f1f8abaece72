"""All that lies below a folder, behind links as well."""

from __future__ import annotations

import os
from pathlib import Path

from cnn_jax.errors import UserError


def below(folder: Path) -> list[Path]:
    """The files and folders below a folder in their order, but for what is hidden.

    Links to folders are entered, unlike by `Path.rglob`: a set is often a folder of links to its
    classes. A link to a folder that it lies in is not. What is no folder is taken for a file, so
    that a link which leads nowhere is told of by whoever reads it.

    Raises:
      UserError: a folder cannot be looked into.
    """
    found: list[Path] = []
    _enter(folder, frozenset(), found)
    return sorted(found)


def _enter(folder: Path, above: frozenset[tuple[int, int]], found: list[Path]) -> None:
    try:
        status = folder.stat()
        with os.scandir(folder) as entries:
            there = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror})") from None
    here = status.st_dev, status.st_ino
    if here in above:
        return
    for entry in there:
        path = folder / entry.name
        found.append(path)
        if os.path.isdir(path):  # noqa: PTH112 - a Path's method raises where it may not look
            _enter(path, above | {here}, found)
