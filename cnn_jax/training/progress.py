"""What a run knows besides its state, and the failure that sends it back."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from cnn_jax.errors import UserError


class NonFinite(UserError):
    """The loss or a gradient was not finite.

    Attributes:
      step: the updates made before the step that failed.
      what: in a few words.
    """

    exit_code = 70  # EX_SOFTWARE
    shared = True

    def __init__(self, message: str, step: int, what: str) -> None:
        super().__init__(message)
        self.step, self.what = step, what


@dataclass
class Progress:
    """What the loop knows besides the state, saved with every checkpoint.

    Attributes:
      metric: what `best` and `reference` are measured by.
      window: loss and its parts of each step since the last line of training metrics.
      validated: the step of the last validation.
      best: validation metrics of the best step, with the step.
      reference: the value that patience compares with, larger is better.
      stale: validations since the reference last rose.
      seconds: time spent in steps: without compiling, evaluating and saving.
      steps_timed: the steps made in that time.
      stalled: of that time, in which devices waited for input.
      total_seconds: time the run has taken in all its starts.
      skipped: batches left out after failures: step s sees the batch s + skipped.
      restarts: how often the run has gone back to a checkpoint after a failure.
    """

    metric: str
    window: list[tuple[float, ...]] = field(default_factory=list)
    validated: int = 0
    best: dict[str, Any] | None = None
    reference: float | None = None
    stale: int = 0
    seconds: float = 0.0
    steps_timed: int = 0
    stalled: float = 0.0
    total_seconds: float = 0.0
    skipped: int = 0
    restarts: int = 0

    @classmethod
    def of(cls, saved: dict[str, Any], metric: str) -> Progress:
        """From what a checkpoint holds; what was measured by another metric is forgotten."""
        known = {entry.name for entry in dataclasses.fields(cls)}
        values = {name: value for name, value in saved.items() if name in known}
        values["window"] = [tuple(row) for row in saved["window"]]
        if saved["metric"] != metric:
            values |= {"metric": metric, "best": None, "reference": None, "stale": 0}
        return cls(**values)
