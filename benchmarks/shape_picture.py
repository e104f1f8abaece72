"""The ratios of `benchmarks.shapes` as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.shape_forms import WAYS

NAMES = {
    "forward": "value",
    "input": "gradient with respect to the input",
    "kernel": "gradient with respect to the kernel",
}


def draw(rows: list[dict[str, Any]], floor: float, file: Path) -> None:
    """Draws for each direction the least ratio by side and maps, and below how many lie under what.

    Args:
      rows: see `benchmarks.shapes.measure`.
      floor: the ratio below which a shape counts as a hole.
      file: where the picture goes.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    sides = sorted({row["side"] for row in rows})
    maps = sorted({(row["inputs"], row["features"]) for row in rows})
    figure, panels = pyplot.subplots(
        2, len(WAYS), figsize=(15, 9), layout="constrained", height_ratios=(3, 1), squeeze=False
    )
    for (above, below), way in zip(panels.T, WAYS, strict=True):
        chosen = [row for row in rows if row["way"] == way]
        least = np.full((len(maps), len(sides)), np.nan)
        for row in chosen:
            place = maps.index((row["inputs"], row["features"])), sides.index(row["side"])
            least[place] = np.fmin(least[place], row["ratio"])
        image = above.imshow(
            np.log2(least), cmap="RdYlGn", vmin=-2, vmax=2, aspect="auto", origin="lower"
        )
        for (y, x), value in np.ndenumerate(least):
            if np.isfinite(value):
                weight = "bold" if value < floor else "normal"
                above.text(
                    x, y, f"{value:.2g}", ha="center", va="center", fontsize=8, weight=weight
                )
        above.set_xticks(range(len(sides)), [str(side) for side in sides])
        above.set_yticks(range(len(maps)), [f"{c} to {f}" for c, f in maps])
        above.set(title=f"{NAMES[way]}: the least", xlabel="side of the image", ylabel="maps")
        ratios = np.sort([row["ratio"] for row in chosen])
        below.step(ratios, np.arange(1, len(ratios) + 1), where="post")
        below.axvline(floor, color="red", linewidth=1)
        below.axvline(1, color="black", linewidth=1)
        below.set_xscale("log")
        below.set_xticks((0.5, 1, 2, 5, 10, 100), ("0.5", "1", "2", "5", "10", "100"))
        below.xaxis.set_minor_formatter(mpl.ticker.NullFormatter())
        below.set(xlabel="the best of the others' time over ours", ylabel="shapes below")
        below.grid(linewidth=0.4)
    bar = figure.colorbar(image, ax=panels[0], ticks=range(-2, 3))
    bar.ax.set_yticklabels(["1/4", "1/2", "1", "2", "4"])
    bar.set_label("the best of XLA's own and one product over ours; above 1 ours is faster")
    figure.savefig(file, dpi=100)
    pyplot.close(figure)
