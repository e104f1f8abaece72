"""Trials as jobs of a cluster, by submitit; each is handed in once."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rich.console import Console

from cnn_jax.errors import UserError
from cnn_jax.file_lock import lock_file
from cnn_jax.json_values import read_json, write_json
from cnn_jax.runs.sweep import Trial
from cnn_jax.runs.sweep_record import Outcome, Record
from cnn_jax.runs.trial_folder import Request, TrialFolder
from cnn_jax.runs.trial_job import TrialJob
from cnn_jax.runs.trial_process import LOG, last_words
from cnn_jax.terminal import say

Cluster = Literal["slurm", "local"]

_SHARED = (
    "name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node",
    "stderr_to_stdout",
)  # fmt: skip
"""What submitit calls the same on every cluster; what is Slurm's own begins with `slurm_`."""

_QUEUED = ("PENDING", "READY", "REQUEUED", "REQUEUE_HOLD", "CONFIGURING")
_RUNNING = ("RUNNING", "COMPLETING", "PREEMPTED", "SUSPENDED", "STOPPED")

_WITHOUT_LIMIT = 7 * 24 * 60
_RESTARTS = 1000


class _Job(NamedTuple):
    """A job that a trial was handed in as, and what it does: `queued`, `running`, `unknown`, or
    how it has ended.
    """

    cluster: str
    id: str
    state: str

    @property
    def active(self) -> bool:
        return self.state in ("queued", "running", "unknown")

    def words(self, folder: TrialFolder) -> str:
        """What a table shows of it."""
        said = "" if self.active else last_words(folder.path).partition("\n")[0]
        state = "not told by sacct" if self.state == "unknown" else self.state
        return f"{state}, job {self.id}" + f": {said}" * bool(said)


def executor(cluster: Cluster, options: Mapping[str, Any], top: Path) -> Any:
    """What hands in the trials of a sweep.

    Args:
      cluster: where to.
      options: what a job asks for, in submitit's names; Slurm's own may stand without `slurm_`.
      top: the folder of the sweep, which all machines see.

    Raises:
      UserError: submitit is not installed, there is no such cluster here, or an option is none.
    """
    submitit = _submitit()
    given: dict[str, Any] = {}
    for name, value in options.items():
        known = name in _SHARED or name.startswith(("slurm_", "local_"))
        given["timeout_min" if name == "time" else name if known else f"slurm_{name}"] = value
    for name in ("nodes", "tasks_per_node"):
        if given.get(name, 1) != 1:
            raise UserError(f"--cluster-options {name}={given[name]}: a trial is one process")
    if cluster == "slurm" and "timeout_min" not in given:
        raise UserError(
            "--cluster slurm needs the minutes after which a job is stopped and queued again: "
            "--cluster-options timeout_min=240. What else a job asks for is given so, too, as "
            "gpus_per_node=1 mem_gb=32 partition=NAME"
        )
    restarts = {f"{each}_max_num_timeout": _RESTARTS for each in ("slurm", "local")}
    try:
        found = submitit.AutoExecutor(top / "jobs", cluster, **restarts)
    except RuntimeError:
        raise UserError(
            f"--cluster {cluster}: there is no srun here, so that this is no machine of Slurm's"
        ) from None
    try:
        found.update_parameters(**{"timeout_min": _WITHOUT_LIMIT, "name": top.name, **given})
    except (AssertionError, NameError, TypeError, ValueError) as error:
        said = str(error).partition("\n")[0]
        raise UserError(f"--cluster-options: {said}") from None
    return found


