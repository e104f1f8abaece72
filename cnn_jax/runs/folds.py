"""A recipe trained on every fold of its data: cross-validation."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from cnn_jax.devices.processes import any_of, first_does
from cnn_jax.recipe import Recipe
from cnn_jax.run_folder import RunFolder
from cnn_jax.runs.run import train
from cnn_jax.runs.start import Summary
from cnn_jax.training.stop import Stop, Stopped


def of_folds(recipe: Recipe, folds: int) -> list[Recipe]:
    """The recipe with each of so many folds as its test part."""
    return [
        dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, folds=folds, fold=fold))
        for fold in range(1, folds + 1)
    ]


def train_folds(
    recipe: Recipe,
    workdir: Path,
    folds: int,
    *,
    allow_change: bool = False,
    stop: Stop,
    **how: Any,
) -> list[Summary]:
    """Trains a recipe as often as there are folds, each time without the fold that is tested.

    Args:
      recipe: what is trained.
      workdir: its folder `fold-K` becomes the run folder of fold K, from 1.
      folds: how many.
      allow_change: go on with stored runs although their recipe was another.
      stop: as of `train`.
      **how: as of `train`.

    Returns:
      The summaries, in the order of the folds.

    Raises:
      UserError: what is asked for cannot be done; `Stopped` after a signal.
    """
    pairs = [(each, workdir / f"fold-{each.data.fold}") for each in of_folds(recipe, folds)]

    def check() -> None:
        for each, path in pairs:
            RunFolder(path).check(each, allow_change=allow_change)

    first_does(check)
    summaries: list[Summary] = []
    for each, path in pairs:
        if any_of(stop()):
            raise Stopped(
                f"stopped before fold {each.data.fold}; the same command goes on from there"
            )
        summaries.append(train(each, path, allow_change=allow_change, stop=stop, **how))
    return summaries
