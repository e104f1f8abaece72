"""Curves of series on one picture, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from cnn_jax.report.contact_sheet import contact_sheet

WIDTH, HEIGHT = 240, 96
_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#7f7f7f")


def series_sheet(series: np.ndarray, titles: Sequence[str], columns: int = 4) -> Image.Image:
    """Draws series in rows, each below its title: a line for each channel, all on one scale.

    Args:
      series: (n, t, c), not a number after their ends.
      titles: one for each.
      columns: series in a row.

    Returns:
      A picture in RGB.
    """
    low, high = float(np.nanmin(series)), float(np.nanmax(series))
    return contact_sheet([series_picture(each, low, high) for each in series], titles, columns)


def series_picture(series: np.ndarray, low: float, high: float) -> np.ndarray:
    """A picture (h, w, 3) uint8 of one series (t, c), with a frame around it.

    Args:
      series: not a number after its end.
      low: the value at the bottom.
      high: that at the top.
    """
    picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, WIDTH - 1, HEIGHT - 1), outline="#cccccc")
    across = (WIDTH - 9) / max(1, len(series) - 1)
    up = (HEIGHT - 9) / ((high - low) or 1.0)
    for channel, values in enumerate(series.T):
        known = values[~np.isnan(values)]
        points = [
            (4 + time * across, HEIGHT - 5 - (float(value) - low) * up)
            for time, value in enumerate(known)
        ]
        draw.line(points, fill=_COLOURS[channel % len(_COLOURS)])
    return np.asarray(picture)
