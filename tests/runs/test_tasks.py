"""Whole runs of other tasks than classification, from a table and from arrays."""

import json

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from cnn_jax import (
    Augment,
    Checkpoints,
    Data,
    Loss,
    Model,
    Optimizer,
    Task,
    UserError,
    from_arrays,
    steps,
    train,
)
from cnn_jax.__main__ import main as command
from cnn_jax.evaluation.evaluate import evaluate
from cnn_jax.evaluation.predict import predict
from cnn_jax.restored import restore
from cnn_jax.runs.experiment import Experiment
from cnn_jax.runs.launched import result_line
from cnn_jax.training.stop import Stopped, StopRequest

QUIET = Console(quiet=True)
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (60, 8, 8)).astype(np.uint8)
IMAGES[:, :4] //= 4
TAGS = np.stack([IMAGES[:, 5, 5] > 99, IMAGES[:, 6, 6] > 120, IMAGES[:, 7, 7] > 200], 1)
TAGS = TAGS.astype(np.int8)
TAGS[3, 1] = -1
PARTS = ["train"] * 40 + ["val"] * 10 + ["test"] * 10


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Pictures with the sum of their brightness, in two units."""
    top = tmp_path_factory.mktemp("faces")
    lines = ["file,level,percent,split"]
    for place, (image, part) in enumerate(zip(IMAGES, PARTS, strict=True)):
        Image.fromarray(image).save(top / f"{place}.png")
        level = image.mean()
        lines.append(f"{place}.png,{level},{level / 2.55},{part}")
    (top / "levels.csv").write_text("\n".join(lines))
    return top / "levels.csv"


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """The same pictures in 12 of 16 bits, with tags."""
    file = tmp_path_factory.mktemp("arrays") / "set.npz"
    deep = IMAGES.astype(np.uint16) * 16
    np.savez(file, train_images=deep[:40], train_labels=TAGS[:40], val_images=deep[40:50],
             val_labels=TAGS[40:50], test_images=deep[50:], test_labels=TAGS[50:],
             class_names=["low", "mid", "high"])  # fmt: skip
    return file


@pytest.fixture(params=["regression", "tagging"])
def recipe(request, tiny, changed, table, arrays):
    fields = {
        "model": Model("simple_cnn", options={"widths": (4,), "hidden": (8,)}),
        "augment": Augment(),
        "optimizer": Optimizer("adam", learning_rate=0.01),
        "batch_size": 16,
        "duration": steps(8),
        "validate_every": steps(2),
        "checkpoints": Checkpoints(every=steps(2)),
        "ema": None,
    }
    kinds = {
        "regression": {"data": Data(f"csv:{table}"), "task": Task("regression"), "loss": Loss()},
        "tagging": {
            "data": Data(f"npz:{arrays}"),
            "task": Task("tagging"),
            "loss": Loss("asymmetric"),
        },
    }
    return changed(tiny, fields | kinds[request.param])


def test_a_run_is_learnt_stopped_evaluated_and_told(recipe, tmp_path, monkeypatch, capsys):
    experiment = Experiment.of(recipe)
    whole = train(recipe, tmp_path / "whole", console=QUIET, experiment=experiment)
    metric = whole["metric"]
    assert whole["test"]["examples"] == 10
    assert f"test {metric} " in result_line(whole)
    assert np.isfinite(whole["test"][metric]) and np.isfinite(whole["best"][metric])

    # Stopped in its midst it goes on to the same numbers.
    plain, made = experiment.program.train_step, []

    def counted(*arguments):
        made.append(arguments)
        return plain(*arguments)

    monkeypatch.setattr(experiment.program, "train_step", counted)
    monkeypatch.setattr(StopRequest, "__call__", lambda self: len(made) >= 5)
    with pytest.raises(Stopped):
        train(recipe, tmp_path / "cut", console=QUIET, experiment=experiment)
    monkeypatch.undo()
    again = train(recipe, tmp_path / "cut", console=QUIET, experiment=experiment)
    assert again["test"] == whole["test"] and again["best"] == whole["best"]

    found = evaluate(tmp_path / "whole")
    for name, value in whole["test"].items():
        assert found[name] == pytest.approx(value, rel=1e-5, nan_ok=True), name

    command(["runs", str(tmp_path), "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert [row["test"] for row in rows] == [whole["test"][metric]] * 2


def test_numbers_are_told_in_the_units_of_the_table(tiny, changed, table, tmp_path, capsys):
    fields = {
        "data": Data(f"csv:{table}", streaming=True, image_size=8),
        "task": Task("regression"),
        "model": Model("simple_cnn", options={"widths": (4,), "hidden": (8,)}),
        "augment": Augment(),
        "batch_size": 8,
        "duration": steps(2),
        "ema": None,
    }
    summary = train(changed(tiny, fields), tmp_path / "run", console=QUIET, workers=0)
    assert {"mae/level", "mae/percent", "r2", "within"} <= summary["test"].keys()
    [told] = predict(restore(tmp_path / "run", "latest"), [table.parent / "3.png"])
    assert told.names == ("level", "percent") and 0 < told.numbers[0] < 255
    out = tmp_path / "told.csv"
    command(["predict", str(tmp_path / "run"), str(table.parent / "3.png"), "--csv", str(out)])
    shown = capsys.readouterr().out
    assert "level" in shown and "%" not in shown
    assert out.read_text().splitlines()[0] == "file,level,percent"


def test_a_set_of_another_kind_is_refused(tiny, changed, table, tmp_path):
    with pytest.raises(UserError, match=r"classes are told by one column"):
        train(changed(tiny, {"data": Data(f"csv:{table}")}), tmp_path / "run", console=QUIET)
    with pytest.raises(UserError, match=r"digits has classes, and the task learns number"):
        train(changed(tiny, {"task": Task("regression")}), tmp_path / "run", console=QUIET)
    with pytest.raises(UserError, match=r"unknown task 'regresion'; did you mean 'regression'"):
        train(changed(tiny, {"task": Task("regresion")}), tmp_path / "run", console=QUIET)
    assert not (tmp_path / "run").exists()


def test_a_channel_without_contrast_is_refused_before_a_folder_is_made(tiny, changed, tmp_path):
    images = np.repeat(IMAGES[..., None], 3, axis=-1)
    images[..., 2] = 7
    given = from_arrays((images, TAGS), kind="tags", class_names=["low", "mid", "high"])
    fields = {"task": Task("tagging"), "data": Data(validation=6), "augment": Augment()}
    recipe = changed(tiny, {**fields, "batch_size": 8})
    with pytest.raises(UserError, match=r"without contrast .* give --preprocess\.std"):
        train(recipe, tmp_path / "run", console=QUIET, dataset=given)
    assert not (tmp_path / "run").exists()


def test_arrays_are_learnt_from_as_they_are_given(tiny, changed, tmp_path):
    given = from_arrays((IMAGES, TAGS), kind="tags", class_names=["low", "mid", "high"])
    fields = {
        "task": Task("tagging"),
        "model": Model("simple_cnn", options={"widths": (2,), "hidden": (4,)}),
        "augment": Augment(),
        "data": Data(validation=6),
        "batch_size": 8,
        "duration": steps(2),
        "ema": None,
    }
    recipe = changed(tiny, fields)
    summary = train(recipe, tmp_path / "run", console=QUIET, dataset=given)
    assert summary["recipe"]["data"]["name"] == "arrays" and summary["test"]["examples"] == 6
    stored = json.loads((tmp_path / "run" / "data.json").read_text())
    assert stored["examples"] == {"train": 48, "validation": 6, "test": 6}
    with pytest.raises(UserError, match=r"given in Python and lie nowhere; .*npz:FILE"):
        evaluate(tmp_path / "run")
    with pytest.raises(UserError, match="have changed since it began"):
        other = from_arrays((IMAGES + 1, TAGS), kind="tags", class_names=["low", "mid", "high"])
        longer = changed(recipe, {"duration": steps(3)})
        train(longer, tmp_path / "run", console=QUIET, dataset=other, allow_change=True)


def test_tables_and_arrays_are_described_and_drawn(table, arrays, tmp_path, capsys):
    command(["data", "info", f"csv:{table}", "--data.task", "regression", "--json"])
    found = json.loads(capsys.readouterr().out)
    levels = IMAGES[:40].mean((1, 2))
    first = found["numbers"]["train"][0]
    assert first["mean"] == pytest.approx(levels.mean(), rel=1e-5)
    assert first["most"] == pytest.approx(levels.max(), rel=1e-5)
    command(["data", "info", f"npz:{arrays}", "--data.task", "tagging", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["class_counts"]["train"] == np.sum(TAGS[:40] == 1, axis=0).tolist()
    assert found["mean"][0] == pytest.approx(IMAGES[:40].mean() * 16, rel=1e-6)
    sheet = tmp_path / "sheet.png"
    command(["data", "show", f"npz:{arrays}", "--data.task", "tagging", "--output", str(sheet),
             "--examples", "2", "--variants", "2"])  # fmt: skip
    assert Image.open(sheet).size[0] > 3 * 64
