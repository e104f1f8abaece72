"""A way to a folder for libraries that take some signs in a path for a pattern."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from cnn_jax.errors import UserError

_PLAIN = re.compile(r"[A-Za-z0-9/._=+,@:~-]+")
"""Paths that mean themselves to Orbax, which lists folders by patterns and finds nothing in
`lr=[0.1]`, and to TensorStore, which takes UTF-8 only."""

_OPEN = Path("/proc/self/fd")
"""Where Linux shows what a process has open, by number."""


@contextlib.contextmanager
def plain_path(folder: Path) -> Iterator[Path]:
    """Within it a path of plain letters leads to a folder, whatever the folder is called.

    Mostly it is the folder's own, made absolute. Else it leads over an open file of this process:
    unlike a symbolic link in a temporary folder it goes with the process, however that ends.

    Args:
      folder: it is there.

    Raises:
      UserError: it has another sign in its path, and this system shows no open files.
    """
    found = folder.resolve()
    if _PLAIN.fullmatch(str(found)):
        yield found
        return
    number = os.open(found, os.O_RDONLY | os.O_DIRECTORY)
    try:
        way = _OPEN / str(number)
        if not way.is_dir():
            signs = "".join(sorted(set(_PLAIN.sub("", str(found)))))
            raise UserError(
                f"{folder} has signs in its path which Orbax cannot read here ({signs!r}); choose "
                "a path of letters, digits, points and hyphens"
            )
        yield way
    finally:
        os.close(number)
