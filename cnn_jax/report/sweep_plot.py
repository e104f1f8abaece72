"""What the trials of a sweep came to, over the values of each field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnn_jax.report.learning_curves import figure


def draw_sweep(tried: Sequence[tuple[Mapping[str, str], float]], metric: str, file: Path) -> None:
    """Draws a point for each trial over the values of each field, the best one marked, to a PNG.

    Args:
      tried: the values and the metric of each finished trial, the best first.
      metric: what it is called.
      file: that is written.

    Raises:
      UserError: matplotlib is not installed, or the file cannot be written.
    """
    fields = list(dict.fromkeys(name for values, _ in tried for name in values))
    with figure(file, max(len(fields), 1)) as axes:
        for each, name in zip(axes, fields, strict=False):
            points = [(values[name], found) for values, found in tried if name in values]
            _draw(each, points)
            each.set_xlabel(name)
        axes[0].set_ylabel(f"validation {metric}")


def _draw(axes: Any, points: Sequence[tuple[str, float]]) -> None:
    words = [word for word, _ in points]
    places: list[Any] = words
    try:
        places = [float(word) for word in words]
    except ValueError:
        axes.tick_params(axis="x", rotation=30)
    else:
        if min(places) > 0 and max(places) >= 10 * min(places):
            axes.set_xscale("log")
    found = [value for _, value in points]
    axes.scatter(places, found, alpha=0.6)
    axes.scatter(places[:1], found[:1], color="C3", zorder=3)
