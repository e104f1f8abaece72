"""Finished runs as they are compared: what each came to, and in groups of one recipe."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cnn_jax.errors import UserError, unknown
from cnn_jax.evaluation.found_predictions import Source, find_predictions, kept_file
from cnn_jax.evaluation.predictions import read_about
from cnn_jax.json_values import flat, read_json
from cnn_jax.run_folder import RunFolder

Part = Literal["validation", "test"]

NO_RECIPE = ("name", "seed")
"""Fields in which runs of one recipe may differ."""

SET = "data.name"


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """A finished run.

    Attributes:
      path: the run folder.
      fields: of its recipe, by path.
      summary: what came of it.
    """

    path: Path
    fields: Mapping[str, Any]
    summary: Mapping[str, Any]

    @classmethod
    def of(cls, path: Path) -> ComparedRun | None:
        """The run in a folder; None where it has not finished.

        Raises:
          UserError: it cannot be read.
        """
        summary = RunFolder(path).summary()
        if summary is None:
            return None
        if not isinstance(summary, dict) or not {"best", "test"} <= summary.keys():
            raise UserError(
                f"{path / 'summary.json'} is damaged: it does not say what came of the run; delete "
                "it, and start the run again, which goes on from its last checkpoint"
            )
        return cls(path, flat(read_json(path / "recipe.json")), summary)

    @property
    def seed(self) -> int:
        """Of the recipe."""
        return int(self.fields["seed"])

    @property
    def dataset(self) -> str:
        """The name of its data; of a fold of them that of the fold."""
        fold = f" fold {self.fields['data.fold']}" if self.fields.get("data.folds") else ""
        return f"{self.fields[SET]}{fold}"

    @property
    def metric(self) -> str:
        """The one that counts."""
        return str(self.summary.get("metric", "accuracy"))

    @functools.cached_property
    def _sources(self) -> dict[str, Source]:
        return {}

    def predictions(self, part: Part) -> Source:
        """What it told of a part.

        Raises:
          UserError: that has not been kept.
        """
        if part not in self._sources:
            self._sources[part] = find_predictions(self.path, part)
        return self._sources[part]

    def data(self, part: Part) -> str | None:
        """A digest of a part's examples and of what is true of them; None if none has been kept.

        Raises:
          UserError: the file of its predictions cannot be read.
        """
        file = kept_file(self.path, part)
        return None if file is None else read_about(file).get("data_hash")

    @functools.cached_property
    def _measured(self) -> dict[str, dict[str, float]]:
        return {}

    def value(self, metric: str, part: Part) -> float:
        """A metric of a part: that of the run's summary, or else from its predictions.

        Raises:
          UserError: there is none.
        """
        stored = self.summary["best" if part == "validation" else "test"] or {}
        if isinstance(stored.get(metric), int | float):
            return float(stored[metric])
        if part not in self._measured:
            told = self.predictions(part).predictions.predicted(str(self.path))
            self._measured[part] = told.metrics()
        found = self._measured[part]
        if metric not in found:
            numbers = [name for name, value in stored.items() if isinstance(value, int | float)]
            raise unknown(f"metric of {self.path}:", metric, {**found, **dict.fromkeys(numbers)})
        return found[metric]

    def curve(self, metric: str) -> tuple[np.ndarray, np.ndarray]:
        """The steps and the values of a metric of its validations.

        Raises:
          UserError: there are none, or the file cannot be read.
        """
        file = RunFolder(self.path).metrics
        try:
            lines = [json.loads(line) for line in file.read_text().splitlines()]
        except (OSError, ValueError) as error:
            raise UserError(f"{file} cannot be read: {error}") from None
        # A run that went back has told some steps twice: the last counts.
        found = {e["step"]: e for e in lines if e["kind"] == "validation"}
        if not found:
            raise UserError(f"{self.path} has no validations, of which a curve could be drawn")
        if any(metric not in each for each in found.values()):
            names = sorted(set.intersection(*map(set, found.values())) - {"kind", "step"})
            raise unknown(f"metric of the validations of {self.path}:", metric, names)
        steps = sorted(found)
        return np.array(steps), np.array([float(found[step][metric]) for step in steps])


@dataclass(frozen=True, eq=False)
class Group:
    """Runs that are taken for repetitions of one recipe, perhaps on several data sets.

    Attributes:
      label: what tells it from the others.
      runs: those.
      keys: what each shares with its counterpart in another group: the seed, and the values of
        fields that differ within groups.
    """

    label: str
    runs: tuple[ComparedRun, ...]
    keys: tuple[str, ...]

    def on(self, dataset: str) -> dict[str, ComparedRun]:
        """Those on a data set, by what they share with their counterparts.

        Raises:
          UserError: two are repetitions of one another, the seed included.
        """
        found: dict[str, ComparedRun] = {}
        for key, run in zip(self.keys, self.runs, strict=True):
            if run.dataset != dataset:
                continue
            if key in found:
                raise UserError(
                    f"{found[key].path} and {run.path} are one recipe with one seed, which would "
                    "count twice; give one of them"
                )
            found[key] = run
        return found

    def values(self, dataset: str, metric: str, part: Part) -> dict[str, float]:
        """A metric of each of them."""
        return {key: run.value(metric, part) for key, run in self.on(dataset).items()}


def differing(runs: Sequence[ComparedRun], but: Sequence[str] = NO_RECIPE) -> dict[str, list[Any]]:
    """The values of the fields of recipes that are not the same in all runs."""
    names = dict.fromkeys(name for run in runs for name in run.fields if name not in but)
    found = {name: [run.fields.get(name) for run in runs] for name in names}
    return {name: values for name, values in found.items() if any(v != values[0] for v in values)}


def of_other_data(runs: Sequence[ComparedRun], part: Part) -> list[str]:
    """What is said where runs with one recipe of their data were evaluated on different data.

    The files of a folder may have been changed between two runs. Where the recipes have other
    fields of `data`, these are named anyway.

    Raises:
      UserError: a file of predictions cannot be read.
    """
    by_recipe: dict[str, dict[str, Path]] = {}
    for run in runs:
        fields = {name: value for name, value in run.fields.items() if name.startswith("data.")}
        if (data := run.data(part)) is not None:
            by_recipe.setdefault(json.dumps(fields), {}).setdefault(data, run.path)
    return [
        f"the {part} part is not the same in {' and '.join(map(str, held.values()))}: the data "
        "have changed between these runs, and differences may come of that"
        for held in by_recipe.values()
        if len(held) > 1
    ]


def in_groups(runs: Sequence[ComparedRun], field: str | None = None) -> list[Group]:
    """Runs in groups, in the order in which these are met.

    Args:
      runs: finished ones.
      field: of the recipe: runs with one value of it are a group, whatever else differs. By default
        runs of one recipe are, but for its seed, its name and the fold of its data.
    """
    places = (SET, "data.fold")
    if field is not None:
        by = [field]
        labels = [f"{_short(field, [field])}={_word(run.fields.get(field))}" for run in runs]
    else:
        found = differing(runs, (*NO_RECIPE, "data.fold"))
        by, short = list(found), {name: _short(name, list(found)) for name in found}
        labels = [
            " ".join(f"{short[name]}={_word(values[place])}" for name, values in found.items())
            or str(run.fields["name"])
            for place, run in enumerate(runs)
        ]
    beside = differing(runs, ("name", "seed", *by, *places))
    keys = [
        " ".join(
            [
                *[f"seed {run.seed}"] * ("seed" not in by),
                *(f"{k}={_word(v[i])}" for k, v in beside.items()),
            ]
        )
        for i, run in enumerate(runs)
    ]
    members: dict[str, list[int]] = {}
    for place, label in enumerate(labels):
        members.setdefault(label, []).append(place)
    return [
        Group(label, tuple(runs[i] for i in each), tuple(keys[i] for i in each))
        for label, each in members.items()
    ]


def _word(value: Any) -> str:
    return str(value) if isinstance(value, str | float | int | None) else json.dumps(value)


def _short(name: str, names: Sequence[str]) -> str:
    """The last word of a field, with the one before it where another ends alike."""
    last = name.rpartition(".")[2]
    if sum(each.rpartition(".")[2] == last for each in names) == 1 and last != "name":
        return last
    return name
