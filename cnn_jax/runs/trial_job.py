"""What a job of a cluster does for a trial."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from cnn_jax.interruption import STATUS
from cnn_jax.runs.trial_process import OUTCOME, note_failure, start_trial

_POLL = 0.2
_PATIENCE = 300.0
"""Seconds that Slurm has to queue a job again, or to end it, once it has told the trial to end."""


class TrialJob:
    """Waits for the process of a trial, which saves before the job is queued again.

    Args:
      folder: of the trial.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> None:
        """Carries out the trial.

        Raises:
          RuntimeError: it has left no outcome, so that the job counts as failed.
        """
        self._process = process = start_trial(self._folder)
        while (status := process.poll()) is None:
            time.sleep(_POLL)
        if status == STATUS:
            # Slurm tells all processes of a job to end; of this one submitit overhears it.
            time.sleep(_PATIENCE)
        if not (self._folder / OUTCOME).exists():
            raise RuntimeError(f"the trial {note_failure(self._folder, status)}")

    def checkpoint(self) -> Any:
        """Lets the trial save and end; called by submitit before it queues the job again, since
        its time is over or its node is wanted.

        Returns:
          What the job does when it comes again: the same.
        """
        process = self._process
        if process is not None and process.returncode is None:
            # Not by a method of the process, in the middle of which the signal may have come.
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(process.pid, signal.SIGTERM)
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        helpers: Any = importlib.import_module("submitit.helpers")
        return helpers.DelayedSubmission(TrialJob(self._folder))
