"""Which file of predictions is meant by a run folder and a split."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cnn_jax.errors import UserError
from cnn_jax.evaluation.predictions import Predictions, file_name
from cnn_jax.run_folder import RunFolder


class Source(NamedTuple):
    """Predictions, and where they were found.

    Attributes:
      place: the run folder or the file that was given.
      file: that was read.
      predictions: what it holds.
    """

    place: Path
    file: Path
    predictions: Predictions


def find_predictions(place: Path, split: str) -> Source:
    """The predictions of a run for a split of its own data, or those of a file.

    Of a run with several they are those of the state that was tested at its end, or else the only
    ones, or those of the latest step.

    Args:
      place: a run folder, or a Parquet file, which may be of any split.
      split: which part.

    Raises:
      UserError: there are none.
    """
    if place.is_file():
        return Source(place, place, Predictions.read(place))
    file = kept_file(place, split)
    if file is None:
        raise UserError(
            f"{place} has no predictions of its {split} part; cnn-jax evaluate {place} --split "
            f"{split} writes them"
        )
    return Source(place, file, Predictions.read(file))


def kept_file(place: Path, split: str) -> Path | None:
    """The file of a run's predictions for a split, as of `find_predictions`; None without one."""
    folder = RunFolder(place)
    dataset = str(folder.recipe().data.name)
    summary = folder.summary()
    if summary is not None and "tested" in summary:
        tested = folder.predictions / f"{file_name(dataset, split, summary['tested'])}.parquet"
        if tested.is_file():
            return tested
    found = folder.predictions.glob(f"{file_name(dataset, split, 0)[:-1]}*.parquet")
    steps = {step: file for file in found if (step := file.stem.rpartition("step")[2]).isdigit()}
    return steps[max(steps, key=int)] if steps else None
