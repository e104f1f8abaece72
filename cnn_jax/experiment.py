"""From a recipe to a finished run folder, and to several of them that differ by seed."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from cnn_jax.data import (
    Dataset,
    InMemory,
    channel_mean_std,
    load,
    with_examples,
    with_validation,
)
from cnn_jax.data.spec import DataSpec
from cnn_jax.errors import UserError
from cnn_jax.json_values import to_json
from cnn_jax.parallel import make_mesh, replicated
from cnn_jax.pretrained.start import initial_weights
from cnn_jax.pretrained.weights import Loaded
from cnn_jax.recipe import Data, Recipe
from cnn_jax.run_folder import RunFolder, commit, device_names, versions
from cnn_jax.training.checkpoints import Checkpoints, SaveError
from cnn_jax.training.display import Display
from cnn_jax.training.loop import Loop, Progress
from cnn_jax.training.metrics_log import MetricsLog
from cnn_jax.training.optimizers import decay_line
from cnn_jax.training.program import Program
from cnn_jax.training.state import TrainState, with_variables
from cnn_jax.training.stop import Stopped, StopRequest

Summary = dict[str, Any]


@dataclass(frozen=True)
class Experiment:
    """What all seeds of a recipe share: the data on the devices and the compiled program.

    Attributes:
      recipe: what is trained.
      dataset: the data, with a validation part.
      program: the compiled functions.
      train: the training examples on the devices.
    """

    recipe: Recipe
    dataset: Dataset
    program: Program
    train: InMemory

    @classmethod
    def of(cls, recipe: Recipe, data_dir: Path | None = None) -> Experiment:
        """Reads the data and builds the program for all local devices.

        Raises:
          UserError: something in the recipe is unknown or does not fit.
        """
        dataset = load_data(recipe.data, data_dir)
        mesh = make_mesh()
        program = Program(recipe, data_spec(dataset), mesh)
        train = InMemory(dataset.train, replicated(mesh))
        return cls(recipe, dataset, program, train)


def read_data(config: Data, data_dir: Path | None = None) -> Dataset:
    """The data of a recipe as they are, without a part cut from them."""
    return load(
        config.name, image_size=config.image_size, skip_bad=config.skip_bad, data_dir=data_dir
    )


def load_data(config: Data, data_dir: Path | None = None) -> Dataset:
    """The data of a recipe, with a validation part and as many examples as are asked for."""
    return with_examples(
        with_validation(read_data(config, data_dir), config.validation), config.examples
    )


def data_spec(dataset: Dataset) -> DataSpec:
    """The facts of a data set that a model trained on it depends on."""
    mean, std = channel_mean_std(dataset.train.images)
    splits = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    height, width, channels = dataset.train.images.shape[1:]
    return DataSpec(
        name=dataset.name,
        class_names=tuple(dataset.class_names),
        image_shape=(height, width, channels),
        mean=tuple(float(value) for value in mean),
        std=tuple(float(value) for value in std),
        examples={name: len(split) for name, split in splits.items() if split is not None},
    )


def train(
    recipe: Recipe,
    workdir: Path,
    *,
    allow_change: bool = False,
    data_dir: Path | None = None,
    console: Console | None = None,
    experiment: Experiment | None = None,
    stop: StopRequest | None = None,
) -> Summary:
    """Trains a recipe in a run folder, or goes on with the run there, to its summary.

    Args:
      recipe: what is trained.
      workdir: the run folder.
      allow_change: go on with a stored run although its recipe was another.
      data_dir: where data sets lie, by default as TFDS has it.
      console: where progress is shown.
      experiment: data and program of the same recipe with any seed, if there are.
      stop: what tells whether a signal has asked to stop; by default one for this run.

    Returns:
      What is stored in `summary.json`.

    Raises:
      UserError: what is asked for cannot be done; `Stopped` after a signal.
    """
    began = time.perf_counter()
    console = console or Console()
    folder = RunFolder(workdir)
    if (summary := folder.finished(recipe)) is not None:
        console.print(f"{workdir} holds this run, finished.", highlight=False, soft_wrap=True)
        return summary
    folder.check(recipe, allow_change=allow_change)
    # Until a run has begun there is nothing to save: a signal ends the process as ever.
    experiment = experiment or Experiment.of(recipe, data_dir)
    # Nothing is written where the weights turn out not to fit.
    if not folder.steps():
        weights = initial_weights(recipe, experiment.program)
    elif folder.recipe().init == recipe.init:
        weights = None
    else:
        raise UserError(
            f"the run in {workdir} has begun, so it cannot begin with other weights "
            f"(--init-from {recipe.init.source}); choose another --workdir"
        )
    with StopRequest() if stop is None else contextlib.nullcontext(stop) as stop:
        folder.start(recipe, allow_change=allow_change)
        try:
            return _run(recipe, folder, experiment, weights, stop, console, began)
        except OSError as error:
            raise SaveError(
                f"{workdir} cannot be used: {error.strerror or error}. When that is mended, the "
                "same command goes on from the newest checkpoint."
            ) from error
        finally:
            folder.close()


def _run(
    recipe: Recipe,
    folder: RunFolder,
    experiment: Experiment,
    weights: Loaded | None,
    stop: StopRequest,
    console: Console,
    began: float,
) -> Summary:
    program, dataset = experiment.program, experiment.dataset
    assert dataset.validation is not None
    devices = device_names(list(program.mesh.devices.flat))
    folder.write_data_spec(program.spec)
    folder.log_start(devices)
    program.compile_train(experiment.train.images, experiment.train.labels)
    checkpoints = Checkpoints(folder.checkpoints, recipe.checkpoints)
    display = Display(program.plan.total, console)
    _announce(display, program, devices, folder.path)
    try:
        progress, latest = Progress(recipe.checkpoints.metric), checkpoints.latest()
        if latest is None:
            if weights is None:
                state = program.start(recipe.seed, experiment.train.images)
            else:
                state = program.init(recipe.seed)
                state = with_variables(state, weights.variables, program.optimizer)
                folder.write_origin(weights.origin())
                display.say(f"weights of {recipe.init.source}: {weights.report}")
        else:
            state, saved = checkpoints.restore(latest, program.abstract_state)
            progress = Progress.of(saved, recipe.checkpoints.metric)
            _check_goes_on(recipe, program, state, latest)
            display.say(f"going on from the checkpoint of step {latest}")
        folder.adopt(recipe)
        with (
            MetricsLog(folder.metrics, folder.tensorboard, latest or 0, progress.validated) as log,
            display,
        ):
            loop = Loop(
                program,
                experiment.train.images,
                experiment.train.labels,
                dataset.validation,
                seed=recipe.seed,
                checkpoints=checkpoints,
                log=log,
                display=display,
                stop=stop,
                began=began,
            )
            state = loop.run(state, progress)
        checkpoints.wait()
        steps = int(state.step)
        best = checkpoints.find("best")
        restored, _ = checkpoints.restore(best, program.abstract_state)
        validated = checkpoints.metrics(best)
        test = None
        if dataset.test is not None:
            test = program.evaluate(restored.evaluated, dataset.test)
        loop.count_time()
        summary = {
            "recipe": to_json(recipe),
            "steps": steps,
            "epochs": program.plan.epoch(steps),
            "parameters": program.parameters,
            "seconds": {
                "train": progress.seconds,
                "total": progress.total_seconds,
                "compile": program.take_compile_seconds(),
            },
            "images_per_second": loop.images_per_second,
            "best": {"step": best, **{k: v for k, v in validated.items() if k != "step"}},
            "test": test,
            "origin": folder.origin(),
            "devices": devices,
            "versions": versions(),
            "commit": commit(),
        }
        folder.write_summary(summary)
        return summary
    finally:
        checkpoints.close()


def _check_goes_on(recipe: Recipe, program: Program, state: TrainState, latest: int) -> None:
    """Refuses a changed recipe that the run cannot go on with."""
    if latest > program.plan.total:
        raise UserError(
            f"the run has {latest} steps already, more than the {program.plan.total} of "
            f"--duration {recipe.duration}; choose another --workdir"
        )
    if int(state.seed) != recipe.seed:
        raise UserError(
            f"the run has begun with seed {int(state.seed)}, so it cannot go on with --seed "
            f"{recipe.seed}; choose another --workdir"
        )


def _announce(display: Display, program: Program, devices: list[str], path: Path) -> None:
    recipe, spec, plan = program.recipe, program.spec, program.plan
    counts = ", ".join(f"{count:,} {name}" for name, count in spec.examples.items())
    compiled = program.compile_seconds
    decays = decay_line(recipe.optimizer, program.abstract_state.params, program.frozen)
    display.say(
        f"{recipe.name}: {recipe.model.name} ({program.parameters:,} parameters) on {spec.name} "
        f"({counts}), {len(devices)} × {devices[0].rsplit(':', 1)[0]}"
    )
    display.say(f"{recipe.optimizer.name}, {decays}")
    for line in program.update_lines():
        display.say(line)
    display.say(
        f"{plan.total:,} steps of {plan.batch_size} ({plan.epoch(plan.total):.4g} epochs); "
        f"compiled in {compiled['init'] + compiled['train']:.1f} s; run folder {path}"
    )


def train_seeds(
    recipe: Recipe,
    workdir: Path,
    seeds: int,
    *,
    allow_change: bool = False,
    data_dir: Path | None = None,
    console: Console | None = None,
) -> list[Summary]:
    """Trains a recipe with seeds recipe.seed, recipe.seed + 1, ... in turn, compiling once.

    Args:
      recipe: what is trained.
      workdir: its folder `seed-S` becomes the run folder of seed S.
      seeds: how many.
      allow_change: go on with stored runs although their recipe was another.
      data_dir: where data sets lie, by default as TFDS has it.
      console: where progress is shown.

    Returns:
      The summaries, in the order of the seeds.

    Raises:
      UserError: what is asked for cannot be done; `Stopped` after a signal.
    """
    console = console or Console()
    recipes = [dataclasses.replace(recipe, seed=recipe.seed + index) for index in range(seeds)]
    folders = [workdir / f"seed-{each.seed}" for each in recipes]
    pairs = list(zip(recipes, folders, strict=True))
    for each, path in pairs:
        RunFolder(path).check(each, allow_change=allow_change)
    experiment = None
    if any(RunFolder(path).finished(each) is None for each, path in pairs):
        experiment = Experiment.of(recipe, data_dir)
    summaries = []
    with StopRequest() as stop:
        for each, path in pairs:
            if stop():
                raise Stopped(
                    f"stopped before seed {each.seed}; the same command goes on from there"
                )
            summaries.append(
                train(
                    each,
                    path,
                    allow_change=allow_change,
                    console=console,
                    experiment=experiment,
                    stop=stop,
                )
            )
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
        values.setdefault("images_per_second", []).append(summary["images_per_second"])
    return {
        name: {
            "mean": float(np.mean(found)),
            "deviation": float(np.std(found, ddof=1)) if len(found) > 1 else None,
            "n": len(found),
        }
        for name, found in values.items()
    }
