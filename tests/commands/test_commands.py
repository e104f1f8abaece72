"""The command line, as a user meets it."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from cnn_jax import Augment, epochs, models, train
from cnn_jax.__main__ import main
from cnn_jax.data import load


@pytest.fixture(scope="module")
def run(tiny, changed, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "tiny"
    recipe = changed(tiny, {"duration": epochs(10), "augment": Augment()})
    return path, train(recipe, path, console=Console(quiet=True))


def printed(capsys, *words):
    main([str(word) for word in words])
    return capsys.readouterr().out


def refused(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    captured = capsys.readouterr()
    assert stopped.value.code == 2
    assert "Traceback" not in captured.out + captured.err
    return captured.out + captured.err


def test_evaluate_gives_the_numbers_of_the_end_of_training(run, capsys):
    path, summary = run
    found = json.loads(printed(capsys, "evaluate", path, "--json"))
    assert {name: found[name] for name in summary["test"]} == summary["test"]
    assert found["step"] == summary["best"]["step"]
    written = path / "evaluations" / f"digits-test-step{found['step']}.json"
    assert json.loads(written.read_text()) == found


def test_evaluate_another_checkpoint_and_split(run, capsys):
    path, _ = run
    text = printed(capsys, "evaluate", path, "--checkpoint", "latest", "--split", "validation")
    assert "examples    200" in text
    assert "checkpoint  latest" in text


def test_predict_names_the_classes_of_images(run, tmp_path, capsys):
    path, summary = run
    test = load("digits").test
    files = []
    for place in range(100):
        files.append(tmp_path / f"{place}.png")
        Image.fromarray(test.images[place, ..., 0]).save(files[-1])
    found = json.loads(printed(capsys, "predict", path, *files, "--top", "3", "--json"))
    assert [each["image"] for each in found] == [str(file) for file in files]
    right = [each["classes"][0] == str(test.labels[i]) for i, each in enumerate(found)]
    assert np.mean(right) == pytest.approx(summary["test"]["accuracy"], abs=0.1)
    for each in found:
        assert len(each["classes"]) == 3
        assert each["probabilities"] == sorted(each["probabilities"], reverse=True)
    table = printed(capsys, "predict", path, files[0])
    assert "probability" in table
    assert table.count("%") == 5


def test_runs_lists_results(run, capsys):
    path, summary = run
    rows = json.loads(printed(capsys, "runs", path.parent, "--json"))
    assert rows[0]["test"] == summary["test"]["accuracy"]
    assert rows[0]["state"] == "finished"
    assert "simple_cnn" in printed(capsys, "runs", path.parent)


def test_models_are_listed(capsys):
    listed = json.loads(printed(capsys, "models", "--json"))
    assert [row["name"] for row in listed] == models.names()
    assert "lenet5_relu" in printed(capsys, "models")


def test_models_of_a_pattern_are_counted(capsys):
    rows = json.loads(printed(capsys, "models", "lenet5*", "--json"))
    assert {row["name"]: row["parameters"] for row in rows} == {
        "lenet5": 60_000,
        "lenet5_relu": 61_706,
    }
    assert "416,520" in printed(capsys, "models", "lenet5_relu")


def test_a_pattern_that_finds_no_model_names_the_nearest(capsys):
    assert "resnet50" in refused(capsys, "models", "resnet5O")


def test_data_info(capsys):
    found = json.loads(printed(capsys, "data", "info", "digits", "--json"))
    assert found["examples"] == {"train": 1437, "test": 360}
    text = printed(capsys, "data", "info", "digits")
    assert "digits" in text


def test_data_list_and_fetch(capsys, tmp_path):
    rows = json.loads(printed(capsys, "data", "list", "--data-dir", tmp_path, "--json"))
    assert {"digits", "shapes", "mnist", "fashion_mnist", "cifar10"} <= {r["name"] for r in rows}
    assert "digits was already" in printed(capsys, "data", "fetch", "digits")


def test_data_show_writes_a_sheet(capsys, tmp_path):
    out = tmp_path / "sheet.png"
    words = ["data", "show", "digits", "--augment.rotation", "20", "--output", out]
    assert str(out) in printed(capsys, *words, "--examples", "2", "--variants", "3")
    assert Image.open(out).size[0] > 4 * 64


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "nowhere"], "nowhere is no run folder"),
        (["predict", "nowhere", "a.png"], "nowhere is no run folder"),
        (["runs", "nowhere"], "nowhere is no folder"),
        (["data", "info", "digitz"], "did you mean 'digits'"),
        (["data", "show", "digits", "--augment.cutout", "99"], "--augment.cutout is 99"),
        (["evaluat", "x"], "evaluate"),
        (["data", "info", f"sound:{'x' * 300}"], "a name is too long for a file: xxx"),
        (["evaluate", "x" * 300], "a name is too long for a file: xxx"),
    ],
)
def test_mistakes_are_named(words, message, capsys):
    assert message in refused(capsys, *words)


def test_mistakes_with_a_run_are_named(run, tmp_path, capsys):
    path, _ = run
    assert "there are: best, latest" in refused(capsys, "evaluate", path, "--checkpoint", "7")
    assert "does not know: 'disc', 'square', 'triangle', 'cross'" in refused(
        capsys, "evaluate", path, "--dataset", "shapes:n=50,size=8,channels=1,classes=4"
    )
    (tmp_path / "text.png").write_text("no image")
    assert "text.png" in refused(capsys, "predict", path, tmp_path / "text.png")
    assert "nothing is given to be told" in refused(capsys, "predict", path)
    assert "--top 0" in refused(capsys, "predict", path, tmp_path / "text.png", "--top", "0")


def test_a_misspelt_flag_of_an_experiment_names_the_nearest():
    done = subprocess.run(
        [sys.executable, "experiments/digits_lenet5.py", "--optimizer.lerning-rate", "0.1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--optimizer.learning-rate" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["data", "--help"], ["data", "show", "--help"]])
def test_help(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 0
    assert "usage" in capsys.readouterr().out
