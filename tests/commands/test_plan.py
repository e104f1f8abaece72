"""`cnn-jax plan`, as a user meets it."""

import json

import pytest

from cnn_jax.__main__ import main
from cnn_jax.commands.recipe_file import read_recipe
from cnn_jax.json_values import to_json, write_json

EXPERIMENT = """
from cnn_jax import Data, Model, Recipe, epochs, main

recipe = Recipe(
    name="small",
    data=Data("digits", validation=200),
    model=Model("simple_cnn", options={"widths": (4,), "hidden": (256,), "norm": "batch"}),
    batch_size=64,
)

if __name__ == "__main__":
    main(recipe)
"""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    path = tmp_path_factory.mktemp("experiments") / "small.py"
    path.write_text(EXPERIMENT)
    return path


def printed(capsys, *words):
    main([str(word) for word in words])
    return capsys.readouterr().out


def refused(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    captured = capsys.readouterr()
    assert stopped.value.code == 2
    assert "Traceback" not in captured.out + captured.err
    return captured.err


def test_a_mesh_larger_than_the_machine(experiment, capsys):
    text = printed(capsys, "plan", experiment, "--devices", 16, "--parallel.fsdp", 4)
    assert "data 4, fsdp 4" in text
    assert "64 examples, 4 a device" in text
    for row in (
        "optimizer state",
        "activations",
        "all-gather: parameters",
        "all-reduce: gradients",
    ):
        assert row in text
    assert "compiled" not in text
    # The mesh is what its axes make, if nobody says more.
    words = ("--parallel.data", 2, "--parallel.fsdp", 4, "--batch-size", 128, "--json")
    found = json.loads(printed(capsys, "plan", experiment, *words))
    assert (found["devices"], found["batch_size"], found["compiled"]) == (8, 128, None)
    assert found["traffic"][0] == {"kind": "all-gather", "what": "parameters", "bytes": 65536}


def test_beside_the_compiled_program(experiment, capsys):
    found = json.loads(printed(capsys, "plan", experiment, "--compile", "--json"))
    assert found["argument_bytes"] == found["compiled"]["argument_bytes"]
    assert found["compiled"]["collectives"] == {}
    assert 0.5 < found["temporary_bytes"] / found["compiled"]["temporary_bytes"] < 2


def test_recipes_of_files_and_run_folders_are_the_same(experiment, tmp_path):
    recipe = read_recipe(experiment)
    write_json(tmp_path / "recipe.json", to_json(recipe))
    assert read_recipe(tmp_path) == read_recipe(tmp_path / "recipe.json") == recipe


def test_an_experiment_finds_the_modules_beside_it(tmp_path):
    (tmp_path / "beside_it.py").write_text("NAME = 'beside'")
    (tmp_path / "x.py").write_text(
        "from cnn_jax import Recipe\nimport beside_it\nrecipe = Recipe(name=beside_it.NAME)"
    )
    assert read_recipe(tmp_path / "x.py").name == "beside"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("recipe = 3", "defines no `recipe`"),
        ("from cnn_jax import Recipy", "cannot be imported: ImportError"),
        ("recipe = (", "cannot be imported: SyntaxError"),
    ],
)
def test_files_that_define_no_recipe_are_refused(tmp_path, capsys, text, words):
    path = tmp_path / "wrong.py"
    path.write_text(text)
    assert words in refused(capsys, "plan", path)


def test_what_cannot_be_is_refused(experiment, tmp_path, capsys):
    assert "is not there" in refused(capsys, "plan", tmp_path / "none.py")
    assert "no run folder" in refused(capsys, "plan", tmp_path)
    other = tmp_path / "x.txt"
    other.touch()
    assert "is none of them" in refused(capsys, "plan", other)
    assert "--devices 0 must be at least 1" in refused(capsys, "plan", experiment, "--devices", 0)
    assert "--parallel.fsdp 3 does not divide" in refused(
        capsys, "plan", experiment, "--devices", 8, "--parallel.fsdp", 3
    )
    assert "cannot be divided among 48 devices" in refused(
        capsys, "plan", experiment, "--devices", 48
    )
    assert "--compile needs the 8 devices" in refused(
        capsys, "plan", experiment, "--devices", 8, "--compile"
    )
    assert "pmap makes two" in refused(
        capsys, "plan", experiment, "--compile", "--parallel.compile", "pmap"
    )
