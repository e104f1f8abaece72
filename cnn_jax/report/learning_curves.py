"""Learning curves of groups of runs in one picture."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnn_jax.errors import UserError

Curve = tuple[np.ndarray, np.ndarray]
"""Steps and values, (n,) each."""


def mean_curve(curves: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps, mean and sample deviation (n,) of several curves, as far as all of them reach.

    Between its own steps a curve is taken for straight. The deviation of one curve is zero.
    """
    first = max(steps[0] for steps, _ in curves)
    last = min(steps[-1] for steps, _ in curves)
    every = np.unique(np.concatenate([steps for steps, _ in curves]))
    steps = every[(every >= first) & (every <= last)]
    values = np.array([np.interp(steps, *curve) for curve in curves])
    deviation = values.std(axis=0, ddof=1) if len(curves) > 1 else np.zeros(len(steps))
    return steps, values.mean(axis=0), deviation


def draw_curves(groups: Mapping[str, Sequence[Curve]], metric: str, file: Path) -> None:
    """Draws the mean curve of each group, with a band of one deviation either way, to a PNG file.

    Args:
      groups: curves by label.
      metric: what the values are.
      file: that is written.

    Raises:
      UserError: matplotlib is not installed, or the file cannot be written.
    """
    with figure(file) as (axes,):
        for label, curves in groups.items():
            steps, mean, deviation = mean_curve(curves)
            (line,) = axes.plot(steps, mean, label=f"{label} (n={len(curves)})")
            if len(curves) > 1:
                low, high = mean - deviation, mean + deviation
                axes.fill_between(steps, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
        axes.set_xlabel("step")
        axes.set_ylabel(f"validation {metric}")
        axes.legend(frameon=False)


def check_png(file: Path) -> None:
    """Checks that a picture which is written as PNG is called so: another file is not its place.

    Raises:
      UserError: the name of the file has another ending, or it is a folder.
    """
    if file.suffix.lower() != ".png":
        raise UserError(f"{file} is written as PNG; give it a name that ends in .png")
    if file.is_dir():
        raise UserError(f"{file} cannot be written: it is a folder")


@contextlib.contextmanager
def figure(file: Path, count: int = 1, *, shared: bool = True) -> Iterator[Sequence[Any]]:
    """The axes of a picture that is drawn within it, and then written to a PNG file.

    Args:
      file: that is written.
      count: of plots, side by side.
      shared: whether they have one vertical scale.

    Raises:
      UserError: matplotlib is not installed, or the file cannot be written.
    """
    check_png(file)
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(
            "pictures of curves are drawn by matplotlib, which is not installed: pip install "
            "'cnn-jax[plots]'"
        ) from None
    drawn = Figure(figsize=(7 if count == 1 else 4 * count, 4.5), layout="constrained")
    FigureCanvasAgg(drawn)
    every = drawn.subplots(1, count, sharey=shared, squeeze=False)[0]
    for axes in every:
        axes.spines[["top", "right"]].set_visible(False)
    yield list(every)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(file, format="png", dpi=150)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror or error}") from None
