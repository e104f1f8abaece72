"""Intervals, temperatures and ensembles of stored predictions."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from cnn_jax import UserError
from cnn_jax.__main__ import main
from cnn_jax.evaluation.found_predictions import Source, find_predictions
from cnn_jax.evaluation.measured import (
    at_temperature,
    ensemble,
    fitted_temperature,
    measure,
    same_examples,
)
from cnn_jax.evaluation.predictions import Predictions

ABOUT = {
    "name": "toy", "model": "net", "step": 3, "split": "validation", "dataset": "set",
    "predicted": "class", "class_names": ["a", "b", "c"], "options": {}, "task": "classification",
    "checkpoint": "best", "run": "run", "seed": 0, "data_hash": "0",
}  # fmt: skip


def toy(seed=0, count=50, **about):
    random = np.random.default_rng(seed)
    truth = np.arange(count, dtype=np.int32) % 3
    logits = random.normal(0, 3, (count, 3)).astype(np.float32)
    logits[np.arange(count), truth] += 3
    ids = np.array([f"{place:016x}" for place in range(count)])
    return Predictions(ids, {"logits": logits, "truth": truth}, {**ABOUT, **about})


def source(predictions, name="one"):
    return Source(Path(name), Path(name), predictions)


def test_intervals_are_around_the_value_and_as_wide_as_theory_has_them():
    told = toy(count=2000)
    found = measure(told, 400)
    for name, (low, high) in found.intervals.items():
        assert low <= found.metrics[name] <= high, name
    accuracy = found.metrics["accuracy"]
    low, high = found.intervals["accuracy"]
    deviation = np.sqrt(accuracy * (1 - accuracy) / 2000)
    assert high - low == pytest.approx(2 * 1.96 * deviation, rel=0.1)
    assert {"ece", "adaptive_ece", "nll", "brier", "macro_f1"} <= found.intervals.keys()
    assert measure(told, 400)[:2] == found[:2]  # the same draws each time
    assert measure(told, 0).intervals == {}


def test_a_temperature_is_fitted_on_validation_alone():
    told = toy()
    temperature = fitted_temperature(told)
    scaled = at_temperature(toy(seed=1, split="test"), temperature)
    assert scaled.about["temperature"] == temperature
    np.testing.assert_array_equal(
        scaled.predicted().right(), toy(seed=1, split="test").predicted().right()
    )
    for split in ("test", "train", "all"):
        with pytest.raises(UserError, match=f"is not fitted on the {split} part"):
            fitted_temperature(toy(split=split))


def test_an_ensemble_is_of_the_same_examples_in_whatever_order():
    one, two = toy(0), toy(1)
    order = np.random.default_rng(2).permutation(50)
    shuffled = Predictions(
        two.ids[order], {name: column[order] for name, column in two.columns.items()}, two.about
    )
    straight = ensemble([source(one), source(two)])
    found = ensemble([source(one), source(shuffled)])
    np.testing.assert_array_equal(found.columns["logits"], straight.columns["logits"])
    assert measure(found, 0).metrics["nll"] < min(
        measure(each, 0).metrics["nll"] for each in (one, two)
    )
    assert [each["name"] for each in found.about["members"]] == ["toy", "toy"]
    with pytest.raises(UserError, match="at least two members"):
        ensemble([source(one)])


def test_examples_are_the_same_by_what_they_hold_or_by_their_places():
    one = toy()
    resized = Predictions(np.array([f"z{e}" for e in one.ids]), one.columns, one.about)
    assert same_examples(source(one), source(resized)).tolist() == list(range(50))
    others = (
        (toy(count=49), r"two are of other examples: 50 .* and 49 "),
        (Predictions(resized.ids, one.columns, {**one.about, "dataset": "b"}), "other examples"),
        (toy(class_names=["a", "c", "b"]), "of 3 and 3 names, or in another order"),
        (toy(task="binary", predicted="binary"), "the tasks are classification and binary"),
    )
    for other, message in others:
        with pytest.raises(UserError, match=message):
            same_examples(source(one), source(other, "two"))


def test_a_task_without_further_metrics_says_so():
    with pytest.raises(UserError, match=r"no further metrics .* of the task detection"):
        measure(toy(predicted="", task="detection"))


def test_the_command_judges_runs_ensembles_and_temperatures(trained, place, capsys):
    # All are told right: one is made wrong.
    found = find_predictions(Path("run"), "validation")
    logits = found.predictions.columns["logits"].copy()
    logits[0] *= -1
    columns = {**found.predictions.columns, "logits": logits}
    found.predictions.with_columns(columns).write(found.file)
    words = (
        "metrics run other --ensemble --temperature validation --bootstrap 20 --output all.parquet"
    )
    shutil.copytree("run", "other")
    for split in ("validation", "test"):  # as sure as half of the other, so that it is not the same
        one = find_predictions(Path("other"), split)
        columns = {**one.predictions.columns, "logits": one.predictions.columns["logits"] / 2}
        one.predictions.with_columns(columns).write(one.file)
    main([*words.split(), "--json"])
    found = json.loads(capsys.readouterr().out)
    names = [each["predictions"].partition(" at temperature ")[0] for each in found]
    assert names == ["run", "other", "ensemble of 2"] * 2
    for before, after in zip(found[:3], found[3:], strict=True):
        assert before["metrics"]["accuracy"] == trained[1]["test"]["accuracy"]
        assert after["metrics"]["accuracy"] == before["metrics"]["accuracy"]
        assert after["about"]["temperature"] != 1
        assert np.sum(before["confusion"]) == before["examples"] == 6
    # What was written is read as any other.
    main(["metrics", "all.parquet", "--by-class", "--confusion", "--bootstrap", "20"])
    told = capsys.readouterr().out
    assert "all.parquet: test part of folder:photos" in told and "n=6" in told
    assert "accuracy" in told and "told owl" in told and "support" in told
    words = "metrics run --split validation --bootstrap 0"
    main(words.split())
    told = capsys.readouterr().out
    assert "n=11" in told and "interval" not in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "no run is given: cnn-jax metrics RUN..."),
        ("run --temperature test", "a temperature is not fitted on the test part"),
        ("run --temperature train", "cnn-jax evaluate run --split train"),
        ("run --temperature 2", "--temperature 2 is no part of the data"),
        ("run --temperature validation --split validation", "judge on another part"),
        ("run run --ensemble", "run and run tell the same of every example"),
        ("run run --temperature validation --output a.parquet", "one file, and 2 runs are given"),
        ("run --ensemble", "at least two members"),
        ("run --output a.parquet", "--output is for predictions of --ensemble or"),
        ("run --bootstrap -1", "--bootstrap -1 must be at least 0"),
        ("nothere", "nothere is no run folder"),
    ],
)
def test_what_cannot_be_done_is_said(place, capsys, words, message):
    with pytest.raises(SystemExit) as stopped:
        main(["metrics", *words.split()])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def written(place, columns=None, **about):
    """A file of predictions, with what has been changed in it."""
    told = toy()
    changed = told.with_columns({**told.columns, **(columns or {})}, **about)
    file = place / "told.parquet"
    changed.write(file)
    return file


def rewritten(file, change):
    table = parquet.read_table(file)
    parquet.write_table(change(table), file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(["logits"]), "is damaged: the columns logits are lacking"),
        (lambda table: table.slice(0, 0), "is damaged: there is no example"),
        (
            lambda table: table.replace_schema_metadata({b"cnn_jax": b"{bad"}),
            "is damaged: it does not say its name, dataset",
        ),
        (
            lambda table: table.replace_schema_metadata({b"cnn_jax": b"[]"}),
            "is damaged: it does not say its name, dataset",
        ),
    ],
)
def test_a_file_that_was_changed_is_refused_by_its_name(tmp_path, change, message):
    file = written(tmp_path)
    rewritten(file, change)
    with pytest.raises(UserError, match=f"told.parquet {message}"):
        Predictions.read(file)


def test_a_file_whose_columns_do_not_fit_its_classes_is_refused(tmp_path):
    with pytest.raises(UserError, match="logits has 2 a row, of 3 names"):
        Predictions.read(written(tmp_path, {"logits": np.zeros((50, 2), np.float32)}))
    with pytest.raises(UserError, match="a truth is the place of none of the 3 classes"):
        Predictions.read(written(tmp_path, {"truth": np.full(50, 3, np.int32)}))


def test_a_byte_that_has_changed_on_disk_is_noticed(tmp_path):
    file = written(tmp_path)
    whole = bytearray(file.read_bytes())
    for place in range(40, 44):
        whole[place] ^= 0xFF
    file.write_bytes(whole)
    with pytest.raises(UserError, match=r"told\.parquet"):
        Predictions.read(file)


def test_examples_that_were_labelled_anew_are_not_taken_for_the_same():
    one, two = toy(), toy(seed=1)
    truth = two.columns["truth"].copy()
    truth[[3, 4]] = (truth[[3, 4]] + 1) % 3
    other = two.with_columns({**two.columns, "truth": truth})
    with pytest.raises(UserError, match="of 2 of them another truth is known"):
        same_examples(source(one), source(other, "two"))


def test_equal_examples_of_two_truths_are_matched_by_these():
    one = toy()
    ids = one.ids.copy()
    ids[:2] = ids[0]
    order = np.array([1, 0, *range(2, 50)])
    same = Predictions(ids, one.columns, one.about)
    turned = Predictions(
        ids[order], {name: each[order] for name, each in one.columns.items()}, one.about
    )
    np.testing.assert_array_equal(same_examples(source(same), source(turned)), order)


def test_what_is_no_number_is_told_and_is_null_in_json(tmp_path, capsys):
    logits = toy().columns["logits"].copy()
    logits[:3] = np.nan
    file = written(tmp_path, {"logits": logits})
    main(["metrics", str(file), "--bootstrap", "5"])
    assert "of 3 examples what is told is no finite number" in capsys.readouterr().out
    main(["metrics", str(file), "--bootstrap", "5", "--json"])
    (found,) = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert found["metrics"]["nll"] is None
    with pytest.raises(UserError, match="of 3 of 50 examples what the model tells is no finite"):
        fitted_temperature(Predictions.read(file))
