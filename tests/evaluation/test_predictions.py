"""What was told of every example, stored with what it is of."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from evaluation_folders import draw

from cnn_jax import UserError
from cnn_jax.__main__ import main
from cnn_jax.evaluation.evaluate import evaluate
from cnn_jax.evaluation.found_predictions import find_predictions
from cnn_jax.evaluation.predictions import Predictions
from cnn_jax.pretrained.weights import export
from cnn_jax.run_folder import RunFolder
from cnn_jax.training import evaluator


def test_the_end_of_a_run_keeps_every_held_out_example(trained):
    top, summary = trained
    for split, count, metrics in (("test", 6, "test"), ("validation", 11, "best")):
        found = find_predictions(top / "run", split)
        about = found.predictions.about
        assert found.file.name == f"folder-photos-{split}-step{summary['tested']}.parquet"
        assert len(found.predictions) == count
        assert (about["split"], about["step"], about["seed"]) == (split, summary["tested"], 0)
        assert Path(about["run"]) == (top / "run").resolve()
        parts = RunFolder(top / "run").parts()
        assert found.predictions.ids.tolist() == [f"{e:016x}" for e in parts.digests[split]]
        assert found.predictions.columns["truth"].tolist() == parts.labels[split].tolist()
        told = found.predictions.predicted().metrics()
        for name in ("accuracy", "nll"):
            assert told[name] == pytest.approx(summary[metrics][name], rel=1e-5)


def test_any_program_reads_the_file(trained):
    file = find_predictions(trained[0] / "run", "test").file
    table = pyarrow.parquet.read_table(file)
    assert table.column_names == ["id", "logits", "truth"]
    assert [len(row) for row in table.column("logits").to_pylist()] == [3] * 6
    assert json.loads(table.schema.metadata[b"cnn_jax"])["class_names"] == ["cat", "dog", "owl"]


def test_an_evaluation_keeps_what_the_end_of_the_run_kept(trained, place):
    before = find_predictions(Path("run"), "test")
    before.file.unlink()
    with pytest.raises(UserError, match="cnn-jax evaluate run --split test writes them"):
        find_predictions(Path("run"), "test")
    found = evaluate(Path("run"))
    assert Path(found["predictions"]).name == before.file.name
    after = find_predictions(Path("run"), "test").predictions
    assert after.ids.tolist() == before.predictions.ids.tolist()
    np.testing.assert_allclose(after.columns["logits"], before.predictions.columns["logits"], 1e-5)
    assert after.about["data_hash"] == before.predictions.about["data_hash"]
    # Of views and of other data there are files of their own; the run's are still those of its end.
    evaluate(Path("run"), views="mirror")
    draw(Path("new"), 2, seed=1)
    found = evaluate(Path("run"), dataset="folder:new")
    assert len(list(Path("run/predictions").glob("*.parquet"))) == 4
    assert find_predictions(Path("run"), "test").predictions.about["views"] == "none"
    other = find_predictions(Path(found["predictions"]), "any").predictions
    assert len(set(other.ids)) == len(other) == 6 and other.about["dataset"] == "folder:new"


def test_what_would_be_too_large_is_left_out_and_said(trained, place, monkeypatch):
    monkeypatch.setattr(evaluator, "MOST_KEPT", 6 * 4 * 4 - 1)
    found = evaluate(Path("run"))
    assert "predictions" not in found and "predictions are not kept" in found["notes"][-1]


@pytest.mark.parametrize("shape", [(), (3,), (2, 4), (1, 2, 4)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int32", "uint64", "bool"])
def test_arrays_come_back_as_they_were(tmp_path, shape, dtype):
    values = np.random.default_rng(0).integers(0, 100, (5, *shape)).astype(dtype)
    of = ("name", "dataset", "split", "task", "predicted")
    about = {**dict.fromkeys(of, "own"), "class_names": [], "options": {}, "step": 1}
    written = Predictions(np.array(list("abcde")), {"x": values}, {**about, "é": [None, 0.5]})
    written.write(tmp_path / "new" / "any.parquet")
    found = Predictions.read(tmp_path / "new" / "any.parquet")
    assert found.columns["x"].dtype == values.dtype
    np.testing.assert_array_equal(found.columns["x"], values)
    assert found.ids.tolist() == list("abcde") and found.about == written.about


def test_other_files_are_refused(tmp_path):
    file = tmp_path / "any.parquet"
    with pytest.raises(UserError, match=r"cannot be read: .*[Nn]o such file"):
        Predictions.read(file)
    file.write_text("words")
    with pytest.raises(UserError, match=r"any\.parquet is no Parquet file"):
        Predictions.read(file)
    pyarrow.parquet.write_table(pyarrow.table({"id": ["a"]}), file)
    with pytest.raises(UserError, match="holds no predictions that cnn-jax evaluate has written"):
        Predictions.read(file)


def test_weights_from_elsewhere_are_evaluated_without_a_run(trained, place, capsys):
    run = evaluate(Path("run"))
    export(Path("run"), Path("w.safetensors"))
    words = "evaluate --weights w.safetensors --model simple_cnn --model-options widths=4, hidden="
    words = [*words.split(), "--data.name", "folder:photos", "--data.validation", "0.2"]
    main([*(word.replace("hidden=", "hidden=()") for word in words), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["accuracy"] == run["accuracy"] and found["examples"] == 6
    assert found["nll"] == pytest.approx(run["nll"], rel=1e-5)
    kept = Predictions.read(Path(found["predictions"]))
    assert kept.about["run"] == "w.safetensors" and len(kept) == 6
    assert kept.ids.tolist() == find_predictions(Path("run"), "test").predictions.ids.tolist()
    main([*(word.replace("hidden=", "hidden=()") for word in words), "--views", "mirror", "--json"])
    other = json.loads(capsys.readouterr().out)
    assert other["predictions"] != found["predictions"]
    assert Predictions.read(Path(found["predictions"])).about["views"] == "none"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("evaluate", "no run is given: cnn-jax evaluate RUN, or --weights FILE"),
        ("evaluate --weights w.safetensors --model vgg11", "needs --data.name SET as well"),
        ("evaluate --weights w.pth --data.name digits", "needs --model NAME as well"),
        ("evaluate run --model vgg11", "--model are for --weights; a run has its own"),
        ("evaluate run --data.name digits", r"--data\.\* are for --weights"),
        (
            "evaluate --weights w.pth --model vgg11 --data.name digits --records a --code a.py",
            "--records and --code are for runs, not --weights",
        ),
        ("evaluate run --weights w.pth --model vgg11", "RUN run and --weights are two things"),
    ],
)
def test_a_run_or_weights_are_given(words, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words.split())
    assert stopped.value.code == 2
    assert re.search(message, capsys.readouterr().err)
