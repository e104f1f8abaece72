"""Checkpoints of a run through Orbax: asynchronous, atomic, the latest and the best kept."""

from __future__ import annotations

import math
import os
import re
import shutil
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import (
    AnyPreservationPolicy,
    BestN,
    LatestN,
)

from cnn_jax import recipe
from cnn_jax.errors import UserError
from cnn_jax.processes import is_first, meet
from cnn_jax.tasks.classification import LOWER_IS_BETTER
from cnn_jax.training.paths import path_name
from cnn_jax.training.seal import Sealer, text_checksum
from cnn_jax.training.state import TrainState

Progress = dict[str, Any]
"""What the loop has to know besides the state, as JSON."""


class SaveError(UserError):
    """A checkpoint could not be written; those before it are whole."""

    exit_code = 74  # EX_IOERR


def value_of(metrics: Mapping[str, float], metric: str) -> float:
    """A metric turned so that more is better; what is not a number is worst."""
    value = float(metrics[metric])
    if math.isnan(value):
        return -math.inf
    return -value if metric in LOWER_IS_BETTER else value


class Unreadable(UserError):
    """A checkpoint is damaged.

    Attributes:
      step: which.
    """

    def __init__(self, message: str, step: int) -> None:
        super().__init__(message)
        self.step = step


