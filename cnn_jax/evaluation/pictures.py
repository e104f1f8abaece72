"""Which pictures the words of a command line stand for."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cnn_jax.data.files_below import below
from cnn_jax.data.images import UnreadableImage
from cnn_jax.data.signatures import verdict
from cnn_jax.errors import UserError

Wanted = Callable[[Path], bool]

STANDARD_INPUT = Path("-")
"""The picture that another program writes to this one."""


def is_picture(path: Path) -> bool:
    """Whether a file may be a picture, by its first bytes and its name."""
    return verdict(path) != "no image"


def pictures(
    words: Sequence[Path], wanted: Wanted | None = None, what: str = "pictures"
) -> tuple[list[Path], list[UnreadableImage]]:
    """The files that are meant, in order, and what there is to say of words that find none.

    Args:
      words: files; folders, of which the pictures in them and in their folders are meant; patterns
        such as `*.jpg`, unless a file is called just so; `-` for standard input.
      wanted: which files of a folder are meant, by default pictures.
      what: these are, in words.
    """
    wanted = wanted or is_picture
    found: list[Path] = []
    bad: list[UnreadableImage] = []
    for word in words:
        meant = list(_meant(word, wanted))
        if meant:
            found += meant
        elif os.path.isdir(word):  # noqa: PTH112 - a Path's method raises where it may not look
            bad.append(UnreadableImage(str(word), f"holds no {what}"))
        else:
            bad.append(UnreadableImage(str(word), "there is no such file, folder or pattern"))
    return found, bad


def check_apart(files: Sequence[Path], folder: Path) -> None:
    """Refuses to write into a folder of the pictures that are read, over which it could write.

    Args:
      files: that are read.
      folder: that is written to.

    Raises:
      UserError: one lies in it.
    """
    place = folder.resolve()
    for file in files:
        if file != STANDARD_INPUT and file.parent.resolve() == place:
            raise UserError(
                f"--output {folder} is where {file.name} lies, and pictures there could be "
                "written over; give another folder"
            )


def content(picture: Path) -> bytes:
    """The bytes of a file, a pipe or standard input.

    Raises:
      UnreadableImage: it cannot be read, or is empty.
    """
    try:
        found = sys.stdin.buffer.read() if picture == STANDARD_INPUT else picture.read_bytes()
    except OSError as error:
        raise UnreadableImage(str(picture), f"cannot be read ({error.strerror})") from error
    if not found:
        raise UnreadableImage(str(picture), "is empty")
    return found


def _meant(word: Path, wanted: Wanted) -> Iterator[Path]:
    if word == STANDARD_INPUT:
        yield word
    elif os.path.isdir(word):  # noqa: PTH112
        yield from _below(word, wanted)
    elif os.path.lexists(word):
        yield word
    elif glob.has_magic(str(word)):
        pattern = os.path.expanduser(word)  # noqa: PTH111 - as the shell does with it
        for each in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207 - `**` and hidden
            path = Path(each)
            if path.is_dir():
                # With `**` each folder is found beside what it holds.
                if "**" not in pattern:
                    yield from _below(path, wanted)
            else:
                yield path


def _below(folder: Path, wanted: Wanted) -> Iterator[Path]:
    """The wanted files in a folder and in its folders, but for the hidden, by name."""
    for path in sorted(below(folder), key=_files_first):
        if not path.is_dir() and wanted(path):
            yield path


def _files_first(path: Path) -> list[tuple[bool, str]]:
    """Sorts what is in a folder before what is in its folders."""
    return [*((True, part) for part in path.parts[:-1]), (False, path.name)]
