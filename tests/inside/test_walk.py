"""The way of a picture through a net."""

import json

import numpy as np
import pytest
from PIL import Image

from cnn_jax.__main__ import main
from cnn_jax.inside.net import net_of
from cnn_jax.inside.walk import walk


def digit(trained):
    return trained.preprocess(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4)


def test_steps_are_what_the_net_computes(trained):
    inputs = digit(trained)
    found = walk(net_of(trained), inputs)
    names = [step.name for step in found.steps]
    assert names == ["conv1", "norm1", "relu1", "pool1", "flatten", "dense1", "dense1_relu", "head"]
    every = trained.activations(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4)
    for step in found.steps:
        if step.name != "flatten":
            np.testing.assert_allclose(step.value, every[step.name][0], rtol=1e-5, atol=1e-6)
    steps = {step.name: step for step in found.steps}
    np.testing.assert_array_equal(steps["flatten"].value, steps["pool1"].value.reshape(-1))
    np.testing.assert_array_equal(steps["head"].value, found.outputs)
    assert [step.shape for step in found.steps] == [
        "8x8x4", "8x8x4", "8x8x4", "4x4x4", "64", "16", "16", "10",
    ]  # fmt: skip
    below = np.mean(steps["norm1"].value < 0)
    assert steps["conv1"].what == "convolution with 4 kernels of 3x3"
    assert steps["relu1"].what == f"ReLU: {below:.0%} of the values are below 0 and become 0"
    assert steps["pool1"].what == "pooling: 8x8 to 4x4 places"
    assert steps["flatten"].what == "all values of 4 maps of 4x4 in one row"
    assert steps["head"].what == "dense: 10 weighted sums of all numbers"
    assert found.left_out == 0


def test_layers_that_are_named_are_the_steps(trained):
    found = walk(net_of(trained), digit(trained), ("pool1", "conv1"))
    assert [step.name for step in found.steps] == ["conv1", "pool1"]
    assert found.left_out == 5


def test_the_command_draws_a_picture_of_a_user(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pixels = np.zeros((30, 20, 3), np.uint8)
    pixels[5:25, 8:12] = 255
    Image.fromarray(pixels).save("one.png")
    main(["show", "walk", str(run), "one.png", "--top", "2", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [row["step"] for row in found["steps"]][:2] == ["conv1", "norm1"]
    assert len(found["told"]) == 2 and found["told"][0]["value"].endswith("%")
    assert found["output"] == "walk.png"
    with Image.open("walk.png") as picture:
        assert picture.format == "PNG" and picture.width == 946 and picture.height > 600
        # The input stands at its place, four rows of text from the top, as the net is given it.
        assert len(np.unique(np.asarray(picture)[50:140, 310:390])) > 2


def test_the_command_takes_an_example_of_the_validation_part(run, tmp_path, capsys):
    main(
        ["show", "walk", str(run), "--output", str(tmp_path / "new" / "w.png"), "--layers", "conv1"]
    )
    said = capsys.readouterr().out
    assert "w.png: 1 steps of validation 0, 6 layers left out" in said and "softmax: " in said
    assert (tmp_path / "new" / "w.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("{run} --layers conv2", "unknown layer 'conv2'; did you mean 'conv1'"),
        ("{run} nothing.png", "nothing.png: there is no such file"),
        ("{run} notes.txt", "notes.txt"),
        ("{run} --output notes.txt/walk.png", "--output notes.txt/walk.png cannot be written"),
        ("{run} --output walk.doc", "--output walk.doc cannot be written: unknown file ext"),
        ("{run} --top 0", "--top 0 must be at least 1"),
        ("nowhere", "nowhere is no run folder, and no model with published weights"),
    ],
)
def test_what_cannot_be_drawn_is_said(run, words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(SystemExit) as stopped:
        main(["show", "walk", *words.format(run=run).split()])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
