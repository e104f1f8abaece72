"""A user's own series as a model takes them, whatever is told of them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnn_jax.data.images import UnreadableImage
from cnn_jax.data.series import padded
from cnn_jax.data.series_files import SUFFIXES, completed, read_series_file
from cnn_jax.errors import UserError
from cnn_jax.recipe import Columns, Data


class Rows(NamedTuple):
    """Series of a file.

    Attributes:
      names: of each, the file and the line.
      series: (n, t, c) float32, not a number after their ends.
    """

    names: list[str]
    series: np.ndarray


def is_series(path: Path) -> bool:
    """Whether a file is called as series are."""
    return path.suffix.lower() in SUFFIXES


def rows_of(file: Path, shape: tuple[int, ...], data: Data) -> Rows:
    """The series of a file, whose labels are passed over.

    A table has the label first, which may be ?, as to learn from; where each row has as many cells
    as the longest series that was learnt from has times, it has none.

    Args:
      file: as of `read_series_file`.
      shape: (t, c) of what the model was trained on; series may be longer.
      data: how the series that the model was trained on were read.

    Raises:
      UnreadableImage: the file cannot be read, or holds other series.
    """
    longest, channels = shape
    try:
        if file.suffix.lower() not in SUFFIXES:
            raise UserError(f"series are read from {', '.join(SUFFIXES)} files")
        table = file.suffix.lower() != ".ts"
        found = read_series_file(file, columns=data.columns if table else None, lacking=True)
        if (
            table
            and data.columns == Columns()
            and {len(each) for each in found.series} == {longest - 1}
        ):
            found = read_series_file(file, labelled=False)
        places = [f"line {place}" for place in found.places]
        series, _ = completed(found.series, places, str(file), data.fill_missing)
        for each, place in zip(series, places, strict=True):
            if each.shape[1] != channels:
                raise UserError(
                    f"{place} has {each.shape[1]} channels, and the model was trained on {channels}"
                )
    except UserError as error:
        raise UnreadableImage(str(file), str(error)) from None
    length = max(longest, *(len(each) for each in series))
    return Rows([f"{file}:{place}" for place in found.places], padded(series, length))
