"""What is said of a name that is no data set's."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from cnn_jax.data.sound_files import SUFFIXES
from cnn_jax.errors import UserError, unknown

_WITHOUT_TFDS = (
    "digits", "folder:PATH", "csv:FILE", "npz:FILE", "series:PATH", "ucr:NAME", "text:PATH",
    "sound:PATH", "video:PATH", "shapes", "moving_digits",
)  # fmt: skip


def unknown_set(name: str, catalog: Iterable[str]) -> UserError:
    """An error for a `name` that no data set has: a folder is to be written as one.

    Args:
      name: what was given.
      catalog: the names of the TFDS catalog.
    """
    _, colon, rest = name.partition(":")
    # folders:photos, Folder:photos, file:photos: whatever stands before the folder.
    for path in (name, rest) if colon else (name,):
        there = Path(os.path.expanduser(path))  # noqa: PTH111 - here a ~ without a home is no error
        if path and os.path.isdir(there):  # noqa: PTH112 - a name too long for a file is no folder
            series = any(there.glob("*_TRAIN.ts")) or any(there.glob("*_TRAIN.tsv"))
            form = "series" if series else "folder"
            if any(there.glob("*/*.wav")) or any(there.glob("*.wav")):
                form = "sound"
            return UserError(f"unknown data set {name!r}; did you mean {form}:{path}?")
        if path and os.path.isfile(there):  # noqa: PTH113
            form = there.suffix.lower().lstrip(".").replace("tsv", "csv").replace("txt", "csv")
            if there.suffix.lower() in SUFFIXES:
                return UserError(
                    f"{path} is a sound; a data set is the folder that holds a folder of sounds a "
                    f"class, or a table of these: sound:{there.parent}"
                )
            if form == "ts":
                return UserError(f"unknown data set {name!r}; did you mean series:{path}?")
            if form in ("csv", "npz"):
                return UserError(f"unknown data set {name!r}; did you mean {form}:{path}?")
            return UserError(
                f"{path} is a file; a data set is a name, a folder with a folder of images a "
                "class, written folder:PATH, a table of image files, csv:FILE, or arrays, npz:FILE"
            )
    if name.startswith((".", "~", os.sep)) or (os.sep in name and not colon):
        return UserError(
            f"unknown data set {name!r}; a folder is named folder:{name}, but there is no such "
            "folder"
        )
    return unknown("data set", name, [*catalog, *_WITHOUT_TFDS])
