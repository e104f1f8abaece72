"""The folder of one run, which explains itself: what was asked for, what came of it."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import jax

from cnn_jax.code_record import code_changes, own_code, recorded_code, write_record
from cnn_jax.data.parts import Parts
from cnn_jax.data.spec import DataSpec
from cnn_jax.errors import UserError
from cnn_jax.file_lock import lock_file
from cnn_jax.json_values import differences, from_json, read_json, to_json, write_json
from cnn_jax.own.names import with_own
from cnn_jax.recipe import Recipe
from cnn_jax.tasks import resolved

_PACKAGES = ("cnn-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")

_AS_BEFORE = (
    " To read 16-bit grey as before, give the stored values by --data.grey-range, with "
    "--allow-recipe-change."
)


class Taken(UserError):
    """A run folder has another recipe's run, or is in use."""


class RunFolder:
    """Where everything of one run lies.

    recipe.json      what was asked for
    data.json        facts of the data that the model depends on
    parts.npz        what the examples of each part hold, as short digests
    origin.json      which weights the run began with, if not with random ones
    code.json        where code of the user's own stands, if the recipe has any; in code/ as it was
    starts.jsonl     each start: time, command line, versions, commit, devices
    metrics.jsonl    training and validation metrics
    tensorboard/     the same for TensorBoard
    checkpoints/     one folder a step
    summary.json     written last: results
    predictions/     what was told of every example of a part, as Parquet files
    evaluations/     what `cnn-jax evaluate` found later
    wandb.json       the id of the run in Weights & Biases, mlflow.json that in MLflow
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.locked = True
        """Whether no other run can be in the folder, once it is started."""
        self._lock: IO[str] | None = None

    @property
    def _recipe_file(self) -> Path:
        return self.path / "recipe.json"

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        """The file of the metrics, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard's events."""
        return self.path / "tensorboard"

    @property
    def predictions(self) -> Path:
        """The folder of what was told of every example."""
        return self.path / "predictions"

    def finished(self, recipe: Recipe) -> dict[str, Any] | None:
        """The summary, if this very recipe's run lies here and has finished."""
        return self.summary() if self.changes(recipe) == [] else None

    def changes(self, recipe: Recipe) -> list[str] | None:
        """A line for each field in which a recipe differs from the stored one, and for each file
        of its own code that has changed since; None where none is stored.

        Fields that the recipe was stored without have their defaults.
        """
        if not os.path.exists(self._recipe_file):  # noqa: PTH110
            return None
        stored = with_own(self.recipe(), own_code(recipe))
        lines = differences(to_json(resolved(stored)), to_json(resolved(recipe)))
        return lines + code_changes(self.path, recipe)

    def check(self, recipe: Recipe, *, allow_change: bool = False) -> None:
        """Checks, without writing anything, that this recipe can be run here.

        Raises:
          UserError: the folder cannot be written, or holds something else or another recipe's
            run, unless that is allowed.
        """
        # os.path, since a Path's methods raise where a folder above may not be entered.
        parents = [self.path, *self.path.absolute().parents]
        existing = next(p for p in parents if os.path.exists(p))  # noqa: PTH110
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            why = "may not be written to" if existing.is_dir() else "is a file"
            raise UserError(f"--workdir {self.path} cannot be made: {existing} {why}")
        if existing != self.path:
            return
        lines = self.changes(recipe)
        if lines is not None:
            if lines and not allow_change:
                raise Taken(
                    f"{self.path} holds a run of another recipe:\n  " + "\n  ".join(lines) + "\n"
                    "Choose another --workdir, or give --allow-recipe-change to go on from its "
                    "newest checkpoint with the recipe as it is now."
                )
            return
        others = sorted(p.name for p in self.path.iterdir() if not p.name.startswith("."))
        if others:
            raise UserError(
                f"{self.path} is no run folder, and it is not empty (it holds "
                f"{', '.join(others[:5])}); choose another --workdir"
            )

    def start(self, recipe: Recipe, *, allow_change: bool = False) -> None:
        """Makes the folder, or takes up the run that lies there, and locks it.

        A changed recipe is not stored before `adopt` is called.

        Raises:
          UserError: see `check`; or the folder is in use by another run.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            self.check(recipe, allow_change=allow_change)
            if not self._recipe_file.exists():
                write_record(self.path, recipe)
                write_json(self._recipe_file, to_json(resolved(recipe)))
        except OSError as error:
            raise UserError(f"--workdir {self.path} cannot be written: {error.strerror}") from None

    def adopt(self, recipe: Recipe) -> None:
        """Stores a recipe that differs from the stored one, once it is sure that it can go on."""
        changed = self.changes(recipe)
        write_record(self.path, recipe)  # the same code may stand elsewhere now
        if changed:
            (self.path / "summary.json").unlink(missing_ok=True)
            write_json(self._recipe_file, to_json(resolved(recipe)))

    def _take_lock(self) -> None:
        self._lock = (self.path / ".lock").open("a+")
        try:
            self.locked = lock_file(self._lock)
        except BlockingIOError:
            self._lock.seek(0)
            process = self._lock.read().strip()
            self.close()
            raise Taken(f"{self.path} is in use by another run (process {process})") from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()

    def close(self) -> None:
        """Lets another process have the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def log_start(self, devices: list[str]) -> None:
        """Adds a line of what is started, when, where and by which code."""
        entry = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "command": shlex.join([*sys.orig_argv[:1], *sys.argv]),
            "versions": versions(),
            "commit": commit(),
            "devices": devices,
        }
        with (self.path / "starts.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def recipe(self, code: Sequence[Path] = ()) -> Recipe:
        """The stored recipe; own code that it names is found when it is asked for.

        Args:
          code: files of own code that the user says to use, see `cnn_jax.code_record`.

        Raises:
          UserError: this is no run folder.
        """
        file = self._recipe_file
        if not file.exists():
            raise UserError(f"{self.path} is no run folder: it has no recipe.json")
        recipe: Recipe = from_json(read_json(file), Recipe, str(file))
        return with_own(recipe, recorded_code(self.path, code))

    @property
    def begun(self) -> bool:
        """Whether a run has read its data here."""
        return (self.path / "data.json").exists()

    def data_spec(self) -> DataSpec:
        """The stored facts of the data.

        Raises:
          UserError: the run was stopped before it had read its data.
        """
        file = self.path / "data.json"
        return from_json(read_json(file), DataSpec, str(file))

    def known_data(self) -> DataSpec | None:
        """The stored facts of the data, or None where none are stored yet."""
        return self.data_spec() if (self.path / "data.json").exists() else None

    def write_data_spec(self, spec: DataSpec) -> None:
        """Stores the facts of the data, or checks them against those stored.

        Raises:
          UserError: the data have changed since the run began.
        """
        file = self.path / "data.json"
        if not file.exists():
            write_json(file, to_json(spec))
            return
        if lines := spec.changes(self.data_spec()):
            raise UserError(
                f"the data of the run in {self.path} have changed since it began:\n  "
                + "\n  ".join(lines)
                + "\nChoose another --workdir for a run on the new data."
                + _AS_BEFORE * any(line.startswith("grey_range") for line in lines)
            )

    @property
    def _parts_file(self) -> Path:
        return self.path / "parts.npz"

    def parts(self) -> Parts | None:
        """What the parts of the data held when the run began; None where that is not stored.

        Raises:
          UserError: the file is damaged.
        """
        return Parts.read(self._parts_file)

    def check_parts(self, parts: Parts, *, partly: bool = False) -> str | None:
        """Stores what the parts of the data hold, or checks it against what is stored.

        A run that has checkpoints, but was begun by a version that stored nothing, has nothing to
        be checked against.

        Args:
          parts: of the data as they are now.
          partly: see `Parts.changes`.

        Returns:
          What cannot be checked, in words; None where all is well.

        Raises:
          UserError: what the examples hold has changed since the run began.
        """
        stored = self.parts()
        if stored is None:
            if not self.steps():
                parts.write(self._parts_file)
            return None
        if stored.same(parts):
            return None
        changes = stored.changes(parts, partly=partly)
        if not changes and stored.counts() != parts.counts():
            return None  # the facts of the data say more of it
        if stored.kind == "pixels" and stored.reader != parts.reader and stored.mostly_lost(parts):
            return (
                f"images are read by {parts.reader} now and were read by {stored.reader} when the "
                "run began, to other pixels: it cannot be checked that they are the same"
            )
        raise UserError(
            f"the data of the run in {self.path} have changed since it began: of the examples "
            f"that lie in {parts.place}, {changes or 'some are in another part'}. Bring back those "
            "of then, or choose another --workdir for a run on the new data."
        )

    def steps(self) -> list[int]:
        """The steps that checkpoints lie here of, in no order."""
        if not self.checkpoints.is_dir():
            return []
        return [int(entry.name) for entry in self.checkpoints.iterdir() if entry.name.isdigit()]

    def write_origin(self, origin: dict[str, Any]) -> None:
        """Stores where the parameters came from, if they did not start at random."""
        write_json(self.path / "origin.json", origin)

    def origin(self) -> dict[str, Any] | None:
        """Where the parameters came from, or None where they started at random."""
        file = self.path / "origin.json"
        return read_json(file) if file.exists() else None

    def summary(self) -> dict[str, Any] | None:
        """What came of the run, or None where it has not finished."""
        file = self.path / "summary.json"
        return read_json(file) if file.exists() else None

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Stores what came of the run, which makes it a finished one."""
        write_json(self.path / "summary.json", summary)

    def write_evaluation(self, name: str, metrics: dict[str, Any]) -> Path:
        """Stores what a later evaluation found; returns the file."""
        folder = self.path / "evaluations"
        folder.mkdir(exist_ok=True)
        file = folder / f"{name}.json"
        write_json(file, metrics)
        return file


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a result."""
    return dict(_versions())


@functools.cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        found[package] = importlib.metadata.version(package)
    return found


@functools.cache
def commit() -> str | None:
    """The git commit this code stands at, with `-dirty` if files differ; None outside git.

    As it was when a process first asked: what it runs is not changed by later edits.
    """
    source = Path(__file__).parent

    def git(*words: str) -> str | None:
        done = subprocess.run(
            ["git", "-C", str(source), *words], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else None

    try:
        head = git("rev-parse", "HEAD")
        # A copy installed somewhere below another repository is not that repository's code.
        if head is None or git("ls-files", "--error-unmatch", "__init__.py") is None:
            return None
        return f"{head}-dirty" if git("status", "--porcelain", "--untracked-files=no") else head
    except FileNotFoundError:
        return None


def device_names(devices: list[jax.Device]) -> list[str]:
    """What the devices are, such as `cpu:0`, `NVIDIA H100:3`."""
    return [f"{device.device_kind}:{device.id}" for device in devices]
