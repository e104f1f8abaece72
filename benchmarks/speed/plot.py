"""The ratios as bars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.speed.summary import compared, measured


def draw(results: dict[str, Any], file: Path) -> None:
    """Draws ours over each of the others by net, a bar for each dtype and mode."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    rows = results["rows"]
    others = measured(rows)
    nets = list(dict.fromkeys(row["net"] for row in rows))
    kinds = [
        (dtype, mode)
        for mode in ("train", "evaluate")
        for dtype in dict.fromkeys(row["dtype"] for row in rows)
    ]
    figure, panels = pyplot.subplots(
        len(others), 1, figsize=(1.5 * len(nets) + 3, 1 + 2.75 * len(others)),
        layout="constrained", sharex=True, squeeze=False,
    )  # fmt: skip
    panels = panels[:, 0]
    width = 0.8 / len(kinds)
    for axes, (other, called) in zip(panels, others.items(), strict=True):
        for place, (dtype, mode) in enumerate(kinds):
            found = {
                row["net"]: compared(row, mode, other) for row in rows if row["dtype"] == dtype
            }
            bars = [(nets.index(net), spread) for net, spread in found.items() if spread]
            middle = (place - (len(kinds) - 1) / 2) * width
            axes.bar(
                [x + middle for x, _ in bars],
                [spread.median - 1 for _, spread in bars],
                width,
                bottom=1,
                yerr=[
                    [spread.median - spread.low for _, spread in bars],
                    [spread.high - spread.median for _, spread in bars],
                ],
                error_kw={"linewidth": 1},
                label=f"{mode}, {dtype}",
            )
        axes.axhline(1, color="black", linewidth=1)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())
        axes.set_ylabel(f"examples/s, ours / {called}")
        axes.grid(axis="y", linewidth=0.4)
        axes.set_axisbelow(True)
    panels[-1].set_xticks(range(len(nets)), nets)
    panels[0].set_title(f"Above 1 ours is faster; {results['machine']['cpu']}", fontsize="medium")
    panels[0].legend(fontsize="small", ncols=2)
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
