"""From a recipe to a finished run folder."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from cnn_jax.checkpoints.checkpoints import SaveError
from cnn_jax.code_record import code_notes
from cnn_jax.data import Dataset
from cnn_jax.data.recipe_data import in_parts
from cnn_jax.data.spec import DataSpec
from cnn_jax.devices.jax_settings import fix_settings
from cnn_jax.devices.mesh import Parallel
from cnn_jax.devices.processes import first_does, is_first
from cnn_jax.errors import UserError
from cnn_jax.json_values import from_json, to_json
from cnn_jax.output_streams import forgiving_output
from cnn_jax.own.importing import stop_if_importing
from cnn_jax.pretrained.start import initial_weights
from cnn_jax.recipe import Recipe
from cnn_jax.run_folder import RunFolder
from cnn_jax.runs.announcement import announce_recipe
from cnn_jax.runs.experiment import Experiment
from cnn_jax.runs.goes_on import check_same
from cnn_jax.runs.result import Result
from cnn_jax.runs.start import Start
from cnn_jax.tasks import resolved
from cnn_jax.terminal import say
from cnn_jax.training.callbacks import Callback, Callbacks
from cnn_jax.training.metrics_log import JsonLines
from cnn_jax.training.stop import Stop, StopRequest
from cnn_jax.training.tensorboard_log import TensorBoard
from cnn_jax.user_path import user_path


def train(
    recipe: Recipe,
    workdir: str | os.PathLike[str],
    *,
    parallel: Parallel | None = None,
    restarts: int = 0,
    debug: bool = False,
    allow_change: bool = False,
    data_dir: Path | None = None,
    workers: int | None = None,
    console: Console | None = None,
    experiment: Experiment | None = None,
    dataset: Dataset | None = None,
    stop: Stop | None = None,
    callbacks: Sequence[Callback] = (),
) -> Result:
    """Trains a recipe in a run folder, or continues the run there, and returns its result.

    Args:
      recipe: what is trained.
      workdir: the run folder; ~ is the home folder.
      parallel: how the run is spread over the devices, by default over all of them.
      restarts: how often, after a loss that is not finite, it goes back to the last good checkpoint
        and skips the batches from there to the failure.
      debug: wait for every step, forbid implicit copies from host to device, and name the operation
        that first gave a number that is not finite.
      allow_change: continue the run in the folder even if its recipe was different.
      data_dir: folder of the TFDS and UCR data sets, by default $TFDS_DATA_DIR, else
        ~/tensorflow_datasets.
      workers: as of `Experiment.of`.
      console: where progress is shown.
      dataset: the data to use instead of those that `recipe.data` names, such as one made by
        `cnn_jax.from_arrays`; parts are cut from it as the recipe says.
      experiment: data and compiled program of the same recipe with any seed, to be used again.
      stop: says whether a signal has asked to stop; by default one is made for this run.
      callbacks: objects whose methods are called during the run, see `cnn_jax.Callback`.

    Returns:
      What is stored in `summary.json`, with `history`, `metrics`, `folder` and `model`.

    Raises:
      UserError: the recipe cannot be trained so, or the experiment is of another recipe;
        `Stopped` after a signal; `CallbackFailed` where a callback has raised an exception.
    """
    stop_if_importing()
    began = time.perf_counter()
    fix_settings()
    recipe = resolved(recipe)
    if dataset is not None:
        recipe = dataclasses.replace(
            recipe, data=dataclasses.replace(recipe.data, name=dataset.name)
        )
        dataset = in_parts(dataset, recipe.data)
    console = console or Console(quiet=not is_first())
    if experiment is not None:
        check_same(experiment.recipe, recipe)
    folder = RunFolder(user_path(workdir))
    lines = JsonLines(folder.metrics, lambda line: say(console, line))
    logs = [lines, TensorBoard(folder.tensorboard)]
    told = Callbacks(logs, callbacks) if is_first() else Callbacks([])
    there = first_does(lambda: _look(folder, recipe, allow_change))
    if there["summary"] is not None:
        say(console, f"{folder.path} holds this run, finished.")
        return Result(there["summary"], folder.path)
    with (
        forgiving_output(),
        StopRequest() if stop is None else contextlib.nullcontext(stop) as stop,
    ):
        announce_recipe(console, recipe, folder.path, experiment)
        for line in code_notes(recipe):
            say(console, line)
        experiment = experiment or Experiment.of(
            recipe,
            data_dir,
            parallel=parallel,
            debug=debug,
            workers=workers,
            dataset=dataset,
            began_with=there["data"] and from_json(there["data"], DataSpec, "data.json"),
            begun=folder,
        )
        # Nothing is written where the weights turn out not to fit.
        weights = None if there["begun"] else initial_weights(recipe, experiment.program)
        first_does(lambda: folder.start(recipe, allow_change=allow_change))
        try:
            start = Start(recipe, folder, experiment, weights, stop, console, began, restarts, told)
            return Result(start(), folder.path)
        except OSError as error:
            raise SaveError(
                f"{folder.path} cannot be used: {error.strerror or error}. When that is "
                "mended, the same command goes on from the newest checkpoint."
            ) from error
        finally:
            folder.close()


def _look(folder: RunFolder, recipe: Recipe, allow_change: bool) -> dict[str, Any]:
    """What lies in a folder, checked without writing: summary, whether begun, facts of its data."""
    if (summary := folder.finished(recipe)) is not None:
        return {"summary": summary, "begun": True, "data": None}
    folder.check(recipe, allow_change=allow_change)
    begun = bool(folder.steps())
    if begun and folder.recipe().init != recipe.init:
        raise UserError(
            f"the run in {folder.path} has begun, so it cannot begin with other weights "
            f"(--init-from {recipe.init.source or recipe.init.words}); choose another --workdir"
        )
    return {"summary": None, "begun": begun, "data": to_json(folder.known_data())}
