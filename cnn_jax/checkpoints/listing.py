"""Which checkpoints lie in a folder, and which of them is meant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnn_jax.checkpoints.files import broken_in, read_metrics, steps_in
from cnn_jax.checkpoints.ranking import rank
from cnn_jax.devices.processes import first_does
from cnn_jax.errors import UserError
from cnn_jax.tasks import Metric


class Listing:
    """The whole checkpoints of a folder, as they lie there.

    Args:
      directory: the whole path of the folder; it need not be there.
      metric: by which the best is chosen.
    """

    def __init__(self, directory: Path, metric: Metric) -> None:
        self.directory, self.metric = directory, metric

    def key(self, metrics: Mapping[str, Any]) -> tuple[float, float, int]:
        """What validated states are sorted by; the best has the largest."""
        return rank(metrics, self.metric)

    def steps(self) -> list[int]:
        """Steps of all whole checkpoints, rising."""
        return steps_in(self.directory)

    def check_begins(self) -> None:
        """Checks that a run without a checkpoint has had none.

        Raises:
          UserError: there are damaged ones, beside which nothing is begun anew.
        """
        broken = first_does(lambda: broken_in(self.directory))
        if broken:
            raise UserError(
                f"{self.directory} holds no whole checkpoint, but damaged ones "
                f"({', '.join(broken)}). The run is not begun anew beside them: choose another "
                "--workdir, or delete them. To try one again, rename it to its number."
            )

    def latest(self) -> int | None:
        """Step of the newest checkpoint, if there is any."""
        return max(self.steps(), default=None)

    def best(self) -> int | None:
        """Step of the best validated checkpoint, if there is any."""
        return next(iter(self.ranked()), None)

    def ranked(self) -> list[int]:
        """Steps of the validated checkpoints, the best first."""
        found = {step: self.metrics(step) for step in self.steps()}
        validated = [step for step, metrics in found.items() if metrics]
        return sorted(validated, key=lambda step: self.key(found[step]), reverse=True)

    def metrics(self, step: int) -> dict[str, Any]:
        """Validation metrics stored with a checkpoint.

        Empty where it was not validated, or where they are not what was written: what cannot be
        compared is not the best.
        """
        try:
            return read_metrics(self.directory / str(step))
        except ValueError:
            return {}

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
