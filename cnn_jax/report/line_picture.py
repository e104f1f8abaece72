"""The loss between two states of a net, as a picture."""

from __future__ import annotations

from pathlib import Path

from cnn_jax.inside.loss_line import Line
from cnn_jax.report.learning_curves import figure


def draw_line(line: Line, metrics: list[str], ends: tuple[str, str], file: Path) -> None:
    """Draws metrics on the line between two states, a plot each, to a PNG file.

    Args:
      line: what was measured.
      metrics: of the plots.
      ends: what the two states are called.
      file: that is written.

    Raises:
      UserError: matplotlib is not installed, or the file cannot be written.
    """
    with figure(file, len(metrics), shared=False) as every:
        for axes, metric in zip(every, metrics, strict=True):
            axes.plot(line.shares, line.metrics[metric], color="#0072b2", marker=".")
            for place in (0, 1):
                axes.axvline(place, color="#999999", linewidth=1, linestyle=":")
            axes.set_xticks([0, 0.5, 1], [ends[0], "half", ends[1]])
            axes.set_ylabel(metric)
