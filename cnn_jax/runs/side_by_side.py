"""Trials side by side on this machine, each in a process that sees some of the devices."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn, TimeElapsedColumn

from cnn_jax.devices.shares import Share
from cnn_jax.errors import UserError
from cnn_jax.runs.sweep import Trial
from cnn_jax.runs.sweep_record import Outcome
from cnn_jax.runs.trial_folder import Request, TrialFolder
from cnn_jax.runs.trial_process import last_words, note_failure, start_trial
from cnn_jax.tasks import metric_that_counts
from cnn_jax.terminal import live, one_line, say
from cnn_jax.training.stop import Stopped, StopRequest

_POLL = 0.1


class _Running(NamedTuple):
    trial: Trial
    request: Request
    share: Share
    process: subprocess.Popen[bytes]
    line: TaskID


class SideBySide:
    """Runs trials, as many at once as there are shares of the devices, a line shown of each.

    Args:
      shares: the devices of each.
      request: what the process of a trial is to do.
      ended: is told what has come of a trial.
      stop: whether a signal has asked to stop.
      console: where lines are shown.

    Attributes:
      left: trials that have no outcome, with how their processes have ended in the place of one.
    """

    def __init__(
        self,
        shares: Sequence[Share],
        request: Callable[[Trial], Request],
        ended: Callable[[Trial, Outcome], None],
        *,
        stop: StopRequest,
        console: Console,
    ) -> None:
        self.left: list[Outcome] = []
        self._free, self._request, self._ended = list(shares), request, ended
        self._stop, self._console = stop, console
        self._running: dict[Path, _Running] = {}
        self._ending = False
        self._lines = Progress(
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not live(console),
        )

    def __call__(self, trials: Iterable[Trial]) -> None:
        """Runs all trials to their ends; each is asked for when there is a place for it.

        A process that dies is told, and the others go on.

        Raises:
          UserError: a trial is refused what it asks for before it has begun, so that others would
            be, too; `Stopped` after a signal. All processes have saved and ended then.
        """
        waiting = iter(trials)
        held: Trial | None = None
        with self._stop.saving(), self._lines:
            try:
                while not self._stop():
                    while self._free and (held := held or next(waiting, None)) is not None:
                        if held.folder in self._running:
                            break  # suggested twice: the second time it is known
                        self._begin(held)
                        held = None
                    if not self._running and held is None:
                        return
                    time.sleep(_POLL)
                    self._look()
                self._end()
            except Exception:
                self._end()
                raise
            finally:  # at once, where Ctrl-C has come twice
                for each in self._running.values():
                    each.process.kill()
                    each.process.wait()
        raise Stopped("stopped; what was saved is whole. The same command goes on from there.")

    def _begin(self, trial: Trial) -> None:
        request = self._request(trial)
        known = trial.finished(request.seeds)
        if known is not None:
            self._ended(trial, known)
            return
        folder, share = TrialFolder.of(trial), self._free.pop(0)
        folder.write(request)
        process = start_trial(folder.path, share.environment)
        line = self._lines.add_task(one_line(f"{share.name}  {trial.folder.name}"), total=None)
        self._running[trial.folder] = _Running(trial, request, share, process, line)

    def _look(self) -> None:
        """Takes in which processes have ended."""
        for each in list(self._running.values()):
            if each.process.poll() is not None:
                self._lines.remove_task(each.line)
                self._free.append(each.share)
                del self._running[each.trial.folder]
                self._take(each)

    def _take(self, each: _Running) -> None:
        """Takes in what a process that has ended leaves."""
        trial, folder, status = each.trial, TrialFolder.of(each.trial), each.process.returncode
        outcome = folder.outcome()
        if outcome is not None:
            self._ended(trial, outcome)
            said = outcome.state
            if outcome.mean is not None:
                metric = metric_that_counts(trial.recipe)
                said = f"validation {metric.name} {metric.written(outcome.mean)}"
        elif self._ending:
            return
        elif status == UserError.exit_code and not trial.begun(each.request.seeds):
            raise UserError(f"trial {trial.folder.name}: {last_words(folder.path)}")
        else:
            why = note_failure(folder.path, status)
            self.left.append(Outcome(trial.folder.name, trial.values, why))
            said = f"{why} (see {folder.log})"
        say(self._console, f"{trial.folder.name}: {said}")

    def _end(self) -> None:
        """Lets all processes save and end, and waits for them."""
        self._ending = True
        for each in self._running.values():
            each.process.send_signal(signal.SIGTERM)
        while self._running:
            time.sleep(_POLL)
            self._look()
