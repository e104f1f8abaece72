"""Whole runs on the digits of scikit-learn."""

import dataclasses
import errno
import io
import json
import shutil

import jax
import numpy as np
import pytest
from rich.console import Console

from cnn_jax import Augment, Schedule, UserError, epochs, steps, train, train_seeds
from cnn_jax.commands.run_list import describe_run
from cnn_jax.evaluation.evaluate import evaluate
from cnn_jax.json_values import read_json
from cnn_jax.restored import restore
from cnn_jax.runs.experiment import Experiment
from cnn_jax.runs.launched import result_line
from cnn_jax.runs.seeds import spread
from cnn_jax.training.progress import NonFinite
from cnn_jax.training.stop import Stopped

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def experiment(tiny):
    return Experiment.of(tiny)


@pytest.fixture(scope="module")
def finished(tiny, experiment, tmp_path_factory):
    """An undisturbed run, and its folder."""
    path = tmp_path_factory.mktemp("runs") / "whole"
    return train(tiny, path, console=QUIET, experiment=experiment), path


def lines(path):
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def without_times(entries):
    return [{k: v for k, v in entry.items() if k != "images_per_second"} for entry in entries]


def params(path):
    return jax.tree.map(np.asarray, restore(path, "latest").variables)


def test_the_summary_holds_what_came_of_the_run(tiny, finished):
    summary, path = finished
    assert read_json(path / "summary.json") == summary
    assert summary["steps"] == round(2 * 1237 / 64)
    assert summary["stopped"] == "end"
    assert summary["test"]["examples"] == 360
    assert 0.2 < summary["test"]["accuracy"] <= 1
    assert summary["best"]["examples"] == 200
    # conv 3x3x1x4 without bias, norm 4 + 4, 4x4x4 -> 16, 16 -> 10
    assert summary["parameters"] == 36 + 8 + (64 * 16 + 16) + (16 * 10 + 10)
    assert summary["seconds"]["total"] > summary["seconds"]["train"] > 0
    assert summary["recipe"]["model"]["name"] == "simple_cnn"
    assert {"python", "jax", "flax"} <= summary["versions"].keys()


def test_the_folder_explains_itself(finished):
    _, path = finished
    names = {entry.name for entry in path.iterdir()} - {".lock"}
    assert names == {
        "recipe.json", "data.json", "parts.npz", "starts.jsonl", "metrics.jsonl", "tensorboard",
        "checkpoints", "summary.json", "predictions",
    }  # fmt: skip
    start = json.loads((path / "starts.jsonl").read_text())
    assert start["devices"] == ["cpu:0"]
    assert list((path / "tensorboard").iterdir())
    assert read_json(path / "data.json")["class_names"] == list("0123456789")


def test_metrics_have_a_line_a_validation(finished):
    _, path = finished
    entries = lines(path)
    assert [e["step"] for e in entries if e["kind"] == "validation"] == [19, 39]
    assert [e["step"] for e in entries if e["kind"] == "train"] == [39]


def test_a_finished_run_is_not_run_again(tiny, finished, capsys):
    summary, path = finished
    before = (path / "metrics.jsonl").read_bytes()
    assert train(tiny, path) == summary
    assert "holds this run, finished" in capsys.readouterr().out
    assert (path / "metrics.jsonl").read_bytes() == before


def test_the_same_recipe_gives_the_same_bits(tiny, experiment, finished, tmp_path):
    summary = train(tiny, tmp_path / "again", console=QUIET, experiment=experiment)
    assert summary["test"] == finished[0]["test"]
    assert without_times(lines(tmp_path / "again")) == without_times(lines(finished[1]))
    jax.tree.map(np.testing.assert_array_equal, params(tmp_path / "again"), params(finished[1]))


def test_a_run_stopped_again_and_again_goes_on_to_the_same_bits(
    tiny, experiment, finished, tmp_path, monkeypatch, stop_when
):
    """Stops before the first step, at a step, at a validation (19), and at a step after it."""
    path, made = tmp_path / "run", 0
    for stop_at in (0, 7, 19, 30):
        stop_when(experiment, stop_at - made, monkeypatch)
        with pytest.raises(Stopped, match=f"stopped at step {stop_at} of 39") as stopped:
            train(tiny, path, console=QUIET, experiment=experiment)
        assert stopped.value.exit_code == 75
        assert not (path / "summary.json").exists()
        monkeypatch.undo()
        made = stop_at
    summary = train(tiny, path, console=QUIET, experiment=experiment)
    assert summary["test"] == finished[0]["test"]
    assert summary["best"] == finished[0]["best"]
    assert without_times(lines(path)) == without_times(lines(finished[1]))
    jax.tree.map(np.testing.assert_array_equal, params(path), params(finished[1]))


