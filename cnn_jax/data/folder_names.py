"""What the names of the folders tell that a file lies in: its part, its fold and its class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cnn_jax.data.usual_names import PARTS

_FOLD = re.compile(r"(?i)fold[ _-]?(\d+)")


class Told(NamedTuple):
    """What is told of one file.

    Attributes:
      label: the name of its class; empty where nothing says so.
      part: train, validation or test; None where nothing says so.
      fold: what the fold is called that it belongs to; None where there are none.
    """

    label: str
    part: str | None = None
    fold: str | None = None


def told_by_folders(top: Path, files: Sequence[Path]) -> list[Told]:
    """What the folders between `top` and each file tell of it.

    Those called train, test or the like say its part, where all in the first row are called so and
    one is train: a class may be called train as well. Those called fold1 and so on say its fold,
    and the last of the others its class.

    Args:
      top: the folder of the set.
      files: below it; a file may be a folder of frames.
    """
    folders = [file.relative_to(top).parts[:-1] for file in files]
    first = {each[0].lower() for each in folders if each}
    splits = "train" in {PARTS.get(each) for each in first} and first <= set(PARTS)
    return [_of(each, splits) for each in folders]


def _of(folders: tuple[str, ...], splits: bool) -> Told:
    label, part, fold = "", None, None
    for place, name in enumerate(folders):
        if splits and place == 0:
            part = PARTS[name.lower()]
        elif match := _FOLD.fullmatch(name):
            fold = str(int(match[1]))
        else:
            label = name
    return Told(label, part, fold)
