"""Runs that begin with weights, from the recipe to the run folder."""

import io
import json
import shutil

import jax
import numpy as np
import pytest
from rich.console import Console

from cnn_jax import Augment, UserError, steps, train
from cnn_jax.pretrained.start import initial_weights
from cnn_jax.pretrained.weights import export
from cnn_jax.restored import restore
from cnn_jax.runs.experiment import Experiment

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def tiny(tiny, changed):
    """Quickly compiled, and how long it is is not compiled."""
    return changed(tiny, {"augment": Augment(), "schedule.name": "constant"})


@pytest.fixture(scope="module")
def first(tiny, changed, tmp_path_factory):
    """A run that others begin with."""
    path = tmp_path_factory.mktemp("first") / "run"
    train(changed(tiny, {"duration": steps(3)}), path, console=QUIET)
    return path


def started(changed, tiny, first, fields):
    return changed(tiny, {"duration": steps(2), "seed": 1, "init.source": str(first), **fields})


@pytest.fixture(scope="module")
def experiment(first, tiny, changed):
    return Experiment.of(started(changed, tiny, first, {"duration": steps(3)}))


def test_a_run_begins_with_the_weights_of_another(first, tiny, changed, tmp_path):
    recipe = started(changed, tiny, first, {"optimizer.learning_rate": 0.0, "ema": None})
    summary = train(recipe, tmp_path / "run", console=QUIET)
    ours, theirs = restore(tmp_path / "run", "latest").variables, restore(first).variables
    assert jax.tree.all(jax.tree.map(np.array_equal, ours["params"], theirs["params"]))
    assert summary["origin"] == {
        "source": str(first),
        "sha256": None,
        "step": 3,
        "loaded": len(jax.tree.leaves(theirs)),
        "numbers": sum(leaf.size for leaf in jax.tree.leaves(theirs)),
        "new": [],
        "missing": [],
        "unexpected": [],
        "misshapen": [],
        "left_out": [],
    }
    assert json.loads((tmp_path / "run" / "origin.json").read_text()) == summary["origin"]


def test_an_exported_file_is_as_good_as_the_run(
    first, tiny, changed, experiment, sharing, tmp_path
):
    file = export(first).file
    assert file.parent == first
    found = []
    for source in (first, file):
        recipe = started(changed, tiny, source, {})
        shared = sharing(experiment, recipe)
        train(recipe, tmp_path / source.name, console=QUIET, experiment=shared)
        found.append(restore(tmp_path / source.name, "latest").variables)
    assert jax.tree.all(jax.tree.map(np.array_equal, *found))


def test_a_new_head_is_new_and_the_rest_the_files(first, tiny, changed, tmp_path):
    recipe = started(
        changed,
        tiny,
        first,
        {"init.new_head": True, "optimizer.freeze": "^(?!head/)", "ema": None},
    )
    summary = train(recipe, tmp_path / "run", console=QUIET)
    assert summary["origin"]["new"] == ["params/head/bias", "params/head/kernel"]
    ours = restore(tmp_path / "run", "latest").variables["params"]
    theirs = restore(first).variables["params"]
    np.testing.assert_array_equal(ours["conv1"]["kernel"], theirs["conv1"]["kernel"])
    assert not np.array_equal(ours["head"]["kernel"], theirs["head"]["kernel"])


def test_a_new_head_guesses_evenly_at_first(first, tiny, changed):
    """Whatever the features are; the random values of some models are for a thousand classes."""
    recipe = started(changed, tiny, first, {"init.new_head": True})
    program = Experiment.of(recipe).program
    head = initial_weights(recipe, program).variables["params"]["head"]
    assert not head["kernel"].any() and head["kernel"].size


def test_weights_that_do_not_fit_leave_no_folder(first, tiny, changed, tmp_path):
    recipe = started(changed, tiny, first, {"model.options": {"widths": (8,), "hidden": (16,)}})
    with pytest.raises(UserError, match="does not fit the model"):
        train(recipe, tmp_path / "run", console=QUIET)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"init.source": "imagenet"}, "no published weights of simple_cnn"),
        ({"init.source": "nowhere.pth"}, "nowhere.pth cannot be read"),
        ({"init.source": "nowhere"}, "neither a run folder nor one of"),
        ({"init.source": None, "init.names": "names.json"}, "give --init-from"),
    ],
)
def test_sources_that_are_none_are_named(first, tiny, changed, tmp_path, fields, said):
    recipe = started(changed, tiny, first, fields)
    with pytest.raises(UserError, match=said):
        train(recipe, tmp_path / "run", console=QUIET)
    assert not (tmp_path / "run").exists()


