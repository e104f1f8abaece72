"""How often a model is right at each confidence, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnn_jax.report.learning_curves import figure
from cnn_jax.tasks.predicted.calibration import BINS, equal_width


class Reliability(NamedTuple):
    """Examples in equally wide bins of confidence.

    Attributes:
      edges: (bins + 1,) of the bins.
      counts: (bins,) examples.
      confidence: (bins,) mean, not a number of an empty bin.
      right: (bins,) part of them that is so, not a number of an empty bin.
    """

    edges: np.ndarray
    counts: np.ndarray
    confidence: np.ndarray
    right: np.ndarray


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> Reliability:
    """Groups examples by confidence, as the calibration error does.

    Args:
      confidence: (n,) the probability of what is told.
      right: (n,) whether it is so.
      bins: how many.
    """
    placed = equal_width(confidence, bins)
    count = np.bincount(placed, minlength=bins)
    full = np.where(count, count, np.nan)
    return Reliability(
        np.linspace(0, 1, bins + 1),
        count,
        np.bincount(placed, confidence, bins) / full,
        np.bincount(placed, right, bins) / full,
    )


def draw_reliability(
    groups: Sequence[tuple[str, Reliability, float]], file: Path, unit: str = "what is told"
) -> None:
    """Draws reliability diagrams side by side to a PNG file, with the count in each bin below.

    Args:
      groups: a title, the bins, and the expected calibration error of each.
      file: that is written.
      unit: what is right or not.

    Raises:
      UserError: matplotlib is not installed, or the file cannot be written.
    """
    with figure(file, len(groups)) as every:
        for axes, (title, found, error) in zip(every, groups, strict=True):
            width, middle = np.diff(found.edges), (found.edges[1:] + found.edges[:-1]) / 2
            axes.bar(middle, np.nan_to_num(found.right), width, color="#0072b2", edgecolor="white",
                     label=f"right, of {unit}")  # fmt: skip
            short = found.confidence - found.right
            axes.bar(middle, np.nan_to_num(short), width, np.nan_to_num(found.right),
                     color="#d55e00", alpha=0.4, label="apart from the confidence")  # fmt: skip
            axes.plot([0, 1], [0, 1], color="black", linewidth=1, linestyle=":")
            share = found.counts / max(1, found.counts.sum())
            axes.bar(middle, -0.15 * share / max(share.max(), 1e-9), width, color="#999999",
                     label=f"how many of {found.counts.sum():,}")  # fmt: skip
            axes.set_xlabel("confidence")
            axes.set_xlim(0, 1)
            axes.set_ylim(-0.17, 1.02)
            axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
            axes.set_title(f"{title}\nECE {error:.2%}", fontsize=10)
        every[0].set_ylabel("part that is right")
        every[0].legend(frameon=False, fontsize=8, loc="upper left")
