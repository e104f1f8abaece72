"""Learning curves of single runs: what they measured on the training and the validation part."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cnn_jax.errors import UserError, unknown
from cnn_jax.report.learning_curves import Curve, figure
from cnn_jax.run_folder import RunFolder

Curves = Mapping[str, Mapping[str, Curve]]
"""By kind, `train` and `validation`, and by metric."""


def run_curves(run: Path, metrics: Sequence[str]) -> dict[str, dict[str, Curve]]:
    """What a run has measured by step.

    Args:
      run: its folder.
      metrics: which; each must be there of the training or the validation part.

    Raises:
      UserError: there is no such run or metric, or nothing has been measured.
    """
    folder = RunFolder(run)
    folder.recipe()
    try:
        lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise UserError(f"{folder.metrics} cannot be read: {error}") from None
    found: dict[str, dict[str, Curve]] = {"train": {}, "validation": {}}
    known: set[str] = set()
    for kind, curves in found.items():
        # A run that went back has told some steps twice: the last counts.
        told = {line["step"]: line for line in lines if line["kind"] == kind}
        for metric in dict.fromkeys(name for line in told.values() for name in line):
            pairs = [
                (step, float(line[metric]))
                for step, line in sorted(told.items())
                if isinstance(line.get(metric), int | float)
            ]
            if metric != "step" and pairs:
                known.add(metric)
                if metric in metrics:
                    steps, values = zip(*pairs, strict=True)
                    curves[metric] = np.array(steps), np.array(values)
    if not known:
        raise UserError(f"{run} has measured nothing yet, of which a curve could be drawn")
    for metric in metrics:
        if metric not in known:
            raise unknown(f"metric of {run}:", metric, known)
    return found


def draw_run_curves(runs: Mapping[str, Curves], metrics: Sequence[str], file: Path) -> None:
    """Draws a plot for each metric to a PNG file: training thin, validation thick with its points.

    Args:
      runs: the curves of each, by its name.
      metrics: of the plots.
      file: that is written.

    Raises:
      UserError: matplotlib is not installed, or the file cannot be written.
    """
    with figure(file, len(metrics), shared=False) as every:
        for axes, metric in zip(every, metrics, strict=True):
            for place, (name, curves) in enumerate(runs.items()):
                colour, label = f"C{place}", name if len(runs) > 1 else ""
                if metric in curves["train"]:
                    steps, values = curves["train"][metric]
                    axes.plot(steps, values, color=colour, linewidth=0.8, alpha=0.6,
                              label=f"{label} training".strip())  # fmt: skip
                if metric in curves["validation"]:
                    steps, values = curves["validation"][metric]
                    axes.plot(steps, values, color=colour, linewidth=2, marker=".",
                              label=f"{label} validation".strip())  # fmt: skip
            axes.set_xlabel("step")
            axes.set_ylabel(metric)
            axes.legend(frameon=False, fontsize=8)