def test_a_run_that_has_begun_takes_no_other_weights(first, tiny, changed, tmp_path):
    shutil.copytree(first, tmp_path / "run")
    with pytest.raises(UserError, match="cannot begin with other weights"):
        train(
            started(changed, tiny, first, {"seed": 0}),
            tmp_path / "run",
            console=QUIET,
            allow_change=True,
        )


def test_a_finished_start_is_not_read_again(first, tiny, changed, experiment, sharing, tmp_path):
    file = export(first, tmp_path / "weights.safetensors").file
    recipe = started(changed, tiny, file, {})
    train(recipe, tmp_path / "run", console=QUIET, experiment=sharing(experiment, recipe))
    file.unlink()
    longer = changed(recipe, {"duration": steps(3)})
    shared = sharing(experiment, longer)
    summary = train(longer, tmp_path / "run", console=QUIET, experiment=shared, allow_change=True)
    assert summary["steps"] == 3
    assert summary["origin"]["source"] == str(file)


def test_a_run_begins_with_what_matches_and_says_what_does_not(first, tiny, changed, tmp_path):
    other = {"model.options": {"widths": (4,), "hidden": (8,), "norm": "batch"}}
    recipe = started(changed, tiny, first, {**other, "init.matching": True})
    console = Console(file=io.StringIO(), width=200)
    summary = train(recipe, tmp_path / "run", console=console)
    origin = json.loads((tmp_path / "run" / "origin.json").read_text())
    assert origin == summary["origin"]
    assert [line.partition(":")[0] for line in origin["misshapen"]] == [
        "params/dense1/bias",
        "params/dense1/kernel",
        "params/head/kernel",
    ]
    said = console.file.getvalue()
    assert f"weights of {first}: {origin['loaded']} arrays of {origin['numbers']:,} numbers" in said
    assert all(line in said for line in origin["misshapen"])


def test_a_whitening_kernel_that_was_not_loaded_is_fitted(first, tiny, changed, tmp_path, capsys):
    """It never learns, so it must not stay random."""
    whiten = {"model.options": {**tiny.model.options, "whiten": True}}
    matched = tmp_path / "matched"
    # Without averages, whose last digit may be another.
    recipe = started(changed, tiny, first, {**whiten, "init.matching": True, "ema": None})
    experiment = Experiment.of(recipe)
    fitted = experiment.start(0).params
    train(recipe, matched, console=Console(width=300), experiment=experiment)
    assert "not loaded, and fitted to the data: whitening/kernel" in capsys.readouterr().out
    found = restore(matched, "latest").variables["params"]
    np.testing.assert_array_equal(found["whitening"]["kernel"], fitted["whitening"]["kernel"])


@pytest.mark.slow
def test_a_whitening_kernel_that_was_loaded_stays(tiny, changed, tmp_path, capsys):
    whiten = {"model.options": {**tiny.model.options, "whiten": True}}
    plain, again = tmp_path / "plain", tmp_path / "again"
    train(changed(tiny, {"duration": steps(1), **whiten}), plain, console=QUIET)
    fitted = restore(plain, "latest").variables["params"]
    other = {**whiten, "data.examples": 600}
    train(started(changed, tiny, plain, other), again, console=Console(width=300))
    assert "fitted" not in capsys.readouterr().out
    kept = restore(again, "latest").variables["params"]
    np.testing.assert_array_equal(kept["whitening"]["kernel"], fitted["whitening"]["kernel"])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"init.matching": True}, "matching is for .*: give --init-from, or --init.no-matching"),
        ({"init.body": True}, "body is for .*: give --init-from, or --init.no-body"),
        ({"init.code": ("x.py",)}, "code is for .*: give --init-from, or leave it out"),
        (
            {"init.source": "run", "init.body": True, "init.new_head": True},
            r"new-head changes nothing: leave it out \(--init\.no-new-head\)",
        ),
        ({"init.words": "x.txt", "init.body": True}, "body is for weights from elsewhere"),
    ],
)
def test_what_would_change_nothing_is_refused(tiny, changed, tmp_path, fields, said):
    with pytest.raises(UserError, match=said):
        train(changed(tiny, fields), tmp_path / "run", console=QUIET)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("fields", [{"code": ("x.py",)}, {"checkpoint": "latest"}])
def test_what_only_a_run_folder_has_is_refused_of_a_file(first, tiny, changed, tmp_path, fields):
    file = export(first, tmp_path / "weights.safetensors").file
    (field,) = fields
    init = {f"init.{name}": value for name, value in fields.items()}
    with pytest.raises(UserError, match=f"--init.{field} is for a run folder, and .* is none"):
        train(started(changed, tiny, file, init), tmp_path / "run", console=QUIET)
    assert not (tmp_path / "run").exists()
