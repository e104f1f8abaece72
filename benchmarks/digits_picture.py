"""Draws what a net has learnt: its test digits in the plane, its curve, its maps of one digit.

    make train DATA=digits
    python -m benchmarks.digits_picture

Digits that are alike to the last layer before the logits lie beside each other: by t-SNE (van der
Maaten and Hinton 2008), after which each is moved to a place of its own. The digits are those of
scikit-learn, from the UCI repository (CC BY 4.0).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import tyro
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.manifold import TSNE

from cnn_jax import models
from cnn_jax.commands.command_line import quiet_libraries
from cnn_jax.data import Split, load
from cnn_jax.restored import restore
from cnn_jax.tasks import make_task
from cnn_jax.training.evaluator import make_model

SHOWN = (4, 11, 28)
"""The test digits whose maps are drawn."""
TILE = 10
"""Pixels of the plane that a digit takes, its margin included."""


@dataclass(frozen=True)
class Options:
    """What is drawn, and where the picture goes."""

    run: Path = Path("runs/digits_lenet5")
    """A run of `experiments/digits_lenet5.py`."""
    plot: Path = Path("benchmarks/results/digits.png")
    """The picture."""


def seen(run: Path) -> tuple[Split, dict[str, np.ndarray]]:
    """The test digits of a run, and what its net makes of them by the names of its layers."""
    restored = restore(run)
    test = load(restored.recipe.data.name).test
    assert isinstance(test, Split)
    task = make_task(restored.recipe, restored.spec)
    images = task.prepared(jnp.asarray(test.images))
    found = models.activations(
        make_model(restored.recipe, task),
        restored.variables,
        images,
        ["relu1", "dense2_relu", "logits"],
    )
    return test, {"input": np.asarray(images)} | {k: np.asarray(v) for k, v in found.items()}


def draw(
    test: Split, found: dict[str, np.ndarray], lines: list[dict[str, Any]], plot: Path
) -> None:
    """Draws the three panels.

    Args:
      test: n digits.
      found: see `seen`.
      lines: of metrics.jsonl.
      plot: where the picture goes.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(13, 6.6), layout="constrained")
    plane, right = figure.subfigures(1, 2, width_ratios=(8, 5))
    curve, maps = right.subfigures(2, 1, height_ratios=(1, 1))
    _draw_plane(plane.subplots(), test, found)
    _draw_curve(curve.subplots(), lines)
    maps.suptitle("three digits, and 6 maps of each after the first convolution", fontsize=11)
    for row, place in zip(maps.subplots(len(SHOWN), 7), SHOWN, strict=True):
        shown = [found["input"][place], *np.moveaxis(found["relu1"][place], -1, 0)]
        for panel, values in zip(row, shown, strict=True):
            panel.imshow(np.squeeze(values), cmap="magma")
            panel.axis("off")
    figure.savefig(plot, dpi=80)


def _draw_plane(panel: Any, test: Split, found: dict[str, np.ndarray]) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    colours = colormaps["tab10"]
    told = found["logits"].argmax(-1)
    near = TSNE(random_state=0, init="pca").fit_transform(found["dense2_relu"])
    near = (near - near.min(0)) / np.ptp(near, axis=0)
    rows = int(np.sqrt(len(near)))
    columns = -(-len(near) // rows)
    grid = np.argwhere(np.ones((rows, columns)))
    # Each digit has a place of its own, as near as can be to where it would lie.
    _, cells = linear_sum_assignment(cdist(near, grid / (rows - 1, columns - 1), "sqeuclidean"))
    sheet = np.ones((rows * TILE, columns * TILE, 3))
    for cell, image, label, answer in zip(cells, test.images, test.labels, told, strict=True):
        top, left = grid[cell] * TILE + 1
        height, width = image.shape[:2]
        ink = image / image.max()
        sheet[top : top + height, left : left + width] -= ink * (
            1 - np.array(colours(int(label))[:3])
        )
        if int(answer) != int(label):
            corner = (left - 1.5, top - 1.5)
            panel.add_patch(Rectangle(corner, TILE, TILE, fill=False, edgecolor="red", linewidth=2))
            panel.text(left + width, top, str(answer), color="red", ha="right", va="top")
    panel.imshow(sheet)
    panel.axis("off")
    right = int((told == test.labels).sum())
    panel.set_title(f"{len(test)} test digits, like beside like; {right} are told right")


def _draw_curve(panel: Any, lines: list[dict[str, Any]]) -> None:
    train = [line for line in lines if line["kind"] == "train"]
    valid = [line for line in lines if line["kind"] == "validation"]
    panel.plot([x["step"] for x in train], [x["loss"] for x in train], color="tab:blue")
    panel.set_yscale("log")
    panel.set_ylabel("training loss", color="tab:blue")
    panel.set_xlabel("step")
    other = panel.twinx()
    other.plot([x["step"] for x in valid], [x["accuracy"] for x in valid], "o-", color="tab:red")
    other.set_ylabel("validation accuracy", color="tab:red")
    panel.set_title("the training")


def main() -> None:
    """Draws the picture."""
    quiet_libraries()
    options = tyro.cli(Options, description=__doc__)
    test, found = seen(options.run)
    lines = [json.loads(line) for line in (options.run / "metrics.jsonl").open()]
    draw(test, found, lines, options.plot)
    print(options.plot)


if __name__ == "__main__":
    main()
