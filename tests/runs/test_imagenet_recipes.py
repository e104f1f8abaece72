"""The recipes of ImageNet from end to end, with a small net on a small set of its name."""

import importlib.util
from pathlib import Path

import photos
import pytest
from flax import linen as nn
from rich.console import Console

from cnn_jax import models, steps, train
from cnn_jax.layers.basic import Dense
from cnn_jax.layers.blocks import ConvNorm, global_mean
from cnn_jax.runs.experiment import Experiment

QUIET = Console(quiet=True)


class AnySize(nn.Module):
    num_classes: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x, *, train=False):
        x = global_mean(ConvNorm(4, 3, 2, name="stem")(x, train=train))
        return Dense(self.num_classes, name="head")(x)


def recipe_of(name):
    path = Path(__file__).parents[2] / "experiments" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.recipe


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("tfds")
    photos.write_imagenet(path, train=40, validation=7)
    return path


def small(recipe, changed):
    """The recipe with a small net, small images and two steps."""
    if "any_size" not in models.names():
        models.register("any_size", AnySize, input_shape=(16, 16, 3), num_classes=9, paper="none")
    return changed(
        recipe,
        {
            "data.validation": 6,
            "model.name": "any_size",
            "model.dtype": "float32",
            "model.options": {},
            "data.image_size": 16,
            "data.evaluation_size": 24 if recipe.data.evaluation_size else None,
            "batch_size": 8,
            "duration": steps(2),
            "schedule.warmup": steps(1),
        },
    )


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        pytest.param("imagenet2012_resnet50", (224, 224), marks=pytest.mark.slow),
        pytest.param("imagenet2012_resnet50_a3", (160, 224), marks=pytest.mark.slow),
    ],
)
def test_a_recipe_runs(name, sizes, data_dir, changed, tmp_path):
    recipe = recipe_of(name)
    run = small(recipe, changed)
    summary = train(run, tmp_path / "run", data_dir=data_dir, workers=0, console=QUIET)
    assert summary["steps"] == 2
    assert summary["best"]["examples"] == 6 and summary["test"]["examples"] == 7
    assert (recipe.data.image_size, recipe.data.evaluation_size or 224) == sizes


def test_the_plain_recipe_fits_its_data(data_dir, changed):
    """Every name, option and size of it; `make test-slow` trains it."""
    recipe = small(recipe_of("imagenet2012_resnet50"), changed)
    experiment = Experiment.of(recipe, data_dir, workers=0)
    assert experiment.program.spec.examples == {"train": 34, "validation": 6, "test": 7}
    assert experiment.program.plan.total == 2
