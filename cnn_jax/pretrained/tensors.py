"""What all readers of weights agree on: arrays by name, and how large a name or a list may be."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cnn_jax.errors import UserError

Tensors = dict[str, np.ndarray]
"""Arrays by their names in the file they come from."""

LONGEST_NAME = 1_000
"""Characters of a name. The longest of a published net has about a hundred."""

MOST_TENSORS = 100_000
"""Arrays of a file. Of the largest nets here a file has some thousands."""


def check_names(names: Iterable[str], count: int, path: Path) -> None:
    """Checks that a list of arrays can be read, searched and printed in little time.

    Raises:
      UserError: there are too many, or a name is too long or cannot be printed.
    """
    if count > MOST_TENSORS:
        raise UserError(f"{path} holds {count:,} arrays; at most {MOST_TENSORS:,} are read")
    for name in names:
        if len(name) > LONGEST_NAME:
            raise UserError(
                f"{path} holds a name of {len(name):,} characters, {shown(name, 40)}; at most "
                f"{LONGEST_NAME:,} are read"
            )
        if not name.isprintable():
            raise UserError(f"{path} holds a name that cannot be printed: {shown(name, 40)}")


def shown(text: str, most: int = 300) -> str:
    """Text of a file for a message: on one line, printable, and cut where it is long."""
    cut = text[:most]
    cut = cut if cut.isprintable() else ascii(cut)[1:-1]
    return cut + "..." * (len(text) > most)


def as_float32(array: np.ndarray) -> np.ndarray:
    """Floats of any width as float32 of this machine, and other numbers as they are.

    Raises:
      ValueError: a number is too large for float32.
    """
    kind = np.float32 if array.dtype.kind == "f" else array.dtype.newbyteorder("=")
    # A NaN that signals is one that does not, which is no loss.
    try:
        with np.errstate(over="raise", invalid="ignore", under="ignore"):
            return array.astype(kind, copy=False)
    except FloatingPointError:
        raise ValueError("numbers that are too large for float32") from None


def bfloat16_as_float32(halves: np.ndarray) -> np.ndarray:
    """Float32 of their upper halves, given as whole numbers of 16 bits."""
    return (halves.astype(np.uint32) << 16).view(np.float32)
