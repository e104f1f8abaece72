"""Images are normalised as when the weights that a run begins with were trained."""

import json

import pytest
from rich.console import Console

from cnn_jax import Augment, Init, Model, UserError, steps, train
from cnn_jax.data.recipe_data import data_spec, load_data
from cnn_jax.json_values import to_json
from cnn_jax.pretrained.preparation import preparation_of
from cnn_jax.pretrained.weights import export
from cnn_jax.restored import restore
from cnn_jax.run_folder import RunFolder
from cnn_jax.runs.experiment import Experiment
from cnn_jax.tasks import make_task

QUIET = Console(quiet=True)
SMALL = {
    "model": Model("simple_cnn", options={"widths": (4,), "hidden": ()}),
    "augment": Augment(),
    "ema": None,
    "duration": steps(1),
}
LITE0 = (127 / 255,) * 3, (128 / 255,) * 3


@pytest.fixture(scope="module")
def first(tiny, changed, tmp_path_factory):
    """A run that others begin with."""
    path = tmp_path_factory.mktemp("first") / "run"
    train(changed(tiny, SMALL), path, console=QUIET)
    return path


@pytest.fixture(scope="module")
def lite0(tiny, changed):
    return changed(tiny, {"model": Model("efficientnet_lite0"), "init": Init("imagenet")})


def test_published_weights_bring_their_own(lite0):
    preparation, note = preparation_of(lite0, 3)
    assert (preparation.mean, preparation.std) == LITE0
    assert note == (
        "images are normalised as when the weights of imagenet were trained "
        "(0.498 0.498 0.498 and 0.502 0.502 0.502)"
    )


def test_what_the_recipe_gives_comes_first_and_is_told(lite0, changed):
    _, note = preparation_of(changed(lite0, {"preprocess.mean": (0.4, 0.4, 0.4)}), 3)
    assert note.startswith("images are normalised by the recipe's (0.4 0.4 0.4 and 0.502")
    same = changed(lite0, {"preprocess.mean": LITE0[0], "preprocess.std": LITE0[1]})
    assert "as when the weights" in preparation_of(same, 3)[1]


def test_images_of_other_channels_keep_their_own(lite0):
    preparation, note = preparation_of(lite0, 1)
    assert preparation is None and "of 3 channels, these have 1" in note


def test_weights_that_do_not_tell_are_told(tiny, changed, tmp_path):
    recipe = changed(tiny, {"init.source": str(tmp_path / "weights.pth")})
    preparation, note = preparation_of(recipe, 1)
    assert preparation is None and "give --preprocess.mean and --preprocess.std" in note
    given = changed(recipe, {"preprocess.mean": (0.5,), "preprocess.std": (0.5,)})
    assert preparation_of(given, 1) == (None, None)
    assert preparation_of(tiny, 1) == (None, None)


@pytest.mark.parametrize("exported", [False, True])
def test_a_run_or_its_exported_file_brings_its_own(exported, first, tiny, changed, tmp_path):
    source = export(first, tmp_path / "w.safetensors").file if exported else first
    spec = RunFolder(first).data_spec()
    recipe = changed(tiny, {"init.source": str(source)})
    found, _ = preparation_of(recipe, 1)
    assert (found.mean, found.std) == (spec.mean, spec.std)


def test_the_run_keeps_them_and_goes_on_with_them(first, tiny, changed, tmp_path, capsys):
    path = tmp_path / "run"
    recipe = changed(tiny, {**SMALL, "init.source": str(first), "data.examples": 300})
    train(recipe, path, console=Console(width=300))
    assert "images are normalised as when the weights of" in capsys.readouterr().out
    theirs, ours = RunFolder(first).data_spec(), RunFolder(path).data_spec()
    assert (ours.mean, ours.std) == (theirs.mean, theirs.std)
    restored = restore(path)
    mean, _ = make_task(restored.recipe, restored.spec).inputs.normalisation
    assert mean.tolist() == pytest.approx(ours.mean)
    assert going_on(recipe, path) == ours

    # A run that began with the means of its training images goes on with these.
    own = data_spec(load_data(recipe.data))
    assert own.mean != theirs.mean
    (path / "data.json").write_text(json.dumps(to_json(own)))
    assert going_on(recipe, path) == own


def going_on(recipe, path):
    """The facts of the data as the run there would go on with them."""
    return Experiment.of(recipe, begun=RunFolder(path)).program.spec


def test_weights_of_no_model_are_told_where_they_are_read(tiny, changed, tmp_path):
    with pytest.raises(UserError, match="no published weights of simple_cnn"):
        train(changed(tiny, {"init.source": "imagenet"}), tmp_path / "run", console=QUIET)
