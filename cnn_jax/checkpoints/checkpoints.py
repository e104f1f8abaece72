"""Checkpoints of a run through Orbax: asynchronous, atomic, the latest and the best kept."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from cnn_jax import recipe
from cnn_jax.checkpoints.files import (
    BROKEN,
    REPLACED,
    check_alone,
    lay_aside,
    lay_metrics_aside,
    read_metrics,
    reason,
    sealed,
    settle,
    steps_in,
    unsealed,
    with_checksum,
)
from cnn_jax.checkpoints.listing import Listing
from cnn_jax.checkpoints.plain_path import plain_path
from cnn_jax.checkpoints.quiet import quiet_orbax
from cnn_jax.checkpoints.ranking import kept
from cnn_jax.checkpoints.seal import Seal, Sealer
from cnn_jax.checkpoints.stored_state import fields_of, shapes_of, unlike
from cnn_jax.devices.processes import first_does, is_first
from cnn_jax.errors import UserError
from cnn_jax.state import TrainState
from cnn_jax.tasks import Metric

Progress = dict[str, Any]
"""What the loop has to know besides the state, as JSON."""


class SaveError(UserError):
    """A checkpoint could not be written; those before it are whole."""

    exit_code = 74  # EX_IOERR


class Unreadable(UserError):
    """A checkpoint is damaged.

    Attributes:
      step: which.
    """

    def __init__(self, message: str, step: int) -> None:
        super().__init__(message)
        self.step = step


class Checkpoints(Listing):
    """The checkpoints of one run folder.

    Args:
      directory: where they lie; made if it is not there, unless read only.
      config: how many are kept.
      metric: by which the best is chosen.
      read_only: never writes or deletes anything.
      scheduled: whether a checkpoint of a step is due whatever happens, unlike those that are saved
        when a run is stopped: of these the newest is kept as well, until a newer one is there.
      sealer: what takes the seals of states, if there is one; else made for the first state.
      lock: held while Orbax works, where several threads have checkpoints: it serves one at a
        time. Saving is then not asynchronous.
    """

    def __init__(
        self,
        directory: Path,
        config: recipe.Checkpoints,
        metric: Metric,
        *,
        read_only: bool = False,
        scheduled: Callable[[int], bool] = lambda step: True,
        sealer: Callable[[], Sealer] | None = None,
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        quiet_orbax()
        self._shared = lock is not None
        self._lock = threading.RLock() if lock is None else lock
        super().__init__(directory.resolve(), metric)
        self._sealer = sealer
        self._scheduled = scheduled
        self.broken: list[str] = []
        if read_only and not self.directory.is_dir():
            raise UserError(f"no checkpoint in {directory.parent}: it holds no folder checkpoints")
        if not read_only:
            self.broken = first_does(self._tidy)
        self._ways = contextlib.ExitStack()
        self._plain = self._ways.enter_context(plain_path(self.directory))
        self._read_back = read_only
        with self._lock:
            self._manager = self._open(read_only, config)

    def _tidy(self) -> list[str]:
        """Makes the folder, settles what was under way, and lays damaged metrics aside.

        The state beside them may be good: the checkpoint counts as one that was not validated.
        """
        said = []
        self.directory.mkdir(parents=True, exist_ok=True)
        settle(self.directory)
        for step in steps_in(self.directory):
            try:
                read_metrics(self.directory / str(step))
            except ValueError as error:
                said.append(
                    f"of checkpoint {step} in {self.directory.parent} the metrics: {error}. Its "
                    "state is used as one that was not validated"
                )
                lay_metrics_aside(self.directory / str(step))
        return said

    def _open(self, read_only: bool, config: recipe.Checkpoints) -> ocp.CheckpointManager:
        return ocp.CheckpointManager(
            self._plain,
            options=ocp.CheckpointManagerOptions(
                # Has the metrics stored; one that only reads must not stumble over damaged ones.
                best_fn=None if read_only else self.key,
                preservation_policy=kept(config, self.metric, self._scheduled),
                create=not read_only,
                read_only=read_only,
                cleanup_tmp_directories=not read_only,
            ),
            item_handlers={
                "state": ocp.StandardCheckpointHandler(),
                "progress": ocp.JsonCheckpointHandler(),
            },
        )

    def _seal(self, state: Any) -> Seal:
        if self._sealer is None:
            made = Sealer(state)
            self._sealer = lambda: made
        return self._sealer()(state)

    def save(
        self, state: TrainState, step: int, progress: Progress, metrics: Mapping[str, Any] | None
    ) -> None:
        """Starts to write a checkpoint; returns once the state has been copied.

        Args:
          state: what is saved.
          step: the number of updates it has had.
          progress: what the loop has to know besides.
          metrics: validation metrics at this step, if it was validated.

        Raises:
          SaveError: this or the save before could not be written.
        """
        self.wait()
        stored = None if metrics is None else with_checksum({**metrics, "step": step})
        saved = sealed(progress, self._seal(state).sums)
        try:
            with self._lock:
                # A stop may have saved this very step before it was validated: that checkpoint is
                # laid aside until the new one is whole.
                replaced = step in self._manager.all_steps()
                if replaced:
                    first_does(lambda: self._replace(step))
                    self._manager.reload()
                self._manager.save(
                    step,
                    args=ocp.args.Composite(
                        state=ocp.args.StandardSave(fields_of(state)),
                        progress=ocp.args.JsonSave(saved),
                    ),
                    metrics=stored,
                    force=True,
                )
                if replaced or self._shared or not self._read_back:
                    self.wait()
                if replaced and is_first():
                    settle(self.directory)
        except (OSError, ValueError) as error:
            raise self._failed(error) from error
        if not self._read_back:
            first_does(lambda: self._read(step))
            self._read_back = True

    def _read(self, step: int) -> None:
        """Reads the first checkpoint that was written: what cannot be read now never can."""
        try:
            check_alone(self._plain / str(step))
        except ValueError as error:
            raise SaveError(
                f"the checkpoint of step {step} was written to {self.directory}, but it cannot be "
                f"read: {self._reason(error)}. So could none after it, and training ends here; "
                "choose another --workdir, on another file system or with a plainer name."
            ) from error

    def _replace(self, step: int) -> None:
        lay_aside(self.directory / str(step), REPLACED)

    def wait(self) -> None:
        """Returns when everything is on disk.

        Raises:
          SaveError: it could not be written.
        """
        try:
            with self._lock:
                self._manager.wait_until_finished()
                self._manager.check_for_errors()
        except (OSError, ValueError) as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> SaveError:
        whole = ", ".join(str(step) for step in self.steps()) or "none"
        return SaveError(
            f"a checkpoint could not be written to {self.directory}: {self._reason(error)}. Whole "
            f"checkpoints there: {whole}. When that is mended, the same command goes on from the "
            "newest."
        )

    def restore(self, step: int, template: TrainState) -> tuple[TrainState, Progress]:
        """A saved state, laid out on the devices as the template is.

        Args:
          step: one of `steps()`.
          template: a state of `jax.ShapeDtypeStruct` with shardings.

        Raises:
          Unreadable: the checkpoint is not what was written.
          UserError: it holds another model's or optimizer's state.
        """
        self.wait()
        self._compare(step, template)
        try:
            with self._lock:
                restored = self._manager.restore(
                    step,
                    args=ocp.args.Composite(
                        state=ocp.args.StandardRestore(fields_of(template)),
                        progress=ocp.args.JsonRestore(),
                    ),
                )
            progress, sums = unsealed(restored.progress)
        except jax.errors.JaxRuntimeError:
            raise
        except Exception as error:
            raise self._unreadable(step, self._reason(error)) from error
        state = template.replace(**restored.state)  # type: ignore[attr-defined]
        found = self._seal(state)
        changed = sorted(name for name, now in found.sums.items() if sums.get(name) != now)
        if changed:
            raise self._unreadable(step, f"{changed[0]} is not what was saved")
        if int(state.step) != step:
            raise self._unreadable(step, f"it holds the state after {int(state.step)} steps")
        if found.wild:
            raise self._unreadable(step, f"{found.wild[0]} is not finite")
        return state, progress

    def restore_first(
        self, steps: Sequence[int], template: TrainState
    ) -> tuple[TrainState, Progress, list[str]]:
        """The first of several states that is what was saved.

        Those before it, which are not, are laid aside as `STEP.broken`, so that the run can come
        to their steps again.

        Args:
          steps: which states, in this order.
          template: a state of `jax.ShapeDtypeStruct` with shardings.

        Returns:
          The state, the loop's progress, and for each one laid aside what is wrong with it.

        Raises:
          Unreadable: none is what was saved.
          UserError: it holds another model's or optimizer's state.
        """
        if jax.process_count() > 1:
            # What all restore together is known to be whole before.
            said, steps = first_does(lambda: self._whole(steps))
            self._reload()
            return *self.restore(steps[0], template), said
        broken: list[Unreadable] = []
        for step in steps:
            try:
                state, progress = self.restore(step, template)
            except Unreadable as error:
                broken.append(error)
                continue
            self.leave([error.step for error in broken], BROKEN)
            return state, progress, [str(error) for error in broken]
        raise broken[0]

    def _whole(self, steps: Sequence[int]) -> tuple[list[str], list[int]]:
        """What is wrong with the first steps, which are laid aside, and those from a whole one."""
        broken: list[Unreadable] = []
        for index, step in enumerate(steps):
            try:
                check_alone(self._plain / str(step))
            except ValueError as error:
                broken.append(self._unreadable(step, self._reason(error)))
                continue
            for failed in broken:
                lay_aside(self.directory / str(failed.step), BROKEN)
            return [str(error) for error in broken], list(steps[index:])
        raise broken[0]

    def leave(self, steps: Sequence[int], end: str) -> None:
        """Lays checkpoints aside, under names with the end `end`."""
        if not steps:
            return

        def aside() -> None:
            for step in steps:
                lay_aside(self.directory / str(step), end)

        first_does(aside)
        self._reload()

    def _reload(self) -> None:
        with self._lock:
            self._manager.reload()

    def _reason(self, error: Exception) -> str:
        return reason(error).replace(str(self._plain), str(self.directory))

    def _unreadable(self, step: int, reason: str) -> Unreadable:
        others = ", ".join(str(other) for other in self.steps() if other != step) or "none"
        return Unreadable(
            f"checkpoint {step} in {self.directory.parent} cannot be used: {reason}. "
            f"Others there: {others}",
            step,
        )

    def _compare(self, step: int, template: TrainState) -> None:
        try:
            with self._lock:
                stored = shapes_of(self._manager.item_metadata(step).state)
        except Exception as error:
            raise self._unreadable(step, self._reason(error)) from error
        if not stored:
            raise self._unreadable(step, "its description of the state is missing")
        if lines := unlike(stored, shapes_of(template)):
            raise UserError(
                f"checkpoint {step} in {self.directory.parent} is of another model or "
                f"optimizer:\n{lines}"
            )

    def close(self) -> None:
        """Waits for what is being written and frees the threads."""
        with self._lock, self._ways:
            self._manager.close()
