"""The command that computes metrics from stored predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from cnn_jax.commands.output import metric_text, print_json, print_rows
from cnn_jax.errors import UserError

if TYPE_CHECKING:
    from cnn_jax.evaluation.found_predictions import Source
    from cnn_jax.evaluation.measured import Measured
    from cnn_jax.evaluation.predictions import Predictions

_MOST_CLASSES = 30
"""Of more the table of confusions is not printed."""


@dataclass(frozen=True)
class Metrics:
    """Compute metrics from stored predictions, with their 95 % intervals: accuracy, calibration,
    F1, ROC and more. No model is run.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders, or Parquet files of predictions."""
    split: Literal["train", "validation", "test", "all"] = "test"
    """Which part of the data. A Parquet file is of one part, so this is not used for it."""
    by_class: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Also print the metrics of each class, tag or number."""
    confusion: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Also print the confusion matrix: how many examples of each class are predicted as each."""
    temperature: str | None = None
    """Divide the logits by a temperature that is fitted on this part of the data, usually
    validation, and show the metrics before and after."""
    ensemble: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Also evaluate the ensemble: the mean of the probabilities of all runs."""
    output: Path | None = None
    """Write the predictions of the ensemble, or after the temperature, to this Parquet file, which
    must not exist yet."""
    bootstrap: int = 1000
    """Number of bootstrap samples of the examples for the intervals; 0 for no intervals."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the result as JSON, with the metrics of each class and the confusion matrix."""

    def __call__(self) -> None:
        """Prints a column for each run, and one for the ensemble.

        Raises:
          UserError: there are no such predictions, or what is asked for cannot be made of them.
        """
        from cnn_jax.evaluation.found_predictions import find_predictions
        from cnn_jax.evaluation.measured import measure

        if not self.runs:
            raise UserError("no run is given: cnn-jax metrics RUN...")
        if self.bootstrap < 0:
            raise UserError(f"--bootstrap {self.bootstrap} must be at least 0")
        if self.output is not None and (not self.ensemble and self.temperature is None):
            raise UserError("--output is for predictions of --ensemble or at a --temperature")
        self._check_temperature()
        if self.output is not None and not self.ensemble and len(self.runs) > 1:
            raise UserError(
                f"--output is one file, and {len(self.runs)} runs are given; "
                "give one, or --ensemble"
            )
        if self.output is not None and self.output.exists():
            raise UserError(f"--output {self.output} is there already; name another file")
        sources = [find_predictions(run, self.split) for run in self.runs]
        judged = [(str(each.place), each.predictions) for each in sources]
        if self.ensemble:
            judged.append(self._ensemble(sources))
        if self.temperature is not None:
            judged += self._scaled(judged)
        if self.output is not None:
            self._write(judged[-1][1])
        found = [(name, each, measure(each, self.bootstrap)) for name, each in judged]
        if self.json:
            print_json([_as_json(name, each, measured) for name, each, measured in found])
            return
        for name, each, measured in found:
            self._show(name, each, measured)

    def _check_temperature(self) -> None:
        fitted_on = self.temperature
        if fitted_on is None:
            return
        if fitted_on not in ("train", "validation", "test", "all"):
            raise UserError(
                f"--temperature {fitted_on} is no part of the data; a temperature is fitted on the "
                "one that is named: --temperature validation"
            )
        if fitted_on == self.split:
            raise UserError(
                f"a temperature is not fitted on the {fitted_on} part, on which a model is then "
                "judged: it would be judged by what it was fitted to. Fit it on validation, and "
                "judge on another part"
            )

    def _ensemble(self, sources: Sequence[Source]) -> tuple[str, Predictions]:
        from cnn_jax.evaluation.measured import ensemble

        found = ensemble(sources)
        return str(found.about["name"]), found

    def _scaled(self, judged: Sequence[tuple[str, Predictions]]) -> list[tuple[str, Predictions]]:
        """The same at temperatures that are fitted on the runs' validation parts."""
        from cnn_jax.evaluation.found_predictions import find_predictions
        from cnn_jax.evaluation.measured import at_temperature, fitted_temperature

        if any(run.is_file() for run in self.runs):
            raise UserError("--temperature is fitted for run folders; give these and no files")
        assert self.temperature is not None
        fitted_on = [find_predictions(run, self.temperature) for run in self.runs]
        every = [each.predictions for each in fitted_on]
        if self.ensemble:
            every.append(self._ensemble(fitted_on)[1])
        found = []
        for (name, predictions), validation in zip(judged, every, strict=True):
            temperature = fitted_temperature(validation)
            scaled = at_temperature(predictions, temperature)
            found.append((f"{name} at temperature {temperature:.4g}", scaled))
        return found

    def _write(self, predictions: Predictions) -> None:
        assert self.output is not None
        try:
            predictions.write(self.output)
        except OSError as error:
            raise UserError(f"--output {self.output} cannot be written: {error.strerror}") from None

    def _show(self, name: str, predictions: Predictions, measured: Measured) -> None:
        about = predictions.about
        step = f"step {about['step']}, " if about["checkpoint"] != "ensemble" else ""
        print(
            f"{name}: {step}{about['split']} part of {about['dataset']} "
            f"(data {about['data_hash']}), n={len(predictions):,}"
        )
        if count := predictions.predicted(name).not_finite():
            print(f"of {count:,} examples what is told is no finite number; metrics need it to be")
        rows = [
            {"metric": each, "value": _text(each, value), **_interval(measured, each)}
            for each, value in measured.metrics.items()
        ]
        columns = (
            ("metric", "value", "95 % interval") if measured.intervals else ("metric", "value")
        )
        print_rows(rows, columns, as_json=False, empty="")
        if self.by_class and measured.by_name:
            print()
            print_rows(measured.by_name, list(measured.by_name[0]), as_json=False, empty="")
        if self.confusion:
            print()
            self._show_confusion(about["class_names"], measured)
        print()

    def _show_confusion(self, names: Sequence[str], measured: Measured) -> None:
        if measured.confusion is None:
            raise UserError("--confusion is for tasks that tell one class of several")
        if len(names) > _MOST_CLASSES:
            print(f"of {len(names)} classes the confusion is not printed; --json has it")
            return
        rows = [
            {
                "true": name,
                **{f"told {other}": count for other, count in zip(names, row, strict=True)},
            }
            for name, row in zip(names, measured.confusion.tolist(), strict=True)
        ]
        print_rows(rows, list(rows[0]), as_json=False, empty="")


def _text(metric: str, value: float) -> str:
    return str(metric_text(metric, value))


def _interval(measured: Measured, metric: str) -> dict[str, str]:
    if metric not in measured.intervals:
        return {}
    low, high = measured.intervals[metric]
    return {"95 % interval": f"{_text(metric, low)} to {_text(metric, high)}"}


def _as_json(name: str, predictions: Predictions, measured: Measured) -> Mapping[str, Any]:
    return {
        "predictions": name,
        "about": dict(predictions.about),
        "examples": len(predictions),
        "metrics": measured.metrics,
        "intervals": measured.intervals,
        "by_name": measured.by_name,
        "confusion": None if measured.confusion is None else measured.confusion.tolist(),
    }
