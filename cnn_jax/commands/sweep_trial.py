"""The command that carries out one trial of a sweep, as the sweep or a cluster starts it."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from cnn_jax.errors import UserError, shown_to_user

if TYPE_CHECKING:
    from cnn_jax.runs.sweep import Trial
    from cnn_jax.runs.sweep_record import Outcome
    from cnn_jax.runs.trial_folder import Request


@dataclass(frozen=True)
class SweepTrial:
    """Run or continue one trial of a sweep in this process.

    `cnn-jax sweep` starts this command for each trial that runs side by side with others or on a
    cluster; you need not call it yourself.
    """

    folder: tyro.conf.Positional[Path]
    """The folder that the sweep has written for the trial: WORKDIR/trials/NAME."""
    ends_with_stdin: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Save and end when stdin is closed, which happens if the process that started this one
    dies."""

    def __call__(self) -> None:
        """Trains what has not been trained, and stores what came of it beside what was asked.

        Raises:
          UserError: there is no such trial, or it cannot be carried out.
        """
        # Meant for who waits for this process: Slurm sends it to all processes of a job.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        if self.ends_with_stdin:
            threading.Thread(target=_end_with_stdin, daemon=True).start()
        from cnn_jax.runs.trial_folder import TrialFolder

        folder = TrialFolder(self.folder)
        # What is wrong is told here: the flags that it names are those of the sweep.
        with shown_to_user():
            request = folder.request()
            with folder.held():
                folder.write_outcome(_outcome(folder.trial(request), request))


def _outcome(trial: Trial, request: Request) -> Outcome:
    import jax
    from rich.console import Console

    from cnn_jax.runs.optuna_search import told_of
    from cnn_jax.runs.sweep import Experiments, run_trial
    from cnn_jax.training.stop import StopRequest

    there = jax.local_device_count()
    if request.devices is not None and there != request.devices:
        raise UserError(
            f"--devices-per-trial {request.devices}: the process of a trial sees {there} "
            f"({jax.local_devices()[0].platform}), since only NVIDIA's GPUs and devices of the CPU "
            "are dealt out. Without this flag trials run in turn, on all devices"
        )
    data_dir = None if request.data_dir is None else Path(request.data_dir)
    experiments = Experiments(data_dir, request.workers)
    with StopRequest() as stop:
        how: dict[str, Any] = {"stop": stop, "console": Console(), "callbacks": told_of(trial)}
        return run_trial(trial, request.seeds, experiments, **how)


def _end_with_stdin() -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock a thread would hold when the process ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)
