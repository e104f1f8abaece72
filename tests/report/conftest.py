"""Runs that reports are written of."""

import numpy as np
import pytest
from hostile_names import HOSTILE
from rich.console import Console

from cnn_jax import Checkpoints, Data, Model, Optimizer, Recipe, Task, steps, train
from cnn_jax.data import load


def recipe_of(name, data, **fields):
    return Recipe(
        name,
        data=Data(f"npz:{data}", validation=40, test=50),
        model=Model("simple_cnn", options={"widths": (4,), "hidden": (8,)}),
        optimizer=Optimizer("adam", learning_rate=0.01),
        batch_size=32,
        duration=steps(8),
        validate_every=steps(4),
        log_every=steps(2),
        checkpoints=Checkpoints(every=steps(4)),
        **fields,
    )


@pytest.fixture(scope="session")
def arrays():
    digits = load("digits").train
    return digits.images[:200], digits.labels[:200]


@pytest.fixture(scope="session")
def hostile_recipe(arrays, tmp_path_factory):
    images, labels = arrays
    file = tmp_path_factory.mktemp("hostile") / "<b>&'.npz"
    names = np.array(HOSTILE)
    np.savez(file, x_train=images, y_train=labels % 3, class_names=names)
    return recipe_of("<i>hostile</i>", file)


@pytest.fixture(scope="session")
def run(hostile_recipe, tmp_path_factory):
    """A classification whose names of classes, of files and of itself are HTML."""
    folder = tmp_path_factory.mktemp("report") / "run"
    train(hostile_recipe, folder, console=Console(quiet=True))
    return folder


@pytest.fixture(scope="session")
def numbers(arrays, tmp_path_factory):
    """A regression."""
    images, labels = arrays
    folder = tmp_path_factory.mktemp("numbers")
    np.savez(folder / "set.npz", x_train=images, y_train=labels[:, None] / np.float32(3))
    recipe = recipe_of("numbers", folder / "set.npz", task=Task("regression"))
    train(recipe, folder / "run", console=Console(quiet=True))
    return folder / "run"


@pytest.fixture(scope="module")
def quick():
    """Bundling the charts' script takes seconds, which the browser's test spends; and so would
    a thousand bootstraps.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cnn_jax.report.page.page.chart_script", lambda: "/* charts */")
        patch.setattr("cnn_jax.report.page.results.BOOTSTRAPS", 40)
        yield
