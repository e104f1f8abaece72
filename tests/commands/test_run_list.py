"""The list of runs: columns for what differs, order, choice, and how numbers are written."""

import dataclasses
import json

import pytest

from cnn_jax import Data, Model, Optimizer, Recipe, Task
from cnn_jax.__main__ import main
from cnn_jax.json_values import to_json


def add(folder, name, recipe, *, started, test=None, metric="accuracy"):
    path = folder / name
    path.mkdir(parents=True)
    stored = to_json(dataclasses.replace(recipe, name=name))
    (path / "recipe.json").write_text(json.dumps(stored))
    (path / "starts.jsonl").write_text(
        json.dumps({"time": f"2026-01-{started:02}T10:00:00"}) + "\n"
    )
    if test is not None:
        summary = {
            "recipe": stored, "steps": 1200, "metric": metric, "best": {metric: test},
            "test": {metric: test}, "parameters": 61706, "seconds": {"total": 1234.5},
        }  # fmt: skip
        (path / "summary.json").write_text(json.dumps(summary))


@pytest.fixture
def runs(tmp_path):
    folder = tmp_path / "runs"
    base = Recipe("x", data=Data("digits"), model=Model("lenet5_relu"))
    fast = dataclasses.replace(base, optimizer=Optimizer(learning_rate=0.5), batch_size=32)
    add(folder, "a", base, started=1, test=0.9825)
    add(folder, "b", fast, started=3, test=0.9)
    add(folder, "c", dataclasses.replace(base, seed=1), started=2)
    return folder


def listed(capsys, *words):
    main(["runs", *map(str, words)])
    return capsys.readouterr().out


def names(capsys, folder, *words):
    main(["runs", str(folder), *words, "--json"])
    return [row["run"].rpartition("/")[2] for row in json.loads(capsys.readouterr().out)]


def test_columns_are_what_differs_and_the_newest_stands_first(runs, capsys):
    lines = listed(capsys, runs).splitlines()
    assert lines[0].split() == [
        *("run", "model", "data", "seed", "learning", "rate", "batch", "size"),
        *("state", "step", "validation", "test", "parameters", "seconds"),
    ]
    assert [line.split()[0].rpartition("/")[2] for line in lines[2:]] == ["b", "c", "a"]
    assert lines[2].split()[1:] == [
        *("lenet5_relu", "digits", "0", "0.5", "32", "finished", "1,200"),
        *("accuracy", "90.00%", "accuracy", "90.00%", "61,706", "1,234"),
    ]
    # Of a run alone nothing differs.
    alone = listed(capsys, runs / "a").splitlines()[0]
    assert "learning rate" not in alone and "model" in alone


def test_order(runs, capsys):
    assert names(capsys, runs) == ["b", "c", "a"]
    assert names(capsys, runs, "--reverse") == ["a", "c", "b"]
    # The best first, and those without a result last.
    assert names(capsys, runs, "--sort", "test") == ["a", "b", "c"]
    assert names(capsys, runs, "--sort", "lr")[-1] == "b"
    assert names(capsys, runs, "--sort", "run") == ["a", "b", "c"]


def test_the_smaller_error_is_the_better(runs, capsys):
    ages = Recipe("x", task=Task("regression"))
    add(runs, "d", ages, started=4, test=8.5, metric="mae")
    add(runs, "e", ages, started=5, test=7.25, metric="mae")
    assert names(capsys, runs, "--sort", "test") == ["a", "b", "e", "d", "c"]
    assert "mae 7.25" in listed(capsys, runs)


def test_choice(runs, capsys):
    assert names(capsys, runs, "--filter", "optimizer.learning_rate=0.5") == ["b"]
    assert names(capsys, runs, "--filter", "batch-size=128", "seed=0") == ["a"]
    assert names(capsys, runs, "--filter", "model=lenet", "state=unfinished") == ["c"]
    assert "no run below" in listed(capsys, runs, "--filter", "seed=7")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--sort", "tset"],
            "--sort tset is no column and no field of a recipe; did you mean test",
        ),
        (["--filter", "seed"], "--filter seed is written field=value"),
        (["--sort", "decay"], "--sort decay may be "),
    ],
)
def test_what_is_no_field_is_refused(runs, words, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["runs", str(runs), *words])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_narrow_terminal_keeps_what_came_of_them(runs, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(len(str(runs)) + 40))
    text = listed(capsys, runs)
    assert "accuracy 98.25%" in text
    assert "left out, the terminal is narrow:" in text and "batch size" in text
