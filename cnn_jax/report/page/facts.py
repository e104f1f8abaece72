"""What a run folder says of a run, without its model and its data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cnn_jax.data.spec import DataSpec
from cnn_jax.errors import UserError
from cnn_jax.json_values import flat, read_json, to_json
from cnn_jax.recipe import Recipe, Task
from cnn_jax.run_folder import RunFolder
from cnn_jax.tasks import TASKS, metric_named, resolved
from cnn_jax.tasks.contract import Metric

_NO_METRICS = ("step", "epoch", "examples", "kind")


class Field(NamedTuple):
    """A field of a recipe.

    Attributes:
      name: its path, such as `optimizer.learning_rate`.
      value: as JSON.
      default: what it is by default, as JSON.
    """

    name: str
    value: Any
    default: Any

    @property
    def differs(self) -> bool:
        """Whether it is not the default."""
        return bool(self.value != self.default)


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run.

    Attributes:
      folder: of the run.
      fields: of its recipe.
      summary: what came of it; None where it has not finished.
      spec: facts of its data; None where it has not read them.
      starts: when it was started, how and with what.
      lines: what it has measured, in the order of the file.
      origin: where its parameters came from, if they were not random.
    """

    folder: Path
    fields: tuple[Field, ...]
    summary: Mapping[str, Any] | None
    spec: DataSpec | None
    starts: tuple[Mapping[str, Any], ...]
    lines: tuple[Mapping[str, Any], ...]
    origin: Mapping[str, Any] | None

    @classmethod
    def of(cls, run: Path) -> RunFacts:
        """The facts of a run folder.

        Raises:
          UserError: it is no run folder, or damaged.
        """
        if not run.is_dir():
            raise UserError(
                f"{run} is {'a file' if run.exists() else 'not there'}; give a run folder, such as "
                "cnn-jax runs lists"
            )
        folder = RunFolder(run)
        fields = fields_of(folder.recipe(), read_json(run / "recipe.json"))
        summary = folder.summary()
        _check_summary(run / "summary.json", summary)
        return cls(
            run,
            fields,
            summary,
            folder.known_data(),
            tuple(_json_lines(run / "starts.jsonl")),
            tuple(each for each in _json_lines(folder.metrics) if "kind" in each),
            folder.origin(),
        )

    def value(self, name: str) -> Any:
        """A field of the recipe; None where there is none."""
        return next((each.value for each in self.fields if each.name == name), None)

    @property
    def name(self) -> str:
        """Of the experiment."""
        return str(self.value("name"))

    @property
    def metric(self) -> Metric:
        """The one that counts."""
        stored = (self.summary or {}).get("metric") or self.value("checkpoints.metric")
        return metric_of(str(stored or "accuracy"))

    @property
    def validations(self) -> list[Mapping[str, Any]]:
        """What it has measured on the validation part, by step; of a step told twice the last."""
        told = {each["step"]: each for each in self.lines if each["kind"] == "validation"}
        return [told[step] for step in sorted(told)]

    @property
    def best_validation(self) -> Mapping[str, Any] | None:
        """That with the best value of the metric that counts; None where there is none."""
        if self.summary is not None:
            best: Mapping[str, Any] | None = self.summary["best"]
            return best
        metric = self.metric
        have = [each for each in self.validations if metric.name in each]
        return max(have, key=metric.worth, default=None)

    @property
    def last_step(self) -> int:
        """The step that it has come to, as far as is known."""
        if self.summary is not None:
            return int(self.summary["steps"])
        measured = [int(each["step"]) for each in self.lines if "step" in each]
        return max([*measured, *RunFolder(self.folder).steps()], default=0)

    @property
    def versions(self) -> Mapping[str, str]:
        """Of Python and the packages, as it was last started with."""
        if self.summary is not None and "versions" in self.summary:
            found: Mapping[str, str] = self.summary["versions"]
            return found
        return self.starts[-1].get("versions", {}) if self.starts else {}

    @property
    def commit(self) -> str | None:
        """The commit of the code, if it is known."""
        last = self.starts[-1].get("commit") if self.starts else None
        return (self.summary or {}).get("commit") or last


def metric_of(name: str) -> Metric:
    """A metric by its name, also one of a user's own."""
    return metric_named(name) or Metric(name)


def fields_of(recipe: Recipe, stored: Mapping[str, Any]) -> tuple[Field, ...]:
    """The fields of a recipe beside their defaults; what the task itself decides is the default.

    Args:
      recipe: as it is read, in which fields that a file lacks have their defaults.
      stored: the file, which has own code by its name.
    """
    values = flat(to_json(recipe)) | flat(stored)
    plain = Recipe(recipe.name)
    default = flat(to_json(plain))
    task = str(recipe.task.name)
    if task in TASKS:
        of_task = flat(to_json(resolved(Recipe(recipe.name, task=Task(task)))))
        default |= {name: value for name, value in of_task.items() if name != "task.name"}
    names = [name for name in values if name != "name"]
    return (
        Field("name", values["name"], values["name"]),
        *(Field(name, values[name], default.get(name)) for name in names),
    )


def numbers_of(metrics: Mapping[str, Any] | None) -> dict[str, float]:
    """The metrics of a whole part among what is stored of it."""
    return {
        name: float(value)
        for name, value in (metrics or {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
        and name not in _NO_METRICS and "/" not in name
    }  # fmt: skip


def by_name_of(metrics: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """A row for each class, tag or number of metrics that are called METRIC/NAME."""
    rows: dict[str, dict[str, Any]] = {}
    for key, value in (metrics or {}).items():
        metric, slash, name = key.partition("/")
        if slash and isinstance(value, int | float):
            rows.setdefault(name, {"class": name})[metric] = value
    return list(rows.values())


def _check_summary(file: Path, summary: Any) -> None:
    needed = ("steps", "best", "test", "parameters", "seconds")
    if summary is None:
        return
    lacking = [name for name in needed if not isinstance(summary, dict) or name not in summary]
    if lacking:
        raise UserError(f"{file} is damaged: it has no {', '.join(lacking)}")


def _json_lines(file: Path) -> list[dict[str, Any]]:
    """The objects of a file, one a line; the last may be cut off, as of a run that was killed.

    Raises:
      UserError: another line is no object.
    """
    if not file.exists():
        return []
    try:
        texts = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}") from None
    found = []
    for place, text in enumerate(texts):
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if isinstance(line, dict):
            found.append(line)
        elif place < len(texts) - 1:
            raise UserError(f"{file} is damaged: line {place + 1} is no JSON object")
    return found
