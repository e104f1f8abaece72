"""What a trial in a process of its own is given, and what it leaves."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnn_jax.code_record import code_changes, recorded_code, write_record
from cnn_jax.errors import UserError
from cnn_jax.file_lock import lock_file
from cnn_jax.json_values import differences, from_json, read_json, to_json, write_json
from cnn_jax.own.names import with_own
from cnn_jax.recipe import Recipe
from cnn_jax.runs.sweep import Trial
from cnn_jax.runs.sweep_record import Outcome
from cnn_jax.runs.trial_process import LOG, OUTCOME


@dataclass(frozen=True)
class Request:
    """What a trial is to do, as it is stored.

    Attributes:
      recipe: that is trained, as it was when the sweep was started.
      values: of the fields that differ, as they were given.
      seeds: how many runs it has.
      data_dir: where data sets lie.
      workers: processes that read a set which streams.
      devices: how many its process must see; None: as many as there are.
      number: among the trials of Optuna, if that has suggested it.
    """

    recipe: Recipe
    values: Mapping[str, Any]
    seeds: int = 1
    data_dir: str | None = None
    workers: int | None = None
    devices: int | None = None
    number: int | None = None


class TrialFolder:
    """The folder `trials/NAME` of a sweep, which stands beside the run folder of the trial.

    trial.json     what it is to do; code.json and code/ as in a run folder
    log.txt        what its processes have printed
    outcome.json   what has come of it, written last
    job.json       the job of a cluster that it was handed in as
    .lock          held by the process that is at it
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, trial: Trial) -> TrialFolder:
        """That of a trial."""
        return cls(trial.folder.parent / "trials" / trial.folder.name)

    @property
    def log(self) -> Path:
        """The file of what its processes have printed."""
        return self.path / LOG

    @property
    def job(self) -> Path:
        """The file that names the job of a cluster."""
        return self.path / "job.json"

    @property
    def _request_file(self) -> Path:
        return self.path / "trial.json"

    @property
    def _outcome_file(self) -> Path:
        return self.path / OUTCOME

    def write(self, request: Request) -> None:
        """Stores what is to be done; what came of an earlier request is forgotten.

        Raises:
          UserError: the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._outcome_file.unlink(missing_ok=True)
            write_record(self.path, request.recipe)
            write_json(self._request_file, to_json(request))
        except OSError as error:
            raise UserError(f"{self.path} cannot be written: {error.strerror}") from None

    def request(self) -> Request:
        """What is to be done.

        Raises:
          UserError: this is no such folder.
        """
        file = self._request_file
        if not file.exists():
            raise UserError(f"{self.path} is no folder of a trial: it has no trial.json")
        found = from_json(read_json(file), Request, str(file))
        return dataclasses.replace(found, recipe=with_own(found.recipe, recorded_code(self.path)))

    def changes(self, request: Request) -> list[str]:
        """A line for each field in which another request differs from the stored one."""
        lines = differences(to_json(self.request()), to_json(request))
        return lines + code_changes(self.path, request.recipe)

    def trial(self, request: Request) -> Trial:
        """The trial that a request is of."""
        folder = self.path.parent.parent / self.path.name
        return Trial(request.values, request.recipe, folder, request.number)

    def write_outcome(self, outcome: Outcome) -> None:
        """Stores what has come of it."""
        write_json(self._outcome_file, outcome._asdict())

    def outcome(self) -> Outcome | None:
        """What has come of it, once something has."""
        file = self._outcome_file
        return Outcome(**read_json(file)) if file.exists() else None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Within it no other process is at this trial.

        Waits for one that is: it ends soon where its sweep has been killed.
        """
        with (self.path / ".lock").open("a") as file:
            lock_file(file, wait=True)
            yield