def test_all_examples_are_learnt_from_and_the_last_state_is_tested(
    tiny, changed, tmp_path, monkeypatch, stop_when
):
    recipe = changed(
        tiny,
        {
            "data.validation": 0,
            "ema": None,
            "augment": Augment(mirror="alternating"),
            "model.options": {"widths": (4,), "hidden": (), "norm": "batch"},
            "lookahead.every": 3,
            "optimizer.until": ("^head/bias$=4steps",),
            "views": "mirror",
            "duration": steps(10),
            "checkpoints.every": steps(4),
        },
    )
    experiment = Experiment.of(recipe)
    whole, path = tmp_path / "whole", tmp_path / "stopped"
    summary = train(recipe, whole, console=QUIET, experiment=experiment)
    assert experiment.program.spec.examples == {"train": 1437, "test": 360}
    assert summary["best"] is None and summary["tested"] == summary["steps"] == 10
    assert "last state, of step 10, without validation" in result_line(summary)
    assert {entry["kind"] for entry in lines(whole)} == {"train"}
    assert describe_run(whole)["validation"] is None
    # The best is the last.
    found = evaluate(whole)
    assert found["step"] == 10 and found["views"] == "mirror"
    assert found["nll"] == summary["test"]["nll"]
    alone = evaluate(whole, views="none")
    assert alone["nll"] != found["nll"]
    assert (whole / "evaluations" / "digits-test-step10-views-none.json").exists()
    with pytest.raises(UserError, match="has no validation split"):
        evaluate(whole, split="validation")

    # Between two checkpoints, and between two times at which the state is set back.
    stop_when(experiment, 7, monkeypatch)
    with pytest.raises(Stopped, match="stopped at step 7 of 10"):
        train(recipe, path, console=QUIET, experiment=experiment)
    monkeypatch.undo()
    assert train(recipe, path, console=QUIET, experiment=experiment)["test"] == summary["test"]
    assert without_times(lines(path)) == without_times(lines(whole))
    jax.tree.map(np.testing.assert_array_equal, params(path), params(whole))


def test_another_recipe_is_refused_unless_allowed(
    idle, idle_experiment, changed, sharing, tmp_path
):
    path = tmp_path / "run"
    short = changed(idle, {"duration": epochs(1)})
    train(short, path, console=QUIET, experiment=sharing(idle_experiment, short))
    with pytest.raises(UserError, match=r'(?s)duration: "1 epochs" stored, "2 epochs" now'):
        train(idle, path, console=QUIET, experiment=idle_experiment)
    longer = train(idle, path, console=QUIET, experiment=idle_experiment, allow_change=True)
    assert longer["steps"] == 39
    assert [e["step"] for e in lines(path) if e["kind"] == "validation"] == [19, 39]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"duration": steps(5)}, "has 39 steps already, more than the 5"),
        ({"seed": 9}, "cannot go on with --seed 9"),
        ({"data.validation": 300}, "the data of the run .* have changed"),
    ],
)
def test_a_change_that_cannot_go_on_leaves_the_run_as_it_was(
    fields, message, tiny, changed, sharing, experiment, finished, tmp_path
):
    path = tmp_path / "run"
    shutil.copytree(finished[1], path)
    recipe = changed(tiny, fields)
    # No step is made: its schedule may be that of the longer run.
    shared = sharing(experiment, recipe) if fields.keys() <= {"seed", "duration"} else None
    with pytest.raises(UserError, match=message):
        train(recipe, path, console=QUIET, allow_change=True, experiment=shared)
    assert train(tiny, path, console=QUIET) == finished[0]


