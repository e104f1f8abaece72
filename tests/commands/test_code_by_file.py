"""Code of one's own that a command line names by its file."""

import dataclasses
import json
import re

import pytest

from cnn_jax import Data, Init, Model, Recipe, UserError, Video, steps
from cnn_jax.__main__ import main as command
from cnn_jax.own import values
from cnn_jax.pretrained.start import initial_weights
from cnn_jax.runs.experiment import Experiment

CODE = """
import jax.numpy as jnp
from flax import linen as nn

WIDTH = 8


class Net(nn.Module):
    num_classes: int
    width: int = WIDTH
    act: object = nn.relu

    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(self.num_classes)(self.act(nn.Dense(self.width)(x.reshape(len(x), -1))))


def soft(x):
    return x / (1 + jnp.abs(x))


def squares(outputs, targets):
    return jnp.sum((nn.softmax(outputs) - targets) ** 2, -1)


def adam(rate):
    import optax

    return optax.adam(rate)


def sure(outputs, targets):
    return nn.softmax(outputs).max(-1)


def read():
    import numpy as np

    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)
    return images, (images.mean((1, 2, 3)) > 127).astype(np.int32)
"""


@pytest.fixture
def file(tmp_path):
    found = tmp_path / "my_parts.py"
    found.write_text(CODE)
    return found


def test_parts_are_named_by_their_file_and_found_again(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    command(
        ["train", "classification", "--data.name", "my_parts.py:read", "--model.name",
         "my_parts.py:Net", "--model.options", "width=4", "act=my_parts.py:soft", "--loss.name",
         "my_parts.py:squares", "--metrics", "my_parts.py:sure", "--epochs", "1", "--workdir",
         str(run)]
    )  # fmt: skip
    summary = json.loads((run / "summary.json").read_text())
    assert summary["recipe"]["model"]["name"] == "my_parts:Net"
    assert summary["recipe"]["loss"]["name"] == "my_parts:squares"
    assert summary["recipe"]["init"]["source"] is None
    assert 0.5 <= summary["test"]["sure"] <= 1
    monkeypatch.chdir("/")
    command(["evaluate", str(run)])
    assert f"{summary['test']['accuracy']:.2%}" in capsys.readouterr().out
    file.write_text(CODE.replace("WIDTH = 8", "WIDTH = 9"))
    monkeypatch.setattr(values, "SESSION", "another day")
    with pytest.raises(SystemExit) as end:
        command(
            ["train", "classification", "--data.name", f"{file}:read", "--model.name",
             f"{file}:Net", "--model.options", "width=4", f"act={file}:soft", "--init-from",
             str(run), "--epochs", "1", "--workdir", str(tmp_path / "next")]
        )  # fmt: skip
    assert end.value.code == 2
    assert f"give --init.code {file}" in " ".join(capsys.readouterr().err.split())
    command(
        ["train", "classification", "--data.name", f"{file}:read", "--model.name", f"{file}:Net",
         "--model.options", "width=4", f"act={file}:soft", "--init-from", str(run), "--init.code",
         str(file), "--epochs", "1", "--workdir", str(tmp_path / "next")]
    )  # fmt: skip
    assert "weights of" in capsys.readouterr().out


def test_weights_of_a_body_use_the_code_that_is_given(file, tmp_path, monkeypatch):
    run = tmp_path / "run"
    command(
        ["train", "classification", "--data.name", "digits", "--augment.translation", "0",
         "--augment.rotation", "0", "--augment.scale", "0", "--model.options", "widths=4,",
         "hidden=8,", "norm=none", "--optimizer.name", f"{file}:adam", "--duration", "2steps",
         "--workdir", str(run)]
    )  # fmt: skip
    file.write_text(CODE.replace("WIDTH = 8", "WIDTH = 9"))
    monkeypatch.setattr(values, "SESSION", "another day")
    recipe = Recipe(
        "videos",
        data=Data("moving_digits", examples=8),
        video=Video(frames=2),
        model=Model("frame_cnn", options={"body": "simple_cnn", "body_options": {"widths": (4,)}}),
        init=Init(str(run), body=True),
        batch_size=2,
        duration=steps(1),
    )
    program = Experiment.of(recipe).program
    with pytest.raises(UserError, match=re.escape(f"--init.code {file}")):
        initial_weights(recipe, program)
    init = Init(str(run), body=True, code=(str(file),))
    report = initial_weights(dataclasses.replace(recipe, init=init), program).report
    assert report.loaded and report.new == ("head",)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("my_part.py:Net", "my_part.py is not there"),
        ("my_parts.py:Nett", "did you mean 'Net'"),
        ("my_parts.py:WIDTH", "int is neither a name, nor a class or function"),
    ],
)
def test_what_is_not_there_is_said(file, monkeypatch, capsys, given, message):
    monkeypatch.chdir(file.parent)
    with pytest.raises(SystemExit) as end:
        command(["train", "classification", "--data.name", "digits", "--model.name", given])
    assert end.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (file.parent / "runs").exists()
