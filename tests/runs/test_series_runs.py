"""Whole runs on series, of unequal lengths and several channels, from files to predictions."""

import json

import numpy as np
import pytest
from rich.console import Console

import cnn_jax
from benchmarks.series_table import ensemble
from cnn_jax import Augment, Checkpoints, Data, Model, Series, Task, UserError, steps, train
from cnn_jax.__main__ import main as command
from cnn_jax.data import load
from cnn_jax.data.recipe_data import data_spec
from cnn_jax.evaluation.evaluate import evaluate
from cnn_jax.evaluation.predict import predict
from cnn_jax.restored import restore
from cnn_jax.runs.experiment import Experiment
from cnn_jax.runs.launched import result_line
from cnn_jax.tasks.series_inputs import SeriesInputs

QUIET = Console(quiet=True)
RANDOM = np.random.default_rng(0)
HEAD = "@problemName Toy\n@univariate false\n@{} true{}\n@data\n"


def line(length, rising):
    """Two channels, one of which rises or falls, and what is told of it."""
    slope = np.linspace(0, 2, length) * (1 if rising else -1)
    channels = slope + RANDOM.normal(0, 0.1, length), RANDOM.normal(5, 1, length)
    return ":".join(",".join(f"{value:.4f}" for value in each) for each in channels)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("toy")
    for kind, words in (("classLabel", " down up"), ("targetlabel", "")):
        for part, count in (("TRAIN", 24), ("TEST", 10)):
            rows = []
            for place in range(count):
                told = ("down", "up")[place % 2] if words else f"{place % 2 - 3.5}"
                rows.append(f"{line(6 + place % 5, place % 2)}:{told}")
            name = f"{'Toy' if words else 'Level'}_{part}.ts"
            (top / name).write_text(HEAD.format(kind, words) + "\n".join(rows) + "\n")
    return top


@pytest.fixture(scope="module")
def recipe(tiny, changed, folder):
    fields = {
        "data": Data(f"series:{folder}/Toy", validation=4),
        "augment": Augment(),
        "model": Model(
            "fcn1d", options={"widths": (8, 8), "kernels": (4, 3), "norm_momentum": 0.5}
        ),
        "optimizer.name": "adam",
        "optimizer.learning_rate": 0.02,
        "optimizer.options": {},
        "batch_size": 10,
        "duration": steps(24),
        "validate_every": steps(12),
        "checkpoints": Checkpoints(every=steps(6)),
        "ema": None,
    }
    return changed(tiny, fields)


@pytest.fixture(scope="module")
def learnt(recipe, tmp_path_factory):
    """A whole run, with what it was run by."""
    top = tmp_path_factory.mktemp("runs")
    experiment = Experiment.of(recipe)
    return top, experiment, train(recipe, top / "whole", console=QUIET, experiment=experiment)


def test_a_run_learns_and_is_told(learnt):
    top, _, summary = learnt
    assert summary["test"]["examples"] == 10 and summary["test"]["accuracy"] >= 0.9
    assert "examples/s" in result_line(summary) and "images" not in result_line(summary)
    found = evaluate(top / "whole")
    assert found["accuracy"] == summary["test"]["accuracy"]
    assert found["nll"] == pytest.approx(summary["test"]["nll"], rel=1e-5)


def test_averaged_with_itself_a_run_is_as_good(learnt):
    top, _, summary = learnt
    run = top / "whole"
    assert ensemble([run, run]) == pytest.approx(100 * summary["test"]["accuracy"])


def test_series_are_told_in_python(learnt, folder):
    top, _, _ = learnt
    model, file = cnn_jax.load(top / "whole"), folder / "Toy_TEST.ts"
    expected = predict(restore(top / "whole"), [file])
    for found, each in zip(model.predict(file), expected, strict=True):
        assert found == each
    ends = np.sum(~np.isnan(load(f"series:{folder}/Toy").test.inputs[..., 0]), axis=1)
    series = [
        values[:end]
        for values, end in zip(load(f"series:{folder}/Toy").test.inputs, ends, strict=True)
    ]
    answers = model.answers(series)
    assert answers.shape == (10, 2)
    for row, each in zip(answers, expected, strict=True):
        assert row.max() == pytest.approx(each.probabilities[0], rel=1e-5)
    assert model.predict(series[0]).classes == expected[0].classes
    for given, message in (
        (["up"], "give an array of numbers"),
        (np.zeros((4, 3)), "have 3 channels"),
        (np.full((4, 2), np.inf), "hold infinite values"),
    ):
        with pytest.raises(UserError, match=message):
            model.predict(given)


def test_stopped_it_goes_on_to_the_same_numbers(learnt, recipe, goes_on):
    top, experiment, whole = learnt
    again = goes_on(experiment, recipe, top / "cut", 15)
    assert again["test"] == whole["test"] and again["best"] == whole["best"]


