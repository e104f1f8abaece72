"""A run on a small folder of photographs, given by a relative name."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from evaluation_folders import draw
from rich.console import Console

from cnn_jax import Augment, Data, Model, Optimizer, epochs, train
from cnn_jax.data.recipe_data import load_data
from cnn_jax.restored import restore


@pytest.fixture(scope="session")
def photo_recipe(tiny, changed):
    return changed(
        tiny,
        {
            "data": Data("folder:photos", validation=0.2),
            "augment": Augment(),
            "model": Model("simple_cnn", options={"widths": (4,), "hidden": ()}),
            "optimizer": Optimizer("sgd", learning_rate=0.1),
            "batch_size": 16,
            "duration": epochs(4),
            "ema": None,
        },
    )


@pytest.fixture(scope="session")
def trained(photo_recipe, tmp_path_factory):
    """A folder with `photos`, 20 of each class, and the run `run` on them; and its summary."""
    top = tmp_path_factory.mktemp("trained")
    draw(top / "photos", 20, seed=0)
    before = Path.cwd()
    os.chdir(top)
    try:
        summary = train(photo_recipe, Path("run"), console=Console(quiet=True))
    finally:
        os.chdir(before)
    return top, summary


@pytest.fixture(scope="session")
def restored(trained):
    return restore(trained[0] / "run")


@pytest.fixture(scope="session")
def tested(trained):
    """The test images of the run, in order."""
    return load_data(Data(f"folder:{trained[0]}/photos", validation=0.2)).test.images


@pytest.fixture
def place(trained, tmp_path, monkeypatch):
    """The working directory: a copy of what was trained, where nothing lies as it was told."""
    shutil.copytree(trained[0], tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    stored = np.load("run/parts.npz")
    moved = {name: stored[name] for name in stored} | {"place": str(Path("photos").resolve())}
    np.savez_compressed("run/parts.npz", **moved)
    return tmp_path / "work"
