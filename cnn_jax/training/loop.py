"""The training loop: steps, validations, checkpoints and when to stop."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from cnn_jax.checkpoints.checkpoints import Checkpoints
from cnn_jax.checkpoints.ranking import rank
from cnn_jax.data.dataset import Examples
from cnn_jax.optimisation.paths import parameter_paths
from cnn_jax.state import TrainState
from cnn_jax.tasks import metric_that_counts
from cnn_jax.training.callbacks import Callbacks
from cnn_jax.training.display import Display
from cnn_jax.training.input import Given, Input
from cnn_jax.training.program import Program
from cnn_jax.training.progress import NonFinite, Progress
from cnn_jax.training.step import Metrics
from cnn_jax.training.stop import Stopped

_IN_FLIGHT = 2
"""Calls that may be under way while the metrics of the one before are read."""


class Loop:
    """One run of a program, from a state to the end of its plan.

    Args:
      program: the compiled functions.
      given: what gives the steps their examples.
      validation: raw examples for the choice of the best checkpoint, if there are any.
      checkpoints: where states are saved.
      callbacks: what metrics are told.
      display: what is shown.
      stop: whether the run is asked to stop.
      began: when this start of the run began, by `time.perf_counter`.
    """

    def __init__(
        self,
        program: Program,
        given: Input,
        validation: Examples | None,
        *,
        checkpoints: Checkpoints,
        callbacks: Callbacks,
        display: Display,
        stop: Callable[[], bool],
        began: float,
    ) -> None:
        self.program = program
        self.recipe = program.recipe
        self.plan = program.plan
        self._input, self._validation = given, validation
        self._checkpoints, self._callbacks, self._display = checkpoints, callbacks, display
        # A callback that has failed ends the run as a signal does, in good order.
        self._stop = lambda: stop() or callbacks.failure is not None
        self._paths = parameter_paths(program.abstract_state.params)
        self._in_flight: deque[tuple[int, int, Metrics]] = deque()
        self._norms = np.full(len(self._paths), np.nan)
        self._clock: float | None = None
        self._began = began
        self._others_asked = False
        self._shown: list[tuple[float, ...]] = []
        self._metric = metric_that_counts(self.recipe)
        self._parts = [part.name for part in program.task.PARTS]
        self.progress = Progress(self._metric.name)

    def run(self, state: TrainState, progress: Progress) -> TrainState:
        """Trains until the plan's end or patience's.

        Args:
          state: where to start; used up.
          progress: what was saved with it, or a new one.

        Raises:
          NonFinite: the loss or a gradient was not finite.
          Stopped: a signal came; the state has been saved.
          SaveError: a checkpoint could not be written.
        """
        self.progress = progress
        debug = self.program.debug
        guard = jax.transfer_guard_host_to_device("disallow") if debug else contextlib.nullcontext()
        try:
            with guard:
                return self._run(state)
        except NonFinite:
            self.count_time()
            raise

    def _run(self, state: TrainState) -> TrainState:
        progress, plan = self.progress, self.plan
        step = saved = int(state.step)
        while True:
            last = step >= plan.total
            metrics = None
            if step > progress.validated and (last or plan.due(step, plan.validate)):
                self._drain()
                metrics = self._validate(state, step)
            due = last or plan.due(step, plan.save)
            asked = self._asked()
            # A step saved by a stop is saved again once it is validated.
            if metrics is not None or (step > saved and (due or asked)):
                self._save(state, step, metrics)
                saved = step
                if due and self._validation is None:
                    self._row(step, {})
            if asked:
                self._drain()
                self._checkpoints.wait()
                raise Stopped(
                    f"stopped at step {step} of {plan.total}"
                    + (f"; the state is saved in {self._checkpoints.directory}" if step else "")
                    + ". The same command goes on from there."
                )
            if last:
                return state
            if self._out_of_patience():
                self._tell_early(step)
                return state
            if self._clock is None:
                self._input.begin(step + progress.skipped)
                self._clock = time.perf_counter()
            before = state
            state, count, given = self._call(state, step)
            step += count
            if self.program.debug:
                self._check(before, given)
            while len(self._in_flight) > _IN_FLIGHT:
                self._read(*self._in_flight.popleft())

    def _call(self, state: TrainState, step: int) -> tuple[TrainState, int, Given]:
        """Starts a call of the program.

        Of many steps, unless the state of one of them is needed.

        Returns:
          The state after it, how many steps it makes, and what it was given.
        """
        count, program = self.program.steps_per_call, self.program
        first = step + self.progress.skipped
        if count > 1 and step + count > self.plan.next_scheduled(step):
            count = 1
        given = self._input(first, self._busy)
        if count > 1:
            each = [given, *(self._input(first + i, self._busy) for i in range(1, count))]
            given = given._replace(
                indices=np.stack([one.indices for one in each]),
                epochs=np.stack([one.epochs for one in each]),
            )
        state, found = program.train_step(state, *given, self._stop())
        for value in found.values():
            value.copy_to_host_async()
        self._in_flight.append((step, count, found))
        return state, count, given

    def _busy(self) -> bool:
        """Whether a step is under way."""
        if not self._in_flight:
            return False
        last: Any = self._in_flight[-1][2]["loss"]
        return not last.is_ready()

    def _check(self, before: TrainState, given: Given) -> None:
        """Waits for the step that is under way, and explains its failure if it has failed."""
        try:
            self._read(*self._in_flight.popleft())
        except NonFinite as failure:
            with jax.transfer_guard_host_to_device("allow"):
                where = self.program.explain(before, *given)
            if where is None:
                where = "repeated operation by operation, every number is finite"
            failure.args = (f"{failure}\nFirst not finite: {where}",)
            raise

    def _asked(self) -> bool:
        """Whether to stop before the next step: the same answer in all processes.

        Of several each learns from the metrics of a step whether one of them was asked.
        """
        return self._others_asked if self.program.agrees else self._stop()

    def _read(self, step: int, count: int, metrics: Metrics) -> None:
        """Takes in the metrics of a call of so many steps, made after `step` updates."""
        fetched = {name: np.asarray(value) for name, value in metrics.items()}
        self._others_asked |= bool(fetched.pop("asked", False))
        self.progress.steps_timed += count
        for i in range(count):
            row = fetched if count == 1 else {name: value[i] for name, value in fetched.items()}
            self._read_step(step + i + 1, row)

    def _read_step(self, step: int, metrics: dict[str, np.ndarray]) -> None:
        """Takes in the metrics of the step that led to `step` updates."""
        loss = float(metrics["loss"])
        norms = metrics["grad_norms"]
        update = float(metrics["update_norm"])
        if not (math.isfinite(loss) and np.all(np.isfinite(norms)) and math.isfinite(update)):
            what = f"the loss of step {step - 1} is {loss}, its update's norm {update}"
            raise self._non_finite(step - 1, what, norms)
        self._norms = norms
        row = (loss, *[float(metrics[name]) for name in self._parts])
        self.progress.window.append(row)
        self._shown.append(row)
        if step == self.plan.total or self.plan.due(step, self.plan.log):
            self._write_train(step, metrics)
        self._display.step(step, loss, self.images_per_second, self.input_wait)

    def _drain(self) -> None:
        """Waits for all steps under way, and stops the clock."""
        while self._in_flight:
            self._read(*self._in_flight.popleft())
        if self._clock is not None:
            self.progress.seconds += self._running
            self._clock = None
            if self._input.stalled is not None:
                self.progress.stalled += self._input.stalled
                self._input.stalled = 0.0

    @property
    def images_per_second(self) -> float:
        """Examples trained on a second, without compiling, evaluating and saving."""
        seconds = self.progress.seconds + self._running
        return self.progress.steps_timed * self.plan.batch_size / seconds if seconds else 0.0

    @property
    def input_wait(self) -> float | None:
        """Part of the time in steps that devices waited for input; None where they need not."""
        if self._input.stalled is None:
            return None
        seconds = self.progress.seconds + self._running
        return (self.progress.stalled + self._input.stalled) / seconds if seconds else 0.0

    @property
    def _running(self) -> float:
        """Seconds since the clock was started, if it runs."""
        return 0.0 if self._clock is None else time.perf_counter() - self._clock

    def _write_train(self, step: int, metrics: dict[str, np.ndarray]) -> None:
        window = np.asarray(self.progress.window)
        norms = np.asarray(metrics["grad_norms"], np.float64)
        values: dict[str, Any] = {
            "epoch": self.plan.epoch(step),
            **{
                name: float(window[:, place].mean())
                for place, name in enumerate(("loss", *self._parts))
            },
            "learning_rate": float(self.program.rates[step - 1]),
            "grad_norm": float(np.sqrt(np.sum(norms**2))),
            "images_per_second": self.images_per_second,
        }
        if self.input_wait is not None:
            values["input_wait"] = self.input_wait
        if self.recipe.log_norms:
            for name in ("grad_norms", "update_norms"):
                listed = np.asarray(metrics[name]).tolist()
                values[name] = dict(zip(self._paths, listed, strict=True))
        self._callbacks.step(step, values)
        self.progress.window.clear()

    def _validate(self, state: TrainState, step: int) -> dict[str, Any] | None:
        """Evaluates the validation part; None if there is none, or if asked to stop on the way."""
        if self._validation is None:
            return None
        metrics = self.program.evaluate(state.evaluated, self._validation, self._stop, choose=True)
        if metrics is None:
            self._others_asked = True
            return None
        # Not every task has a mean loss there.
        if not math.isfinite(metrics.get("loss", 0.0)):
            what = f"the validation loss after step {step - 1} is {metrics['loss']}"
            raise self._non_finite(step - 1, what, self._norms)
        progress, metric = self.progress, self._metric
        progress.validated = step
        told = {name: value for name, value in metrics.items() if name != "chosen"}
        self._callbacks.validation(step, told)
        value = metric.worth(metrics)
        found = {**metrics, "step": step}
        improved = progress.best is None or rank(found, metric) > rank(progress.best, metric)
        if improved:
            progress.best = found
        change = self.recipe.early_stopping.min_change
        if progress.reference is None or value > progress.reference + change:
            progress.reference, progress.stale = value, 0
        else:
            progress.stale += 1
        self._row(step, {**told, "best": "*" if improved else None})
        return metrics

    def _row(self, step: int, found: dict[str, Any]) -> None:
        """Shows a row of the table, with what was `found` besides the training."""
        shown = np.asarray(self._shown)
        validated = {f"val {name}": value for name, value in found.items() if name != "best"}
        trained = {
            f"train {name}": float(shown[:, place].mean())
            for place, name in enumerate(("loss", *self._parts))
            if len(shown)
        }
        self._display.row(
            {
                "epoch": self.plan.epoch(step),
                "step": step,
                **trained,
                **validated,
                "rate": float(self.program.rates[step - 1]),
                "images/s": self.images_per_second,
                "best": found.get("best"),
            }
        )
        self._shown.clear()

    def _out_of_patience(self) -> bool:
        patience = self.recipe.early_stopping.patience
        return patience is not None and self.progress.stale >= patience

    def _tell_early(self, step: int) -> None:
        progress, config = self.progress, self.recipe
        metric, change = self._metric, config.early_stopping.min_change
        by = f" by more than {change:g}" if change else ""
        best = progress.best
        assert best is not None
        self._display.say(
            f"stopped early after step {step} of {self.plan.total}: the validation {metric.name} "
            f"has not improved{by} in {progress.stale} validation{'s' * (progress.stale > 1)} "
            f"(--early-stopping.patience {config.early_stopping.patience}); the best was "
            f"{metric.written(best[metric.name])} at step {best['step']}"
        )

    def count_time(self) -> None:
        """Adds the time since the last call, or since the start, to the run's total."""
        now = time.perf_counter()
        self.progress.total_seconds += now - self._began
        self._began = now

    def _save(self, state: TrainState, step: int, metrics: dict[str, Any] | None) -> None:
        self._drain()
        self._callbacks.saving(step)
        self.count_time()
        self._checkpoints.save(state, step, dataclasses.asdict(self.progress), metrics)

    def _non_finite(self, step: int, what: str, norms: np.ndarray) -> NonFinite:
        self._checkpoints.wait()
        good = self._checkpoints.latest()
        lines = [
            f"  {norm:>12.4g}  {path}"
            for path, norm in zip(self._paths, norms.tolist(), strict=True)
        ]
        return NonFinite(
            f"training has failed: {what}. "
            + (
                f"The last good checkpoint is that of step {good} in "
                f"{self._checkpoints.directory}. "
                if good is not None
                else "There is no checkpoint before it. "
            )
            + "Gradient norms of that step:\n"
            + "\n".join(lines)
            + "\nA lower --optimizer.learning-rate, a --schedule.warmup or "
            "--optimizer.clip-norm may help.",
            step,
            what,
        )