class Checkpoints:
    """The checkpoints of one run folder.

    Args:
      directory: where they lie; made if it is not there, unless read only.
      config: how many are kept, and by which metric the best is chosen.
      read_only: never writes or deletes anything.
      lock: held while Orbax works, where several threads have checkpoints: it serves one at a
        time. Saving is then not asynchronous.
    """

    def __init__(
        self,
        directory: Path,
        config: recipe.Checkpoints,
        *,
        read_only: bool = False,
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        self._shared = lock is not None
        self._lock = threading.RLock() if lock is None else lock
        self.directory = directory.resolve()
        self._sealer: Sealer | None = None
        self.metric = config.metric
        if read_only and not self.directory.is_dir():
            raise UserError(f"no checkpoint in {directory.parent}: it holds no folder checkpoints")
        if not read_only:
            if is_first() and self.directory.is_dir():
                _settle(self.directory)
            meet("checkpoints settled")
        with self._lock:
            self._manager = self._open(read_only, config)

    def _open(self, read_only: bool, config: recipe.Checkpoints) -> ocp.CheckpointManager:
        return ocp.CheckpointManager(
            self.directory,
            options=ocp.CheckpointManagerOptions(
                best_fn=self._key,  # has the metrics stored
                preservation_policy=AnyPreservationPolicy(
                    [
                        LatestN(max(1, config.keep_latest)),
                        BestN(
                            get_metric_fn=self._key,
                            n=config.keep_best,
                            keep_checkpoints_without_metrics=False,
                        ),
                    ]
                ),
                create=not read_only,
                read_only=read_only,
                cleanup_tmp_directories=not read_only,
            ),
            item_handlers={
                "state": ocp.StandardCheckpointHandler(),
                "progress": ocp.JsonCheckpointHandler(),
            },
        )

    def _key(self, metrics: Mapping[str, float]) -> tuple[float, int]:
        # Of equally good checkpoints the first is the best: later ones did not improve on it.
        return value_of(metrics, self.metric), -int(metrics["step"])

    def steps(self) -> list[int]:
        """Steps of all whole checkpoints, rising."""
        return sorted(self._manager.all_steps())

    def latest(self) -> int | None:
        """Step of the newest checkpoint, if there is any."""
        return max(self.steps(), default=None)

    def best(self) -> int | None:
        """Step of the best validated checkpoint, if there is any."""
        found = {step: self.metrics(step) for step in self.steps()}
        validated = {step: metrics for step, metrics in found.items() if metrics}
        return max(validated, key=lambda step: self._key(validated[step]), default=None)

    def metrics(self, step: int) -> dict[str, Any]:
        """Validation metrics stored with a checkpoint.

        Empty where it was not validated, or where they are not what was written: what cannot be
        compared is not the best.
        """
        try:
            with self._lock:
                found = dict(self._manager.metrics(step) or {})
        except (OSError, ValueError):
            return {}
        stored = found.pop("checksum", None)
        return found if stored in (None, text_checksum(found)) else {}

    def prepare(self, abstract: TrainState) -> None:
        """Compiles what checks states of these shapes, once.

        Args:
          abstract: a state of `jax.ShapeDtypeStruct` with shardings.
        """
        if self._sealer is None:
            self._sealer = Sealer(abstract)

    def find(self, which: str) -> int:
        """The step meant by `best`, `latest` or a number.

        Raises:
          UserError: there is none, or not that one.
        """
        steps = self.steps()
        run = self.directory.parent
        if not steps:
            raise UserError(f"no checkpoint in {run}")
        if which == "latest":
            return steps[-1]
        if which == "best":
            best = self.best()
            if best is None:
                raise UserError(
                    f"no checkpoint in {run} was validated, so none is best; there are: "
                    f"latest, {', '.join(map(str, steps))}"
                )
            return best
        if not which.isdigit() or int(which) not in steps:
            raise UserError(
                f"no checkpoint {which!r} in {run}; there are: best, latest, "
                f"{', '.join(map(str, steps))}"
            )
        return int(which)

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
        stored = None if metrics is None else {**metrics, "step": step}
        if stored is not None:
            stored["checksum"] = text_checksum(stored)
        self.prepare(state)
        assert self._sealer is not None
        seal = self._sealer(state)
        sealed = {**progress, "seal": {"sums": seal.sums, "progress": text_checksum(progress)}}
        try:
            with self._lock:
                # A stop may have saved this very step before it was validated: that checkpoint is
                # laid aside until the new one is whole.
                replaced = step in self._manager.all_steps()
                if replaced:
                    meet("step replaced")
                    if is_first():
                        (self.directory / str(step)).rename(self.directory / f"{step}{_ASIDE}")
                    meet("step laid aside")
                    self._manager.reload()
                self._manager.save(
                    step,
                    args=ocp.args.Composite(
                        state=ocp.args.StandardSave(state), progress=ocp.args.JsonSave(sealed)
                    ),
                    metrics=stored,
                    force=True,
                )
                if replaced or self._shared:
                    self.wait()
                if replaced and is_first():
                    _settle(self.directory)
        except (OSError, ValueError) as error:
            raise self._failed(error) from error

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
            f"a checkpoint could not be written to {self.directory}: {_reason(error)}. Whole "
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
        self.prepare(template)
        try:
            with self._lock:
                restored = self._manager.restore(
                    step,
                    args=ocp.args.Composite(
                        state=ocp.args.StandardRestore(template), progress=ocp.args.JsonRestore()
                    ),
                )
        except Exception as error:
            raise self._unreadable(step, _reason(error)) from error
        state, progress = restored.state, dict(restored.progress)
        assert self._sealer is not None
        found, stored = self._sealer(state), progress.pop("seal", None)
        names = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(state)]
        if stored is not None:
            changed = [
                name
                for name, now, then in zip(names, found.sums, stored["sums"], strict=True)
                if now != then
            ]
            if changed:
                raise self._unreadable(step, f"{changed[0]} is not what was saved")
            if text_checksum(progress) != stored["progress"]:
                raise self._unreadable(step, "the loop's progress is not what was saved")
        if int(state.step) != step:
            raise self._unreadable(step, f"it holds the state after {int(state.step)} steps")
        wild = [name for name, finite in zip(names, found.finite, strict=True) if not finite]
        if wild:
            raise self._unreadable(step, f"{wild[0]} is not finite")
        return state, progress

    def restore_newest(self, template: TrainState) -> tuple[TrainState, Progress, list[str]]:
        """The newest state that is what was saved.

        Newer ones that are not are laid aside, as `STEP.broken`, so that the run can come to
        their steps again.

        Args:
          template: a state of `jax.ShapeDtypeStruct` with shardings.

        Returns:
          The state, the loop's progress, and for each one laid aside what is wrong with it.

        Raises:
          Unreadable: none is what was saved.
          UserError: it holds another model's or optimizer's state.
        """
        broken: list[Unreadable] = []
        for step in reversed(self.steps()):
            try:
                state, progress = self.restore(step, template)
            except Unreadable as error:
                broken.append(error)
                continue
            for failed in broken:
                self._lay_aside(failed.step)
            return state, progress, [str(error) for error in broken]
        raise broken[0]

    def _lay_aside(self, step: int) -> None:
        meet("broken checkpoint")
        if is_first():
            aside = self.directory / f"{step}{_BROKEN}"
            if aside.exists():
                shutil.rmtree(aside)
            (self.directory / str(step)).rename(aside)
        meet("broken checkpoint laid aside")
        with self._lock:
            self._manager.reload()

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
                stored = _shapes(self._manager.item_metadata(step).state)
        except Exception as error:
            raise self._unreadable(step, _reason(error)) from error
        if not stored:
            raise self._unreadable(step, "its description of the state is missing")
        wanted = _shapes(template)
        lines = [
            f"  {path}: {stored.get(path, 'missing')} in the checkpoint, "
            f"{wanted.get(path, 'not there')} in the recipe"
            for path in sorted(stored.keys() | wanted.keys())
            if stored.get(path) != wanted.get(path)
        ]
        if lines:
            more = f"\n  and {len(lines) - 8} more" if len(lines) > 8 else ""
            raise UserError(
                f"checkpoint {step} in {self.directory.parent} is of another model or "
                "optimizer:\n" + "\n".join(lines[:8]) + more
            )

    def close(self) -> None:
        """Waits for what is being written and frees the threads."""
        with self._lock:
            self._manager.close()


_ASIDE = ".replaced"
_BROKEN = ".broken"


def _settle(directory: Path) -> None:
    """Takes back a checkpoint that was laid aside, or removes it if the new one is whole."""
    for aside in directory.glob(f"*{_ASIDE}"):
        new = aside.with_suffix("")
        if new.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(new)


def _reason(error: Exception) -> str:
    """What the system said, out of the long message of the library that writes arrays."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    code = re.search(r"os_error_code='(\d+)'", str(error))
    return os.strerror(int(code[1])) if code else str(error).strip().splitlines()[0]


def _shapes(tree: Any) -> dict[str, str]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        path_name(path): f"{np.dtype(leaf.dtype).name} {tuple(leaf.shape)}"
        for path, leaf in leaves
        if hasattr(leaf, "shape")
    }
