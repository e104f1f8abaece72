"""Callbacks: what is called during a run. All logs are built on them."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from cnn_jax.data.spec import DataSpec
from cnn_jax.errors import UserError
from cnn_jax.recipe import Recipe


@dataclass(frozen=True)
class RunFacts:
    """Facts about a run when it starts or is continued.

    Attributes:
      recipe: what is trained.
      folder: the run folder.
      spec: facts about the data.
      step: the number of updates before this start; later steps are reported again.
      validated: the step of the last validation before this start.
      restarts: how often the run has gone back to a checkpoint after a loss that is not finite.
      restart: if it has just gone back, why: `failed`, `why`, `skipped`, `restarts`; else None.
    """

    recipe: Recipe
    folder: Path
    spec: DataSpec
    step: int = 0
    validated: int = 0
    restarts: int = 0
    restart: Mapping[str, Any] | None = None


class Callback:
    """Base class of callbacks: derive from it, and write the methods that you need.

    If there are several processes, only the first calls it. If a method raises an exception, the
    run saves its state, says which callback has failed, and ends.
    """

    def start(self, run: RunFacts) -> None:
        """Called when the run starts or is continued, and after it went back to a checkpoint."""

    def step(self, step: int, values: Mapping[str, Any]) -> None:
        """Called with training metrics, every `recipe.log_every`.

        Args:
          step: the number of updates so far.
          values: numbers, such as `loss`; with `recipe.log_norms` also numbers by layer.
        """

    def validation(self, step: int, values: Mapping[str, Any]) -> None:
        """Called with the metrics of each validation.

        Args:
          step: the number of updates so far.
          values: numbers, such as the loss.
        """

    def saving(self, step: int) -> None:
        """Called before the state after `step` updates is saved: what was reported up to here is
        not reported again.
        """

    def end(self, summary: Mapping[str, Any] | None, why: str) -> None:
        """Called when the run has ended, or has stopped to be continued later.

        Args:
          summary: what is stored in `summary.json`; None if the run has not finished.
          why: the reason in words why it has not finished; empty if it has.
        """


class CallbackFailed(UserError):
    """A callback has raised an exception."""

    shared = True


class Callbacks:
    """Tells the logs of a run, and then the callbacks of a user, what happens.

    A log that fails, as on a full disk, raises at once. A user's callback that fails is told
    nothing more, and `failure` says so: who runs the loop then saves the state and ends.

    Args:
      logs: those that every run has.
      own: a user's.

    Attributes:
      failure: what the first of the user's callbacks that failed has raised, in words.

    Raises:
      UserError: one of the user's is no `Callback`.
    """

    def __init__(self, logs: Sequence[Callback], own: Sequence[Callback] = ()) -> None:
        self._logs, self._own = list(logs), checked(own)
        self.failure: CallbackFailed | None = None
        self._started = False

    def start(self, run: RunFacts) -> None:
        """See `Callback`; here a user's callback that fails raises at once.

        Raises:
          CallbackFailed: one of the user's has failed.
        """
        self._started = True
        self._tell("start", run)
        self.check("Nothing was trained in this start.")

    def step(self, step: int, values: Mapping[str, Any]) -> None:
        """See `Callback`."""
        self._tell("step", step, values)

    def validation(self, step: int, values: Mapping[str, Any]) -> None:
        """See `Callback`."""
        self._tell("validation", step, values)

    def saving(self, step: int) -> None:
        """See `Callback`."""
        self._tell("saving", step)

    def end(self, summary: Mapping[str, Any] | None, why: str, *, at_once: bool = False) -> None:
        """See `Callback`; nobody is told of the end of what has not started.

        Args:
          summary: as of `Callback`.
          why: as of `Callback`.
          at_once: close the logs, and wait for no callback of the user.
        """
        if at_once:
            self._own = []
        if self._started:
            self._tell("end", summary, why)

    def check(self, then: str) -> None:
        """Raises the failure, if there is one.

        Args:
          then: what is said of the run, after which callback has failed.

        Raises:
          CallbackFailed: there is one.
        """
        if self.failure is not None:
            raise CallbackFailed(f"{self.failure}. {then}") from self.failure.__cause__

    def _tell(self, event: str, *told: Any) -> None:
        for each in self._logs:
            getattr(each, event)(*told)
        for each in list(self._own):
            # Each has its own copy, to do with as it likes.
            given = [dict(value) if isinstance(value, Mapping) else value for value in told]
            try:
                with jax.transfer_guard("allow"):
                    getattr(each, event)(*given)
            except Exception as error:
                self._own.remove(each)
                if self.failure is None:
                    self.failure = CallbackFailed(_words(each, event, error))
                    self.failure.__cause__ = error


def checked(own: Sequence[Callback]) -> list[Callback]:
    """A user's callbacks as a list.

    Raises:
      UserError: it is no list, or holds something else.
    """
    if isinstance(own, Callback):
        raise UserError(f"callbacks={type(own).__name__}(...) must be a list: put it in brackets")
    for each in own:
        if not isinstance(each, Callback):
            what = f"the class {each.__name__}" if isinstance(each, type) else repr(each)
            raise UserError(
                f"callbacks holds {what}, which is no callback; give objects of classes that "
                "derive from cnn_jax.Callback"
            )
    return list(own)


def _words(callback: Callback, event: str, error: Exception) -> str:
    """Which callback failed, in which method and how."""
    name = type(callback).__name__
    if isinstance(error, UserError):
        return f"the callback {name} failed in {event}(): {error}"
    # The first frame is ours, the second the callback's own.
    frame = traceback.extract_tb(error.__traceback__)[:2][-1]
    return (
        f"the callback {name} failed in {event}(): {type(error).__name__}: {error} "
        f"({frame.filename}, line {frame.lineno})"
    )