def test_another_model_leaves_the_run_as_it_was(tiny, idle, idle_experiment, finished, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(finished[1], path)
    with pytest.raises(UserError, match="of another model"):
        train(idle, path, console=QUIET, allow_change=True, experiment=idle_experiment)
    assert train(tiny, path, console=QUIET) == finished[0]


def test_stopped_seeds_go_on_with_the_next(tiny, experiment, finished, tmp_path, monkeypatch):
    """The signal comes when the first seed has finished its steps."""
    from cnn_jax.runs import run as module
    from cnn_jax.training import stop

    came = []
    plain = module.RunFolder.write_summary

    def written(self, summary):
        plain(self, summary)
        came.append(True)

    monkeypatch.setattr(module.RunFolder, "write_summary", written)
    monkeypatch.setattr(stop.StopRequest, "__call__", lambda self: bool(came))
    monkeypatch.setattr(Experiment, "of", lambda *_, **__: experiment)
    with pytest.raises(Stopped, match="stopped before seed 1"):
        train_seeds(tiny, tmp_path / "runs", 2, console=QUIET)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["seed-0"]
    monkeypatch.undo()
    monkeypatch.setattr(Experiment, "of", lambda *_, **__: experiment)
    assert train_seeds(tiny, tmp_path / "runs", 2, console=QUIET)[0]["test"] == finished[0]["test"]


def test_a_recipe_of_before_a_field_was_added_is_the_same_recipe(tiny, finished, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(finished[1], path)
    stored = read_json(path / "recipe.json")
    del stored["log_norms"]
    (path / "recipe.json").write_text(json.dumps(stored))
    assert train(tiny, path, console=QUIET) == finished[0]


def test_seeds_share_a_program_and_equal_single_runs(tiny, finished, tmp_path):
    summaries = train_seeds(tiny, tmp_path / "runs", 2, console=QUIET)
    assert [summary["recipe"]["seed"] for summary in summaries] == [0, 1]
    assert summaries[0]["test"] == finished[0]["test"]
    assert summaries[1]["test"] != finished[0]["test"]
    found = spread(summaries)["test accuracy"]
    values = [summary["test"]["accuracy"] for summary in summaries]
    assert found["mean"] == pytest.approx(np.mean(values))
    assert found["deviation"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    assert found["n"] == 2


def test_first_lines_come_before_anything_is_compiled(tiny, experiment, tmp_path, monkeypatch):
    shown = io.StringIO()

    class Enough(Exception):
        pass

    def compile_train(*_):
        raise Enough

    fresh = dataclasses.replace(experiment)
    monkeypatch.setattr(fresh.program, "compile_train", compile_train)
    with pytest.raises(Enough):
        train(tiny, tmp_path / "run", console=Console(file=shown, width=300), experiment=fresh)
    first, *_, last = shown.getvalue().splitlines()
    assert first == f"tiny: simple_cnn on digits, 1 × cpu; run folder {tmp_path / 'run'}"
    assert "1,237 train, 200 validation, 360 test" in shown.getvalue()
    assert last == "compiling ..."


def test_output_that_cannot_be_written_is_not_the_run_folders_fault(tiny, experiment, tmp_path):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    summary = train(tiny, tmp_path / "run", console=Console(file=Full()), experiment=experiment)
    assert summary["steps"] == 39


def test_damaged_lines_of_metrics_are_left_out_and_said(
    tiny, experiment, tmp_path, monkeypatch, stop_when
):
    path, shown = tmp_path / "run", io.StringIO()
    stop_when(experiment, 25, monkeypatch)
    with pytest.raises(Stopped):
        train(tiny, path, console=QUIET, experiment=experiment)
    monkeypatch.undo()
    whole = (path / "metrics.jsonl").read_bytes()
    (path / "metrics.jsonl").write_bytes(b"\xff" + whole)
    train(tiny, path, console=Console(file=shown, width=300), experiment=experiment)
    assert f"1 damaged line of {path / 'metrics.jsonl'} is left out" in shown.getvalue()


def test_a_loss_that_is_not_finite_stops_the_run(tiny, changed, tmp_path):
    """The rate explodes after a warmup that is too short, when states have been saved."""
    recipe = changed(
        tiny,
        {
            "augment": Augment(),
            "optimizer.learning_rate": 1e30,
            "schedule": Schedule("one_cycle", initial=0.0, warmup=steps(3)),
            "validate_every": steps(1),
        },
    )
    with pytest.raises(NonFinite) as stopped:
        train(recipe, tmp_path / "run", console=QUIET)
    text = str(stopped.value)
    assert "training has failed: the " in text
    assert "conv1" in text
    assert "--optimizer.learning-rate" in text
    assert not (tmp_path / "run" / "summary.json").exists()
    # No state that is not finite was saved, let alone called good.
    saved = sorted(int(p.name) for p in (tmp_path / "run" / "checkpoints").glob("[0-9]*"))
    assert saved
    assert f"that of step {saved[-1]} " in text
    for step in saved:
        for leaf in jax.tree.leaves(restore(tmp_path / "run", str(step)).variables):
            assert np.all(np.isfinite(leaf))


def test_a_program_of_another_recipe_is_refused(tiny, changed, experiment, tmp_path):
    with pytest.raises(UserError, match=r"(?s)made for another recipe.*ema: 0\.9 stored, 0\.5 now"):
        train(changed(tiny, {"ema": 0.5}), tmp_path / "run", console=QUIET, experiment=experiment)
    assert not (tmp_path / "run").exists()


def test_norms_are_written_on_request(tiny, changed, tmp_path):
    fields = {"log_norms": True, "log_every": steps(10), "duration": steps(10)}
    recipe = changed(tiny, {**fields, "augment": Augment(), "ema": None})
    train(recipe, tmp_path / "run", console=QUIET)
    entry = next(e for e in lines(tmp_path / "run") if e["kind"] == "train")
    assert entry["grad_norms"].keys() == entry["update_norms"].keys()
    norms = np.array(list(entry["grad_norms"].values()))
    assert entry["grad_norm"] == pytest.approx(np.sqrt(np.sum(norms**2)), rel=1e-6)
