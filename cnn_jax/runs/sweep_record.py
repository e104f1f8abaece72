"""What has come of the trials of a sweep, and which of them is the best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cnn_jax.errors import UserError
from cnn_jax.file_lock import lock_file
from cnn_jax.json_values import differences, read_json, write_json
from cnn_jax.tasks.contract import Metric


class Outcome(NamedTuple):
    """What came of a trial, as it is stored.

    Attributes:
      folder: the name of its folder.
      values: of the fields that differ.
      state: `finished`, `pruned`, or why it failed.
      n: how many runs it has.
      mean: over these, of the metric that counts on the validation part; None if not finished.
      deviation: the sample's; None of a single run.
    """

    folder: str
    values: Mapping[str, str]
    state: str
    n: int = 0
    mean: float | None = None
    deviation: float | None = None


def ranked(outcomes: Iterable[Outcome], metric: Metric) -> list[Outcome]:
    """Outcomes by their mean on the validation part, the best first, those without one last."""

    def worth(each: Outcome) -> float:
        return -math.inf if each.mean is None else metric.worth({metric.name: each.mean})

    return sorted(outcomes, key=worth, reverse=True)


class Record:
    """What has come of the trials of a sweep so far, in its file `sweep.json`.

    Args:
      folder: of the sweep.
      metric: that counts.
      recipe: what the trials have in common, as `to_json` gives it: trials of another are not
        chosen among. Without it that is not checked.

    Raises:
      UserError: the sweep in this folder chose by another metric, or finished trials of another
        recipe; or the file is damaged.
    """

    def __init__(self, folder: Path, metric: Metric, recipe: Any = None) -> None:
        self._folder, self._metric, self._recipe = folder, metric, recipe
        self._file = folder / "sweep.json"
        self.outcomes: dict[str, Outcome] = {}
        self._read()

    def _read(self) -> None:
        if not self._file.exists():
            return
        stored = read_json(self._file)
        try:
            metric, recipe = stored["metric"], stored.get("recipe")
            found = {each["folder"]: Outcome(**each) for each in stored["trials"]}
        except (AttributeError, KeyError, TypeError):
            raise UserError(
                f"{self._file} is damaged; delete it, and the same command makes it anew from the "
                "trials, which are kept"
            ) from None
        if metric != self._metric.name:
            raise UserError(
                f"the sweep in {self._folder} chooses by {metric}, and this one by "
                f"{self._metric.name}; choose another --workdir"
            )
        both = recipe is not None and self._recipe is not None
        if both and (lines := differences(recipe, self._recipe)):
            if any(each.state == "finished" for each in found.values()):
                raise UserError(
                    f"the sweep in {self._folder} has trials of another recipe, which cannot be "
                    "compared:\n  " + "\n  ".join(lines) + "\nChoose another --workdir."
                )
            return  # why trials of another recipe failed says nothing of these
        self.outcomes |= found

    def add(self, outcome: Outcome) -> Outcome:
        """Stores what came of one more, or anew of one, beside what other processes have stored."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("a") as lock:
            lock_file(lock, wait=True)
            self._read()
            self.outcomes[outcome.folder] = outcome
            trials = [each._asdict() for each in self.outcomes.values()]
            told = {"metric": self._metric.name, "recipe": self._recipe, "trials": trials}
            write_json(self._file, told)
        return outcome
