"""One start of a run, from what lies in its folder to its summary."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax import traverse_util
from rich.console import Console

from cnn_jax.checkpoints.checkpoints import Checkpoints
from cnn_jax.checkpoints.files import LEFT
from cnn_jax.devices.processes import first_does
from cnn_jax.json_values import to_json
from cnn_jax.pretrained.matching import paths
from cnn_jax.pretrained.start import initial_weights
from cnn_jax.pretrained.weights import Loaded
from cnn_jax.recipe import Recipe
from cnn_jax.run_folder import RunFolder, commit, device_names, versions
from cnn_jax.runs.announcement import announce, announce_compilations
from cnn_jax.runs.experiment import Experiment
from cnn_jax.runs.goes_on import check_goes_on
from cnn_jax.runs.kept import evaluated
from cnn_jax.state import TrainState, Variables, with_variables
from cnn_jax.tasks import metric_that_counts
from cnn_jax.terminal import say
from cnn_jax.training.callbacks import CallbackFailed, Callbacks, RunFacts
from cnn_jax.training.display import Display
from cnn_jax.training.loop import Loop
from cnn_jax.training.progress import NonFinite, Progress
from cnn_jax.training.stop import Stop, Stopped

Summary = dict[str, Any]


@dataclass
class Start:
    """One start of a run, from what lies in its folder to its summary."""

    recipe: Recipe
    folder: RunFolder
    experiment: Experiment
    weights: Loaded | None
    stop: Stop
    console: Console
    began: float
    restarts: int
    callbacks: Callbacks
    failure: NonFinite | None = None

    def __call__(self) -> Summary:
        """Runs, and tells the callbacks how it has ended."""
        try:
            summary = self._run()
        except BaseException as error:
            at_once = not isinstance(error, Exception)
            self.callbacks.end(None, str(error) or type(error).__name__, at_once=at_once)
            if isinstance(error, Stopped):
                self.callbacks.check(f"Training {error}")
            if self.callbacks.failure is not None and not isinstance(error, CallbackFailed):
                say(self.console, str(self.callbacks.failure))
            raise
        self.callbacks.end(summary, "")
        first_does(lambda: self.callbacks.check(f"The run in {self.folder.path} is finished."))
        return summary

    def _run(self) -> Summary:
        recipe, folder, program = self.recipe, self.folder, self.experiment.program
        devices = device_names(list(program.mesh.devices.flat))
        partly = recipe.data.examples is not None
        unsure = first_does(lambda: folder.check_parts(self.experiment.parts, partly=partly))
        first_does(lambda: folder.write_data_spec(program.spec))
        first_does(lambda: folder.log_start(devices))
        self.checkpoints = Checkpoints(
            folder.checkpoints,
            recipe.checkpoints,
            metric_that_counts(recipe),
            scheduled=program.plan.scheduled,
            sealer=lambda: program.sealer,
            lock=self.experiment.lock,
        )
        self.display = Display(
            program.plan.total,
            self.console,
            program.task.PARTS,
            metric_that_counts(recipe),
            program.spec.unit,
        )
        try:
            if not folder.locked:
                self.display.say(
                    f"{folder.path} lies where files cannot be locked: see that no other run "
                    "writes there"
                )
            announce(self.display, self.experiment, folder.path)
            with self.display.clock("compiling"):
                program.compile_train(*self.experiment.step_arrays())
                program.compile_evaluation()
                program.compile_seal()
                if not folder.steps():
                    program.compile_init()
            announce_compilations(self.display, program)
            if unsure:
                self.display.say(unsure)
            state, progress = self._begin()
            first_does(lambda: folder.adopt(recipe))
            with self.stop.saving(), self.display:
                while True:
                    try:
                        loop, state = self._loop(state, progress)
                        break
                    except NonFinite as failure:
                        if progress.restarts >= self.restarts:
                            raise
                        state, progress = self._go_back(failure, progress)
            return self._summarise(loop, state, devices)
        finally:
            self.checkpoints.close()

    def _begin(self) -> tuple[TrainState, Progress]:
        """The state and progress of the newest checkpoint, or those before the first step."""
        recipe, program = self.recipe, self.experiment.program
        self._tell_broken(self.checkpoints.broken)
        steps = first_does(self.checkpoints.steps)
        if not steps:
            self.checkpoints.check_begins()
            return self._initial(), Progress(metric_that_counts(recipe).name)
        state, saved = self._restore(steps[::-1])
        check_goes_on(recipe, program, state, int(state.step))
        self.display.say(f"going on from the checkpoint of step {int(state.step)}")
        return state, Progress.of(saved, metric_that_counts(recipe).name)

    def _restore(self, steps: list[int]) -> tuple[TrainState, dict[str, Any]]:
        """The first of these checkpoints that is whole."""
        template = self.experiment.program.abstract_state
        state, saved, broken = self.checkpoints.restore_first(steps, template)
        self._tell_broken(broken)
        return state, saved

    def _tell_broken(self, broken: list[str]) -> None:
        for line in broken:
            self.display.say(f"left out: {line}")

    def _initial(self) -> TrainState:
        recipe, program = self.recipe, self.experiment.program
        weights = self.weights or initial_weights(recipe, program)
        if weights is None:
            return self.experiment.start(recipe.seed)
        state = program.init(recipe.seed)
        first_does(lambda: self.folder.write_origin(weights.origin()))
        self.display.say(weights.note or f"weights of {recipe.init.source}: {weights.report}")
        return with_variables(state, self._fitted(weights), program.optimizer)

    def _fitted(self, weights: Loaded) -> Variables:
        """The loaded variables; what the model fits to the data is fitted where none was loaded."""
        if not self.experiment.program.fits:
            return weights.variables
        loaded = paths(weights.variables["params"])
        fitted = paths(self.experiment.fitted(weights.variables["params"]))
        new = {
            path: np.asarray(fitted[path])
            for path, value in loaded.items()
            if f"params/{path}" in weights.report.kept and not np.array_equal(fitted[path], value)
        }
        if new:
            self.display.say(f"not loaded, and fitted to the data: {', '.join(new)}")
        params = traverse_util.unflatten_dict({**loaded, **new}, sep="/")
        return {**weights.variables, "params": params}

    def _go_back(self, failure: NonFinite, failed: Progress) -> tuple[TrainState, Progress]:
        """The last good state, with the batches from there to the failure left out."""
        plan, metric = self.experiment.program.plan, metric_that_counts(self.recipe).name
        self.checkpoints.wait()
        steps = first_does(self.checkpoints.steps)
        # Not one that was saved because a signal came: what follows must not depend on it.
        due = [step for step in steps if plan.scheduled(step) and step <= failure.step]
        if due:
            state, saved = self._restore(due[::-1])
            progress = Progress.of(saved, metric)
        else:
            state, progress = self._initial(), Progress(metric)
        good = int(state.step)
        self.checkpoints.leave([step for step in steps if step > good], LEFT)
        progress.total_seconds, self.began = failed.total_seconds, time.perf_counter()
        progress.skipped = failed.skipped + failure.step - good + 1
        progress.restarts = failed.restarts + 1
        self.failure = failure
        self.display.say(
            f"{failure.what}; going back to step {good} and leaving out the "
            f"{failure.step - good + 1} batches to the failure "
            f"(restart {progress.restarts} of {self.restarts})"
        )
        return state, progress

    def _loop(self, state: TrainState, progress: Progress) -> tuple[Loop, TrainState]:
        """Trains to the end."""
        folder, experiment = self.folder, self.experiment
        restart = None
        if self.failure is not None:
            restart = {
                "failed": self.failure.step,
                "why": self.failure.what,
                "skipped": progress.skipped,
                "restarts": progress.restarts,
            }
        known = progress.validated, progress.restarts, restart
        facts = RunFacts(self.recipe, folder.path, experiment.program.spec, int(state.step), *known)
        self.failure = None
        first_does(lambda: self.callbacks.start(facts))
        with contextlib.closing(experiment.input(self.recipe.seed, progress.skipped)) as given:
            loop = Loop(
                experiment.program,
                given,
                experiment.dataset.validation,
                checkpoints=self.checkpoints,
                callbacks=self.callbacks,
                display=self.display,
                stop=self.stop,
                began=self.began,
            )
            state = loop.run(state, progress)
        saved = (
            f"The state of step {int(state.step)} is saved. The same command goes on from there."
        )
        first_does(lambda: self.callbacks.check(saved))
        return loop, state

    def _summarise(self, loop: Loop, state: TrainState, devices: list[str]) -> Summary:
        """Tests the best state, or the last of an unvalidated run, and writes what came of it."""
        program, dataset = self.experiment.program, self.experiment.dataset
        checkpoints, progress = self.checkpoints, loop.progress
        checkpoints.wait()
        steps = int(state.step)
        validated = [] if dataset.validation is None else first_does(checkpoints.ranked)
        restored, _ = self._restore(validated or [steps])
        tested = int(restored.step)
        best = None
        if dataset.validation is not None:
            # Where the metrics of all were damaged none is stored.
            found = checkpoints.metrics(tested)
            best = found or program.evaluate(restored.evaluated, dataset.validation) or {}
            best = {**best, "step": tested}
        run: dict[str, Any] = {
            "recipe": self.recipe,
            "folder": self.folder,
            "experiment": self.experiment,
            "say": self.display.say,
        }
        test = evaluated("test", restored, chosen=(best or {}).get("chosen"), **run)
        loop.count_time()
        evaluated("validation", restored, **run)
        summary = {
            "recipe": to_json(self.recipe),
            "steps": steps,
            "epochs": program.plan.epoch(steps),
            "parameters": program.parameters,
            "seconds": {
                "train": progress.seconds,
                "input_wait": progress.stalled,
                "total": progress.total_seconds,
                "compile": program.take_compile_seconds(),
            },
            "images_per_second": loop.images_per_second,
            "unit": program.spec.unit,
            "metric": metric_that_counts(self.recipe).name,
            "best": best,
            "stopped": "early" if steps < program.plan.total else "end",
            "tested": tested,
            "test": test,
            "fold": program.spec.fold or None,
            "restarts": progress.restarts,
            "skipped_batches": progress.skipped,
            "origin": self.folder.origin(),
            "devices": devices,
            "processes": jax.process_count(),
            "parallel": dict(program.mesh.shape),
            "versions": versions(),
            "commit": commit(),
        }
        first_does(lambda: self.folder.write_summary(summary))
        return summary