def test_other_series_are_judged_and_predicted(learnt, folder, tmp_path, capsys):
    top, _, summary = learnt
    run = top / "whole"
    text = (folder / "Toy_TEST.ts").read_text()
    (tmp_path / "new_TEST.ts").write_text(text)
    found = evaluate(run, dataset=f"series:{tmp_path}/new")
    assert (found["split"], found["examples"]) == ("test", 10)
    assert found["accuracy"] == summary["test"]["accuracy"]
    assert evaluate(run, dataset=f"series:{folder}/Toy", split="test")["examples"] == 10

    told = predict(restore(run), [folder / "Toy_TEST.ts"])
    labels = load(f"series:{folder}/Toy").test.labels
    right = np.mean(
        [each.classes[0] == ("down", "up")[k] for each, k in zip(told, labels, strict=True)]
    )
    assert right == summary["test"]["accuracy"] and told[0].image.endswith("Toy_TEST.ts:5")
    command(["predict", str(run), str(folder / "Toy_TEST.ts"), "--top", "1", "--json"])
    assert len(json.loads(capsys.readouterr().out)) == 10

    one_channel = HEAD.format("classLabel", " down up") + "1,2,3:up\n"
    for content, message in ((one_channel, "1 channels"), ("1,2,3\n", "stands before @data")):
        (tmp_path / "bad.ts").write_text(content)
        with pytest.raises(UserError, match=message):
            predict(restore(run), [tmp_path / "bad.ts"])
    long = tmp_path / "long_TEST.ts"
    long.write_text(HEAD.format("classLabel", " down up") + line(40, True) + ":up\n")
    assert predict(restore(run), [long])[0].classes[0] == "up"
    with pytest.raises(
        UserError, match="up to 40 times long, and those that the model was trained"
    ):
        evaluate(run, dataset=f"series:{tmp_path}/long")
    with pytest.raises(
        UserError, match="inputs of the kind image, but the model was trained on series"
    ):
        evaluate(run, dataset="digits")


@pytest.mark.slow
def test_numbers_of_series_are_learnt(recipe, changed, folder, tmp_path):
    fields = {
        "data.name": f"series:{folder}/Level",
        "task": Task("regression"),
        "series": Series("each"),
        "duration": steps(24),
    }
    summary = train(changed(recipe, fields), tmp_path / "run", console=QUIET)
    assert summary["test"]["mae"] < 0.3  # 0.5 by telling the mean
    told = predict(restore(tmp_path / "run"), [folder / "Level_TEST.ts"])
    assert len(told) == 10 and told[0].names == ("number 0",)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": Model("simple_cnn")}, "simple_cnn takes inputs of the kind image.*fcn1d"),
        ({"augment": Augment(mirror="random")}, "--augment.mirror is for images, and series:"),
        ({"views": "mirror"}, "--views mirror is for images"),
        ({"data": Data("digits")}, "fcn1d takes inputs of the kind series"),
        (
            {"data": Data("digits"), "model": Model("lenet5_relu"), "series": Series("each")},
            "--series.standardise is for series, and digits has images",
        ),
    ],
)
def test_what_is_of_another_kind_is_refused(recipe, changed, fields, message):
    with pytest.raises(UserError, match=message):
        Experiment.of(changed(recipe, fields))


def test_series_are_standardised_by_the_training_part_or_each(recipe, changed, folder):
    dataset = load(f"series:{folder}/Toy")
    series, spec = dataset.train.inputs, data_spec(dataset)

    def prepared(how, series):
        found = SeriesInputs(changed(recipe, {"series": Series(how)}), spec).prepared(series)
        return np.asarray(found["series"]), np.asarray(found["there"]) > 0

    for how in ("train", "each", "none"):
        values, there = prepared(how, series)
        np.testing.assert_array_equal(there, ~np.isnan(series[..., 0]))
        assert not values[~there].any()
        if how == "none":
            np.testing.assert_array_equal(values[there], series[there])
            continue
        parts = zip(values, there, strict=True) if how == "each" else [(values, there)]
        for value, here in parts:
            np.testing.assert_allclose(value[here].mean(0), 0, atol=1e-5)
            np.testing.assert_allclose(value[here].std(0), 1, rtol=1e-4)
    # What stands still has no deviation to be divided by.
    assert not prepared("each", np.full((1, 4, 2), 3.1, np.float32))[0].any()


def test_the_times_that_decided_are_drawn(learnt, folder, tmp_path, capsys):
    run, file = str(learnt[0] / "whole"), tmp_path / "a.png"
    command(["show", "attention", run, str(folder / "Toy_TEST.ts"), "--output", str(file)])
    assert "a.png: 10 series" in capsys.readouterr().out and file.stat().st_size > 1000
    command(["show", "attention", run, "--examples", "3", "--output", str(file)])
    assert "a.png: 3 of 4 examples of the validation part" in capsys.readouterr().out


def test_a_report_shows_series_and_where_the_net_looks(learnt, described):
    found = described(learnt[0] / "whole")
    assert found.samples[0].shown.picture.uri.startswith("data:image/")
    assert all(each.seen and not each.plain for each in found.attention.examples)
