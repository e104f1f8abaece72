"""Draws what a net has learnt: its test digits in the plane, its curve, its maps of one digit.

    make train DATA=digits
    python -m benchmarks.digits_picture

The plane is t-SNE (van der Maaten and Hinton 2008) of the last layer before the logits. The digits
are those of scikit-learn, from the UCI repository (CC BY 4.0).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import tyro
from sklearn.manifold import TSNE

from cnn_jax import models
from cnn_jax.data import Split, load
from cnn_jax.restored import restore
from cnn_jax.tasks import make_task
from cnn_jax.training.evaluator import make_model

ONE = 4
"""The test digit whose maps are drawn."""


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
        ["pool1", "pool2", "dense2_relu", "logits"],
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

    figure = pyplot.figure(figsize=(13, 7.6), layout="constrained")
    plane, right = figure.subfigures(1, 2, width_ratios=(8, 5))
    curve, maps = right.subfigures(2, 1, height_ratios=(2, 3))
    _draw_plane(plane.subplots(), test, found)
    _draw_curve(curve.subplots(), lines)
    shown = [found["input"][ONE]]
    for name in ("pool1", "pool2"):
        shown += list(np.moveaxis(found[name][ONE], -1, 0))
    grid = maps.subplots(4, 6)
    maps.suptitle("one digit, its 6 maps after the first pooling, its 16 after the second")
    for panel in grid.flat:
        panel.axis("off")
    places = [grid[0, 0], *grid[1], *grid[2:].flat, *grid[0, 2:]]
    for panel, values in zip(places, shown, strict=False):
        panel.imshow(np.squeeze(values), cmap="magma")
    figure.savefig(plot, dpi=80)


def _draw_plane(panel: Any, test: Split, found: dict[str, np.ndarray]) -> None:
    from matplotlib import colormaps
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    colours = colormaps["tab10"]
    told = found["logits"].argmax(-1)
    at = TSNE(random_state=0, init="pca").fit_transform(found["dense2_relu"])
    panel.scatter(*at.T, s=0)
    for place, image, label, answer in zip(at, test.images, test.labels, told, strict=True):
        ink = image[..., 0] / image.max()
        pixels = np.broadcast_to(np.array(colours(int(label))), (*ink.shape, 4)).copy()
        pixels[..., 3] = ink
        wrong = int(answer) != int(label)
        box = AnnotationBbox(
            OffsetImage(pixels, zoom=2.4, interpolation="bilinear"),
            place,
            frameon=wrong,
            pad=0.1,
            bboxprops={"edgecolor": "red", "linewidth": 2},
            zorder=3 if wrong else 2,
        )
        panel.add_artist(box)
        if wrong:
            panel.annotate(
                f"told {answer}", place, (14, 10), textcoords="offset points", color="red"
            )
    right = int((told == test.labels).sum())
    panel.set_title(f"{len(test)} test digits where the net puts them; {right} are told right")
    panel.set(xticks=[], yticks=[])


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
    options = tyro.cli(Options, description=__doc__)
    test, found = seen(options.run)
    lines = [json.loads(line) for line in (options.run / "metrics.jsonl").open()]
    draw(test, found, lines, options.plot)
    print(options.plot)


if __name__ == "__main__":
    main()