def carry_out_on_cluster(
    trials: Sequence[Trial],
    request: Callable[[Trial], Request],
    record: Record,
    executor: Any,
    *,
    again: bool = False,
    console: Console,
) -> list[Outcome]:
    """Hands in the trials that were not, and looks what has become of the others.

    Args:
      trials: of the sweep.
      request: what is asked of a trial.
      record: where outcomes are added.
      executor: what hands in.
      again: hand in anew what has ended without an outcome.
      console: where it is said that something has.

    Returns:
      The trials without an outcome, with the state of their jobs in the place of one.

    Raises:
      UserError: a trial that the cluster still has was asked for otherwise.
    """
    folders = [TrialFolder.of(trial) for trial in trials]
    place = Path(executor.folder).parent / "trials"
    place.mkdir(parents=True, exist_ok=True)
    with (place / ".lock").open("a") as lock:
        lock_file(lock, wait=True)
        asked = [request(trial) for trial in trials]
        known = [trial.finished(each.seeds) for trial, each in zip(trials, asked, strict=True)]
        looked_at = [
            folder
            for folder, outcome in zip(folders, known, strict=True)
            if outcome is None and folder.job.exists()
        ]
        jobs = _jobs(looked_at, Path(executor.folder))
        left: list[Outcome] = []
        ended = 0
        new: list[tuple[Trial, TrialFolder]] = []
        for trial, folder, wanted, outcome in zip(trials, folders, asked, known, strict=True):
            job = jobs.get(folder.path)
            if outcome is None and job is not None and not _changed(folder, wanted, job):
                outcome = folder.outcome()
                if outcome is None and (job.active or not again):
                    ended += not job.active
                    left.append(_unfinished(trial, job.words(folder)))
                    continue
            if outcome is not None:
                record.add(outcome)
                continue
            folder.write(wanted)
            new.append((trial, folder))
        handed_in = _hand_in([folder for _, folder in new], executor)
        left += [
            _unfinished(each, job.words(folder))
            for (each, folder), job in zip(new, handed_in, strict=True)
        ]
    if ended:
        jobs_have = "1 job has" if ended == 1 else f"{ended} jobs have"
        logs = place / "NAME" / LOG
        say(console, f"{jobs_have} ended without a result (see {logs}); --again hands in anew")
    return left


def _unfinished(trial: Trial, state: str) -> Outcome:
    return Outcome(trial.folder.name, trial.values, state)


def _changed(folder: TrialFolder, wanted: Request, job: _Job) -> bool:
    """Whether something else is asked of a trial than when it was handed in."""
    lines = folder.changes(wanted)
    if lines and job.active:
        raise UserError(
            f"{folder.path} was handed in as job {job.id}, which is {job.state}, and now something "
            "else is asked of it:\n  " + "\n  ".join(lines) + "\nCancel the job first, or choose "
            "another --workdir."
        )
    return bool(lines)


def _hand_in(folders: Sequence[TrialFolder], executor: Any) -> list[_Job]:
    """Hands in trials, those of Slurm as one array of jobs, and notes which jobs these are."""
    if not folders:
        return []
    try:
        with _streams_kept():
            jobs = executor.submit_array([TrialJob(each.path.resolve()) for each in folders])
    except (OSError, RuntimeError) as error:
        raise UserError(f"the jobs could not be handed in: {error}") from None
    found = [_Job(executor.cluster, job.job_id, "queued") for job in jobs]
    for folder, job in zip(folders, found, strict=True):
        write_json(folder.job, {"cluster": job.cluster, "id": job.id})
    return found


@contextlib.contextmanager
def _streams_kept() -> Iterator[None]:
    """Within it programs that are started do not get this one's stdin, stdout and stderr.

    Those of submitit's local jobs go on when this one has ended, and a pipe would stay open.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(number) for number in range(3)]
    nowhere = os.open(os.devnull, os.O_RDWR)
    try:
        for number in range(3):
            os.dup2(nowhere, number)
        yield
    finally:
        for number, stream in enumerate(kept):
            os.dup2(stream, number)
            os.close(stream)
        os.close(nowhere)


def _jobs(folders: Sequence[TrialFolder], place: Path) -> dict[Path, _Job]:
    """The jobs of trials that were handed in, and what they do now, by the trials' folders."""
    submitit = _submitit()
    stored = [read_json(each.job) for each in folders]
    # All are made before the first is asked for its state, so that Slurm is asked once.
    jobs = [
        (submitit.SlurmJob if each["cluster"] == "slurm" else submitit.LocalJob)(place, each["id"])
        for each in stored
    ]
    return {
        folder.path: _Job(each["cluster"], each["id"], _state(each["cluster"], job))
        for folder, each, job in zip(folders, stored, jobs, strict=True)
    }


def _state(cluster: str, job: Any) -> str:
    if cluster == "local":
        # The process that has started it is not this one.
        ended = job.paths.result_pickle.exists() or not _alive(int(job.job_id))
        return "ended" if ended else "running"
    state = str(job.state).upper()
    if state == "UNKNOWN":
        return "unknown"
    return "queued" if state in _QUEUED else "running" if state in _RUNNING else state


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _submitit() -> Any:
    try:
        submitit: Any = importlib.import_module("submitit")
    except ImportError:
        raise UserError(
            "--cluster needs submitit, which is not installed: pip install 'cnn-jax[cluster]'"
        ) from None
    logging.getLogger("submitit").setLevel(logging.ERROR)
    return submitit
