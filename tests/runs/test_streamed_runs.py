"""Whole runs on sets that stream."""

import json
from pathlib import Path

import jax
import numpy as np
import photos
import pytest
from PIL import Image
from rich.console import Console

from cnn_jax import Augment, Data, Model, UserError, steps, train
from cnn_jax.data.recipe_data import load_data
from cnn_jax.evaluation.evaluate import evaluate
from cnn_jax.evaluation.predict import predict
from cnn_jax.restored import restore
from cnn_jax.runs.experiment import Experiment
from cnn_jax.training.loop import Loop
from cnn_jax.training.stop import Stopped, StopRequest

QUIET = Console(quiet=True)
TIMES = ("images_per_second", "input_wait")


@pytest.fixture(scope="module")
def recipe(tiny, changed, tmp_path_factory):
    top = photos.write_folder(tmp_path_factory.mktemp("photos") / "set", 80)
    return changed(
        tiny,
        {
            "data": Data(
                f"folder:{top}",
                validation=18,
                image_size=8,
                random_crop=(0.08, 1.0),
                central_crop=0.875,
            ),
            "augment": Augment(mirror="random"),
            "model": Model("simple_cnn", options={"widths": (4,), "hidden": (), "norm": "batch"}),
            "batch_size": 16,
            "duration": steps(11),
            "validate_every": steps(4),
            "checkpoints.every": steps(4),
            "log_every": steps(2),
        },
    )


@pytest.fixture(scope="module")
def experiment(recipe):
    return Experiment.of(recipe, workers=0)


@pytest.fixture(scope="module")
def finished(recipe, experiment, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "whole"
    return train(recipe, path, console=QUIET, experiment=experiment), path


def lines(path):
    entries = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in entry.items() if k not in TIMES} for entry in entries]


def params(path):
    return jax.tree.map(np.asarray, restore(path, "latest").variables)


def test_every_example_is_evaluated_once(finished):
    summary, path = finished
    assert summary["best"]["examples"] == 18 and summary["test"]["examples"] == 8
    entries = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [e["step"] for e in entries if e["kind"] == "train"] == [2, 4, 6, 8, 10, 11]
    assert all(0 <= e["input_wait"] <= 1 for e in entries if e["kind"] == "train")
    found = evaluate(path)
    assert found["accuracy"] == summary["test"]["accuracy"]
    assert found["loss"] == summary["test"]["loss"]


def test_a_run_stopped_twice_goes_on_to_the_same_bits(
    recipe, experiment, finished, tmp_path, monkeypatch
):
    """Between two checkpoints, and at one."""
    path = tmp_path / "run"
    plain, made = experiment.program.train_step, []

    def counted(state, *rest):
        made.append(state)
        return plain(state, *rest)

    for stop_at in (3, 8):
        monkeypatch.setattr(experiment.program, "train_step", counted)
        monkeypatch.setattr(StopRequest, "__call__", lambda self, at=stop_at: len(made) >= at)
        with pytest.raises(Stopped, match=f"stopped at step {stop_at} of 11"):
            train(recipe, path, console=QUIET, experiment=experiment)
        monkeypatch.undo()
    summary = train(recipe, path, console=QUIET, experiment=experiment)
    assert summary["test"] == finished[0]["test"]
    assert lines(path) == lines(finished[1])
    jax.tree.map(np.testing.assert_array_equal, params(path), params(finished[1]))


@pytest.mark.slow
def test_restarts_leave_out_the_same_batches_of_a_stream_as_of_a_set_in_memory(
    recipe, changed, tmp_path, monkeypatch
):
    """The seventh step fails once, and the run goes back to the checkpoint of step 4."""
    plain = Loop._read_step
    fields = {"data.random_crop": None, "data.central_crop": None, "log_every": steps(1)}
    fields |= {"preprocess.mean": (0.5, 0.5, 0.5), "preprocess.std": (0.25, 0.25, 0.25)}
    summaries = {}
    for name, streaming in (("held", False), ("stream", True)):
        failures = []

        def read_step(self, step, metrics, failures=failures):
            if step == 7 and not failures:
                failures.append(step)
                raise self._non_finite(step - 1, "a loss that is none", self._norms)
            plain(self, step, metrics)

        monkeypatch.setattr(Loop, "_read_step", read_step)
        each = changed(recipe, {**fields, "data.streaming": streaming})
        workers = 0 if streaming else None
        summaries[name] = train(each, tmp_path / name, console=QUIET, workers=workers, restarts=1)
        assert failures == [7]
    for summary in summaries.values():
        # Batches 4, 5 and 6 are left out, and eleven steps are made all the same.
        assert (summary["restarts"], summary["skipped_batches"], summary["steps"]) == (1, 3, 11)
    assert lines(tmp_path / "held") == lines(tmp_path / "stream")
    jax.tree.map(
        np.testing.assert_array_equal, params(tmp_path / "held"), params(tmp_path / "stream")
    )


def test_a_set_that_streams_gives_the_bits_of_one_in_memory(recipe, changed, tmp_path):
    """Without crops, and with the same means and deviations."""
    fields = {
        "data.random_crop": None,
        "data.central_crop": None,
        "preprocess.mean": (0.5, 0.5, 0.5),
        "preprocess.std": (0.25, 0.25, 0.25),
        "duration": steps(5),
        "augment": Augment(mirror="alternating"),
    }
    held, stream = (changed(recipe, {**fields, "data.streaming": on}) for on in (False, True))
    train(held, tmp_path / "held", console=QUIET)
    train(stream, tmp_path / "stream", console=QUIET, workers=0)
    assert lines(tmp_path / "held") == lines(tmp_path / "stream")
    jax.tree.map(
        np.testing.assert_array_equal, params(tmp_path / "held"), params(tmp_path / "stream")
    )


def test_predictions_see_what_evaluation_saw(recipe, finished):
    """Of every test image, through the net: its probabilities are those that were evaluated."""
    summary, path = finished
    test = load_data(recipe.data).test
    files = [Path(test.source.read(int(place)).name) for place in test.places]
    assert len({Image.open(file).size for file in files}) > 1
    found = predict(restore(path), files, top=3)
    losses, right = [], []
    for each, label in zip(found, test.labels, strict=True):
        place = each.classes.index(f"c{label}")
        losses.append(-np.log(each.probabilities[place]))
        right.append(place == 0)
    assert np.mean(losses) == pytest.approx(summary["test"]["nll"], rel=1e-5)
    assert np.mean(right) == summary["test"]["accuracy"]


def test_a_size_of_its_own_in_evaluation_needs_a_model_for_any_size(recipe, changed):
    with pytest.raises(UserError, match="simple_cnn has other parameters for images of 12 than"):
        Experiment.of(changed(recipe, {"data.evaluation_size": 12}))


def test_workers_must_be_a_count(recipe):
    with pytest.raises(UserError, match="--workers -1 must be at least 0"):
        Experiment.of(recipe, workers=-1)
