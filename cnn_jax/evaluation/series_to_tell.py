"""A user's own series as a model takes them, whatever is told of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnn_jax.data.images import UnreadableImage
from cnn_jax.data.series import padded
from cnn_jax.data.series_files import (
    LABELS,
    SUFFIXES,
    completed,
    is_number,
    label_word,
    read_series_file,
)
from cnn_jax.data.spec import DataSpec
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


def _begin_with_labels(labels: Sequence[Sequence[str]], spec: DataSpec) -> bool:
    """Whether what stands first in rows may be labels: numbers that are no classes are none."""
    if "class" not in {each.kind for each in spec.targets.values()}:
        return True
    words = [label_word(each[0]) for each in labels]
    return not any(is_number(word) and word not in spec.class_names for word in words)


def rows_of(file: Path, spec: DataSpec, data: Data) -> Rows:
    """The series of a file, whose labels are passed over.

    A table has the label first, which may be ?, as to learn from. It has none where each row has
    as many cells as the longest series that was learnt from has times, or where rows begin with
    numbers that are no classes. What is guessed is said.

    Args:
      file: as of `read_series_file`.
      spec: of what the model was trained on, (t, c); series may be longer.
      data: how the series that the model was trained on were read.

    Raises:
      UnreadableImage: the file cannot be read, or holds other series.
    """
    longest, channels = spec.image_shape
    try:
        if file.suffix.lower() not in SUFFIXES:
            raise UserError(f"series are read from {', '.join(SUFFIXES)} files")
        table = file.suffix.lower() != ".ts"
        found = read_series_file(file, columns=data.columns if table else None, lacking=True)
        named = found.titles and found.titles[0].lower() in LABELS
        if table and data.columns == Columns() and not named:
            whole = {len(each) for each in found.series} == {longest - 1}
            if whole or not _begin_with_labels(found.labels, spec):
                found = read_series_file(file, labelled=False)
            else:
                print(
                    f"{file}: what each row begins with is taken for its label, and is no value",
                    file=sys.stderr,
                )
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
