"""What is known of the data is said where a training begins, and stands beside the run."""

import dataclasses
import io
import json

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from cnn_jax import Data, Model, Optimizer, Recipe, steps
from cnn_jax.data.recipe_data import data_spec, load_data
from cnn_jax.errors import UserError
from cnn_jax.evaluation.as_taken import view_of
from cnn_jax.evaluation.predict import read_picture
from cnn_jax.restored import restore
from cnn_jax.run_folder import RunFolder
from cnn_jax.runs.run import train

VALUES = np.arange(16, dtype=np.uint16).reshape(4, 4) * 250


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    top = tmp_path_factory.mktemp("data")
    for label in ("cat", "dog"):
        (top / "set" / label).mkdir(parents=True)
        for place in range(10):
            Image.fromarray(VALUES).save(top / "set" / label / f"{place}.png")
    (top / "set" / "cat" / "Thumbs.db").touch()
    (top / "set" / "cat" / "bad.png").write_text("words")
    recipe = Recipe(
        name="toy",
        data=Data(f"folder:{top / 'set'}", validation=4, skip_bad=True),
        model=Model("simple_cnn", options={"widths": (2,), "hidden": (2,)}),
        optimizer=Optimizer("sgd", learning_rate=0.01),
        batch_size=2,
        duration=steps(1),
    )
    return recipe, top / "run", said(recipe, top / "run")


def said(recipe, path, **arguments):
    output = io.StringIO()
    train(recipe, path, console=Console(file=output, width=1000), **arguments)
    return output.getvalue().splitlines()


def test_a_training_begins_with_what_is_known_of_its_data(run):
    _, path, lines = run
    file = f"see {path / 'data.json'}"
    assert lines[2:7] == [
        f"passed over 1 file that is no image: {file}",
        f"left out 1 file that cannot be read: {file}",
        "16-bit grey images hold values from 0 to 3,750 and are read as 12 bits, scaled to 8; "
        "--data.full-depth keeps all values",
        "the test part is 2 examples cut from train by a fixed stratified rule "
        "(--data.test 0: none)",
        "the validation part is 4 examples cut from train by a fixed stratified rule",
    ]
    stored = json.loads((path / "data.json").read_text())
    assert "set/cat/Thumbs.db" in stored["notes"][0] and "set/cat/bad.png" in stored["notes"][1]
    assert [note.splitlines()[0].rstrip(":") for note in stored["notes"]] == [
        line.removesuffix(f": {file}") for line in lines[2:7]
    ]


def test_a_model_is_given_grey_as_it_was_trained(run):
    _, path, _ = run
    restored = restore(path)
    assert restored.recipe.data.grey_range == (0, 4095)
    file = path.parent / "set" / "cat" / "0.png"
    expected = np.round(VALUES * (255 / 4095)).astype(np.uint8)[..., None]
    np.testing.assert_array_equal(read_picture(view_of(restored), False, file), expected)
    spec = dataclasses.replace(restored.spec, streamed=True)
    streamed = dataclasses.replace(restored, spec=spec)
    np.testing.assert_array_equal(read_picture(view_of(streamed), False, file), expected)


def test_a_model_of_eight_bits_is_given_grey_by_its_own_values(run, capsys):
    restored = restore(run[1])
    data = dataclasses.replace(restored.recipe.data, grey_range=None)
    restored = dataclasses.replace(restored, recipe=dataclasses.replace(restored.recipe, data=data))
    assert read_picture(
        view_of(restored), True, run[1].parent / "set" / "dog" / "0.png"
    ).max() == round(3750 / 4095 * 255)
    assert "values from 0 to 3,750 and are read as 12 bits" in capsys.readouterr().err


def test_a_run_of_an_older_version_on_another_machine_goes_on(run):
    recipe, path, _ = run
    stored = json.loads((path / "data.json").read_text())
    del stored["notes"], stored["grey_range"]
    stored["std"] = [np.nextafter(stored["std"][0], 1.0)]
    stored["grey_range"] = [0, 4095]
    (path / "data.json").write_text(json.dumps(stored))
    lines = said(dataclasses.replace(recipe, duration=steps(2)), path, allow_change=True)
    assert "going on from the checkpoint of step 1" in lines
    assert json.loads((path / "data.json").read_text()) == stored
    stored.update(mean=[0.03], std=[0.02], grey_range=[0, 65535])
    (path / "data.json").write_text(json.dumps(stored))
    with pytest.raises(UserError, match=r"(?s)grey_range: .* by --data\.grey-range, with --allow"):
        RunFolder(path).write_data_spec(data_spec(load_data(recipe.data)))
