"""A recipe trained with several seeds, and the spread of what came of them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from rich.console import Console

from cnn_jax.data import Split
from cnn_jax.data.recipe_data import load_data
from cnn_jax.devices.jax_settings import fix_settings
from cnn_jax.devices.mesh import Parallel
from cnn_jax.devices.processes import any_of, first_does, is_first
from cnn_jax.errors import UserError
from cnn_jax.output_streams import forgiving_output
from cnn_jax.own.importing import stop_if_importing
from cnn_jax.recipe import Recipe
from cnn_jax.run_folder import RunFolder
from cnn_jax.runs.experiment import Experiment
from cnn_jax.runs.run import train
from cnn_jax.runs.seeds_at_once import run_at_once
from cnn_jax.runs.start import Summary
from cnn_jax.tasks import target_kind
from cnn_jax.training.callbacks import Callback
from cnn_jax.training.stop import Stop, Stopped, StopRequest
from cnn_jax.user_path import user_path


def train_seeds(
    recipe: Recipe,
    workdir: str | os.PathLike[str],
    seeds: int,
    *,
    at_once: bool = False,
    parallel: Parallel | None = None,
    restarts: int = 0,
    debug: bool = False,
    allow_change: bool = False,
    data_dir: Path | None = None,
    workers: int | None = None,
    console: Console | None = None,
    stop: Stop | None = None,
    callbacks: Sequence[Callback] = (),
) -> list[Summary]:
    """Trains a recipe with seeds recipe.seed, recipe.seed + 1, ... .

    Args:
      recipe: what is trained.
      workdir: its folder `seed-S` becomes the run folder of seed S.
      seeds: how many.
      at_once: train each seed on a device of its own, as many at the same time as there are
        devices; else one after the other on all devices, compiled once.
      parallel: as of `train`; not with `at_once`.
      restarts: as of `train`.
      debug: as of `train`.
      allow_change: continue the runs in the folders even if their recipe was different.
      data_dir: as of `train`.
      workers: as of `train`.
      console: where progress is shown.
      stop: as of `train`.
      callbacks: as of `train`, called for one run after the other; not with `at_once`.

    Returns:
      The summaries, in the order of the seeds.

    Raises:
      UserError: the recipe cannot be trained so; `Stopped` after a signal.
    """
    fix_settings()
    stop_if_importing()
    console = console or Console(quiet=not is_first())
    recipes = [dataclasses.replace(recipe, seed=recipe.seed + index) for index in range(seeds)]
    pairs = [(each, user_path(workdir) / f"seed-{each.seed}") for each in recipes]

    def look() -> bool:
        for each, path in pairs:
            RunFolder(path).check(each, allow_change=allow_change)
        return any(RunFolder(path).finished(each) is None for each, path in pairs)

    unfinished = first_does(look)
    # All seeds learn from the same: what the first that has begun knows of it holds for all.
    folders = [RunFolder(path) for _, path in pairs]
    begun = next((each for each in folders if each.begun), folders[0])
    if at_once and parallel not in (None, Parallel()):
        raise UserError("seeds at once have a device each: leave --parallel out")
    if at_once and jax.process_count() > 1:
        raise UserError("seeds at once are for the devices of one process")
    if at_once and callbacks:
        raise UserError(
            "callbacks, as --log asks for, hear of one run at a time: leave them or --at-once out"
        )
    train_one = functools.partial(
        train, allow_change=allow_change, restarts=restarts, debug=debug, callbacks=callbacks
    )
    with (
        forgiving_output(),
        StopRequest() if stop is None else contextlib.nullcontext(stop) as stop,
    ):
        if at_once and unfinished:
            dataset = load_data(recipe.data, data_dir, begun.parts(), kind=target_kind(recipe))
            if not isinstance(dataset.train, Split):
                raise UserError("seeds at once share a set in memory; this one streams")

            lock = threading.RLock()

            def on_device(device: jax.Device) -> Experiment:
                made = Experiment.of(
                    recipe, devices=[device], dataset=dataset, debug=debug, begun=begun
                )
                return dataclasses.replace(made, lock=lock)

            def one(
                each: Recipe, path: Path, made: Experiment, shared: Stop, prefixed: Console
            ) -> Summary:
                return train_one(each, path, console=prefixed, experiment=made, stop=shared)

            return run_at_once(pairs, one, on_device, stop, console)
        experiment = None
        if unfinished:
            experiment = Experiment.of(
                recipe,
                data_dir,
                parallel=parallel,
                debug=debug,
                workers=workers,
                begun=begun,
            )
        summaries: list[Summary] = []
        for each, path in pairs:
            if any_of(stop()):
                raise Stopped(
                    f"stopped before seed {each.seed}; the same command goes on from there"
                )
            found = train_one(each, path, console=console, experiment=experiment, stop=stop)
            summaries.append(found)
    return summaries


def spread(summaries: list[Summary]) -> dict[str, dict[str, float | int | None]]:
    """Mean, sample deviation (None of a single run) and count of each test metric and time.

    Raises:
      UserError: there are no runs.
    """
    if not summaries:
        raise UserError("there are no runs to take a mean of")
    values: dict[str, list[float]] = {}
    for summary in summaries:
        metrics = {k: v for k, v in (summary["test"] or {}).items() if k != "examples"}
        for name, value in metrics.items():
            values.setdefault(f"test {name}", []).append(value)
        values.setdefault("seconds", []).append(summary["seconds"]["total"])
        rate = f"{summary.get('unit', 'images')}_per_second"
        values.setdefault(rate, []).append(summary["images_per_second"])
    return {
        name: {
            "mean": float(np.mean(found)),
            "deviation": float(np.std(found, ddof=1)) if len(found) > 1 else None,
            "n": len(found),
        }
        for name, found in values.items()
    }
