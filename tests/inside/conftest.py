"""One run on the digits of scikit-learn, for all that looks into nets."""

import pytest
from rich.console import Console

from cnn_jax import Model, train
from cnn_jax.restored import restore
from cnn_jax.trained import TrainedModel


@pytest.fixture(scope="session")
def run(tiny, changed, tmp_path_factory):
    """A run folder of a net of one convolution with batch normalisation and dropout."""
    folder = tmp_path_factory.mktemp("inside") / "run"
    options = {"widths": (4,), "hidden": (16,), "norm": "batch", "dropout": 0.1}
    recipe = changed(tiny, {"model": Model("simple_cnn", options=options), "ema": None})
    train(recipe, folder, console=Console(quiet=True))
    return folder


@pytest.fixture(scope="session")
def trained(run):
    return TrainedModel(restore(run))
