"""Many recipes tried one after the other, and the best of them by validation."""

from __future__ import annotations

import dataclasses
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from cnn_jax.data import Dataset
from cnn_jax.data.recipe_data import load_data
from cnn_jax.errors import UserError
from cnn_jax.evaluation.significance import spread
from cnn_jax.json_values import to_json
from cnn_jax.recipe import Recipe
from cnn_jax.run_folder import RunFolder
from cnn_jax.runs.experiment import Experiment
from cnn_jax.runs.run import train
from cnn_jax.runs.start import Summary
from cnn_jax.runs.sweep_record import Outcome
from cnn_jax.tasks import metric_that_counts, resolved, target_kind
from cnn_jax.terminal import say
from cnn_jax.training.callbacks import Callback, CallbackFailed
from cnn_jax.training.progress import NonFinite
from cnn_jax.training.stop import Stop, Stopped

_HELD = 2
"""Programs and their data that are kept for trials to come."""


class Trial(NamedTuple):
    """One recipe of a sweep.

    Attributes:
      values: of the fields that differ, as they were given.
      recipe: with these values.
      folder: where its runs lie.
      number: among the trials of Optuna, if that has suggested it.
    """

    values: Mapping[str, str]
    recipe: Recipe
    folder: Path
    number: int | None = None

    @property
    def words(self) -> str:
        """Its values, as they were given."""
        return " ".join(f"{name}={value}" for name, value in self.values.items())

    def runs(self, seeds: int) -> list[tuple[Recipe, Path]]:
        """The recipe and the run folder of each seed."""
        if seeds == 1:
            return [(self.recipe, self.folder)]
        every = range(self.recipe.seed, self.recipe.seed + seeds)
        return [
            (dataclasses.replace(self.recipe, seed=seed), self.folder / f"seed-{seed}")
            for seed in every
        ]

    def check(self, seeds: int) -> None:
        """Checks, without writing anything, that its runs can be made or gone on with.

        Raises:
          UserError: another recipe's run lies there, or the folder cannot be written.
        """
        for recipe, path in self.runs(seeds):
            RunFolder(path).check(recipe)

    def begun(self, seeds: int) -> bool:
        """Whether one of its runs has read its data."""
        return any(RunFolder(path).begun for _, path in self.runs(seeds))

    def finished(self, seeds: int) -> Outcome | None:
        """What came of it, where all its runs have finished."""
        found = [RunFolder(path).finished(recipe) for recipe, path in self.runs(seeds)]
        summaries = [each for each in found if each is not None]
        return outcome(self, summaries) if len(summaries) == seeds else None


class Pruned(Exception):
    """A trial is given up, since it does worse than others did."""


class Experiments:
    """Data and programs of trials: those whose programs are the same share them.

    Trials whose recipes differ in no more than the seed and the peak learning rate have one
    program; those that differ in no field of the data have one copy of them in memory.

    Args:
      data_dir: where data sets lie.
      workers: as of `Experiment.of`.
    """

    def __init__(self, data_dir: Path | None = None, workers: int | None = None) -> None:
        self._data_dir, self._workers = data_dir, workers
        self._made: OrderedDict[str, Experiment] = OrderedDict()
        self._read: tuple[str, Dataset] | None = None

    def of(self, recipe: Recipe) -> Experiment:
        """What a run of a recipe is given."""
        key = program_key(recipe)
        if key not in self._made:
            while len(self._made) >= _HELD:
                self._made.popitem(last=False)
            made = Experiment.of(
                recipe, workers=self._workers, dataset=self._dataset(recipe), free_rate=True
            )
            if made.dataset.validation is None:
                raise UserError(
                    f"a sweep chooses by validation, and {recipe.data.name} has no validation "
                    "part: give --set data.validation=0.1"
                )
            made.program.compile_train(*made.step_arrays())
            made.program.compile_evaluation()
            made.program.compile_seal()
            self._made[key] = made
        self._made.move_to_end(key)
        made = self._made[key]
        program = made.program.with_rate(resolved(recipe))
        if program is None:
            return made
        return dataclasses.replace(made, recipe=resolved(recipe), program=program)

    def _dataset(self, recipe: Recipe) -> Dataset:
        key = json.dumps([to_json(recipe.data), target_kind(recipe)])
        if self._read is None or self._read[0] != key:
            found = load_data(recipe.data, self._data_dir, kind=target_kind(recipe))
            self._read = key, found
        return self._read[1]


def program_key(recipe: Recipe) -> str:
    """What recipes share whose runs have one program."""
    found = to_json(resolved(recipe))
    left = ["seed", "name"]
    if recipe.schedule.name != "own":
        found["optimizer"] = {k: v for k, v in found["optimizer"].items() if k != "learning_rate"}
    return json.dumps({name: value for name, value in found.items() if name not in left})


def by_program(trials: Iterable[Trial]) -> list[Trial]:
    """Trials with those next to one another that share a program, else in their order."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(program_key(trial.recipe), []).append(trial)
    return [trial for group in groups.values() for trial in group]


def run_trial(
    trial: Trial,
    seeds: int,
    experiments: Experiments,
    *,
    stop: Stop,
    console: Console,
    callbacks: Sequence[Callback] = (),
    train: Callable[..., Summary] = train,
) -> Outcome:
    """Runs a trial, or goes on with it; one that fails is told and does not end the sweep.

    Args:
      trial: that is run.
      seeds: how many runs it has.
      experiments: what runs are given.
      stop: whether a signal has asked to stop.
      console: where progress is shown.
      callbacks: as of `train`; one may raise `Pruned`.
      train: trains a run.

    Raises:
      UserError: of a kind that all trials would meet; `Stopped` after a signal.
    """
    summaries: list[Summary] = []
    for recipe, path in trial.runs(seeds):
        if stop():
            raise Stopped("stopped between two trials; the same command goes on from there")
        finished = RunFolder(path).finished(recipe)
        if finished is not None:
            summaries.append(finished)
            continue
        say(console, f"trial {trial.words or trial.folder.name}, seed {recipe.seed}")
        try:
            given = experiments.of(recipe)
            summaries.append(
                train(
                    recipe,
                    path,
                    console=console,
                    experiment=given,
                    stop=stop,
                    callbacks=callbacks,
                )
            )
        except NonFinite as error:
            return Outcome(trial.folder.name, trial.values, f"failed: {error.what}")
        except CallbackFailed as error:
            cause = error.__cause__
            while cause is not None and not isinstance(cause, Pruned):
                cause = cause.__cause__
            if cause is None:
                raise
            return Outcome(trial.folder.name, trial.values, "pruned")
        callbacks = ()  # of one seed of a trial it is decided whether it is given up
    return outcome(trial, summaries)


def outcome(trial: Trial, summaries: Sequence[Summary]) -> Outcome:
    """What the finished runs of a trial come to."""
    metric = metric_that_counts(trial.recipe).name
    found = spread([float(each["best"][metric]) for each in summaries])
    deviation = None if found.n < 2 else found.deviation
    return Outcome(trial.folder.name, trial.values, "finished", found.n, found.mean, deviation)
