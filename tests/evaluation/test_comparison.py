"""Runs in groups: spreads, differences by seed, tests, and what cannot be concluded."""

import json
import math

import numpy as np
import pytest
import scipy.stats

from cnn_jax import UserError, json_values
from cnn_jax.__main__ import main
from cnn_jax.errors import unknown
from cnn_jax.evaluation import significance
from cnn_jax.evaluation.compared_runs import ComparedRun, in_groups
from cnn_jax.evaluation.comparison import compare, sentences
from cnn_jax.evaluation.predictions import Predictions
from cnn_jax.report import tables
from cnn_jax.report.learning_curves import mean_curve
from cnn_jax.tasks import resolved

A = [0.91, 0.93, 0.92, 0.95]
B = [0.92, 0.95, 0.93, 0.955]


def test_spreads_and_differences_are_those_of_scipy():
    found = significance.spread(A)
    low, high = scipy.stats.t.interval(0.95, 3, np.mean(A), scipy.stats.sem(A))
    assert found == pytest.approx((4, np.mean(A), np.std(A, ddof=1), low, high))
    assert significance.paired(A, B).p == pytest.approx(scipy.stats.ttest_rel(B, A).pvalue)
    wanted = scipy.stats.ttest_ind(B[:3], A, equal_var=False)
    welch = significance.unpaired(A, B[:3])
    assert welch.p == pytest.approx(wanted.pvalue)
    interval = wanted.confidence_interval()
    assert welch.spread[3:] == pytest.approx((interval.low, interval.high))
    assert math.isnan(significance.spread(A[:1]).deviation)
    assert math.isnan(significance.paired(A[:1], B[:1]).p)
    assert math.isnan(significance.unpaired(A, B[:1]).p)
    assert significance.paired(A, A).p == 1


def test_mcnemar_is_exact():
    first = np.array([1] * 90 + [1] * 8 + [0] * 2, bool)
    second = np.array([1] * 90 + [0] * 8 + [1] * 2, bool)
    # Ten differ, two or fewer on one side: 2 (1 + 10 + 45) / 2^10.
    assert significance.mcnemar(first, second) == pytest.approx((8, 2, 112 / 1024))
    assert significance.mcnemar(first, first) == (0, 0, 1.0)


def test_several_tests_are_adjusted_by_holm():
    assert significance.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert significance.holm([0.6, 0.7]) == [1.0, 1.0]
    # Six data sets, all better: 2 / 2^6.
    assert significance.wilcoxon([0] * 6, [1, 2, 3, 4, 5, 6]) == pytest.approx(2 / 64)
    assert significance.wilcoxon([1, 1], [1, 1]) == 1


@pytest.fixture
def run(tiny, changed, tmp_path):
    """`run(accuracy, fields)`: a finished run, as it would lie in a folder."""
    count = iter(range(100))

    def make(accuracy, fields=None, right=None, data="d", **summary):
        recipe = changed(tiny, fields or {})
        path = tmp_path / "runs" / f"{next(count)}"
        (path / "predictions").mkdir(parents=True)
        json_values.write_json(path / "recipe.json", json_values.to_json(resolved(recipe)))
        test = {"accuracy": accuracy, "nll": 1 - accuracy, "examples": 20}
        line = {"metric": "accuracy", "test": test, "best": {**test, "step": 7}, "tested": 7}
        json_values.write_json(path / "summary.json", {**line, **summary})
        (path / "metrics.jsonl").write_text(
            "".join(
                json.dumps({"kind": "validation", "step": step, "accuracy": accuracy * step}) + "\n"
                for step in (1, 3)
            )
        )
        if right is not None:
            truth = np.zeros(20, np.int32)
            logits = np.stack([np.where(right, 1.0, -1.0), np.zeros(20)], axis=-1)
            about = {
                "predicted": "class", "class_names": ["a", "b"], "options": {}, "step": 7,
                "dataset": "digits", "split": "test", "task": "classification", "name": "tiny",
                "data_hash": data,
            }  # fmt: skip
            Predictions(
                np.array([f"{i:02d}" for i in range(20)]), {"truth": truth, "logits": logits}, about
            ).write(path / "predictions" / "digits-test-step7.parquet")
        return path

    return make


def groups_of(paths, field=None):
    return in_groups([ComparedRun.of(path) for path in paths], field)


RATE = "optimizer.learning_rate"


def test_runs_of_one_recipe_are_a_group_and_paired_by_seed(run):
    paths = [run(a, {"seed": s, "name": f"run{s}"}) for s, a in enumerate(A)]
    paths += [run(b, {"seed": 3 - s, RATE: 0.2}) for s, b in enumerate(B[::-1])]
    groups = groups_of(paths)
    assert [(each.label, len(each.runs)) for each in groups] == [
        ("learning_rate=0.05", 4),
        ("learning_rate=0.2", 4),
    ]
    found = compare(groups, "test")
    assert [metric.name for metric in found.metrics] == ["accuracy", "nll"]
    assert found.rows[0].spreads["accuracy"] == significance.spread(A)
    assert found.pairs[0].difference == significance.paired(A, B)
    said = " ".join(sentences(found))
    assert "+1.12%" in said and "paired, n=4" in said and "learning_rate=0.2 is better" in said


def test_with_one_seed_a_side_nothing_is_concluded_but_of_the_two_nets(run):
    right = np.arange(20) < 16
    other = np.roll(right, 3)
    found = compare(groups_of([run(0.8, right=right), run(0.8, {RATE: 0.2}, right=other)]), "test")
    said = " ".join(sentences(found))
    assert "With one run a side nothing can be concluded about the recipes" in said
    assert "seed 0: 3 examples are told right by learning_rate=0.05 alone, 3 by" in said
    assert "McNemar's exact p = 1, of these two nets" in said


def test_data_that_changed_between_runs_are_told(run):
    right = np.arange(20) < 16
    paths = [run(0.8, {"seed": s}, right, data=data) for s, data in enumerate("aab")]
    found = compare(groups_of(paths), "test")
    [said] = sentences(found)
    assert said.startswith(f"the test part is not the same in {paths[0]} and {paths[2]}: ")
    assert sentences(compare(groups_of(paths[:2]), "test")) == []
    # With other fields of `data` they need not be the same.
    other = run(0.8, {"data.image_size": 9}, right, data="c")
    said = sentences(compare(groups_of([*paths[:2], other], "seed"), "test"))
    assert "the test part is not the same" not in " ".join(said)
    # A run without predictions is not known to be of other data.
    assert sentences(compare(groups_of([*paths[:2], run(0.7, {"seed": 9})]), "test")) == []


def test_seeds_that_only_one_side_has_are_told(run):
    paths = [run(a, {"seed": s}) for s, a in enumerate(A)]
    more = [run(b, {"seed": s + 2, RATE: 0.2}) for s, b in enumerate(B)]
    said = " ".join(sentences(compare(groups_of(paths + more), "test")))
    assert "over the 2 runs that both have; of one side alone are seed 0, seed 1, seed 4" in said
    others = [run(b, {"seed": s + 9, RATE: 0.3}) for s, b in enumerate(B)]
    found = compare(groups_of(paths + others), "test")
    assert found.pairs[0].difference == significance.unpaired(A, B)
    assert "unpaired, Welch's" in " ".join(sentences(found))


def test_groups_by_a_field_pair_what_differs_besides(run):
    paths = [
        run(0.9 + gain + size / 1000, {RATE: rate, "batch_size": size})
        for rate, gain in ((0.05, 0), (0.2, 0.01))
        for size in (16, 32, 64)
    ]
    found = compare(groups_of(paths, RATE), "test")
    difference = found.pairs[0].difference
    assert (difference.paired, difference.spread.n) == (True, 3)
    assert difference.spread.mean == pytest.approx(0.01)
    assert difference.spread.deviation == pytest.approx(0, abs=1e-9)


def test_over_several_data_sets_ranks_are_tested_with_holm(run):
    paths = [
        run(0.5 + place / 100 + gain, {RATE: rate, "data.name": f"set{place}"})
        for rate, gain in ((0.05, 0), (0.2, 0.01), (0.3, -0.02))
        for place in range(6)
    ]
    found = compare(groups_of(paths, RATE), "test")
    assert len(found.rows) == 18 and len(found.pairs) == 12
    assert [(each.datasets, each.better, each.worse) for each in found.rankings] == [
        (6, 6, 0),
        (6, 0, 6),
        (6, 0, 6),
    ]
    assert [each.p for each in found.rankings] == pytest.approx([3 * 2 / 64] * 3)
    few = compare(groups_of([p for p in paths if p.name not in ("5", "11", "17")], RATE), "test")
    assert "p is at least 0.062, whatever the differences are" in " ".join(sentences(few))


def test_the_same_run_does_not_count_twice(run):
    with pytest.raises(UserError, match="are one recipe with one seed, which would count twice"):
        compare(groups_of([run(0.8), run(0.8)]), "test")
    with pytest.raises(UserError, match="count by different metrics, accuracy and mae"):
        compare(groups_of([run(0.8), run(0.8, {"seed": 1}, metric="mae")]), "test")


def test_metrics_come_from_predictions_where_a_summary_lacks_them(run):
    right = np.arange(20) < 16
    found = compare(groups_of([run(0.8, right=right)]), "test", ["macro_f1", "nll"])
    assert found.rows[0].spreads["nll"].mean == pytest.approx(0.2)  # as the summary has it
    assert found.rows[0].spreads["macro_f1"].mean == pytest.approx(0.5 * 32 / 36)
    with pytest.raises(UserError, match=r"metric of .*did you mean 'nll'"):
        compare(groups_of([run(0.8, right=right)]), "test", ["nlll"])


def test_curves_are_averaged_as_far_as_all_reach():
    one = np.array([1, 3, 5]), np.array([1.0, 3.0, 5.0])
    two = np.array([2, 3]), np.array([4.0, 5.0])
    steps, mean, deviation = mean_curve([one, two])
    assert steps.tolist() == [2, 3] and mean.tolist() == [3, 4]
    assert deviation == pytest.approx([math.sqrt(2)] * 2)


def test_tables_are_written_for_documents():
    heads, rows = ["group", "n"], [["a_b|c", "5 %"], ["d,e", "± 2"]]
    assert tables.markdown(heads, rows, [False, True]).splitlines() == [
        "| group | n |",
        "| --- | ---: |",
        r"| a_b\|c | 5 % |",
        "| d,e | ± 2 |",
    ]
    assert tables.comma_separated(heads, rows) == 'group,n\na_b|c,5 %\n"d,e",± 2'
    written = tables.latex(heads, rows, [False, True])
    assert written.startswith("\\begin{tabular}{lr}\n\\toprule\ngroup & n \\\\\n\\midrule")
    assert r"a\_b|c & 5 \% \\" in written and r"d,e & $\pm$ 2 \\" in written


def test_the_command_prints_what_was_found(run, tmp_path, capsys):
    for seed in range(3):
        run(A[seed], {"seed": seed})
        run(B[seed], {"seed": seed, "model.name": "lenet5"})
    (run(0.1, {"seed": 7}) / "summary.json").unlink()
    top = str(tmp_path / "runs")
    main(["compare", top, "--plot", str(tmp_path / "curves.png")])
    told = capsys.readouterr().out
    assert "model.name=simple_cnn" in told and "92.00% ± 1.00%" in told
    assert "left out, not finished" in told and "predictions are not compared" in told
    assert "model.name: simple_cnn, lenet5\n" in told
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
    main(["compare", top, "--group", "model", "--format", "csv", "--metric", "accuracy"])
    rows = capsys.readouterr().out.splitlines()
    assert rows[0] == "group,data,part,metric,n,mean,deviation,low,high"
    assert rows[1].startswith("model.name=simple_cnn,digits,test,accuracy,3,0.92")
    main(["compare", top, "--split", "validation", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["pairs"][0]["difference"]["n"] == 3 and found["part"] == "validation"
    assert "left out, not finished" in found["said"][0]
    main(["compare", top, "--format", "csv"])
    said = capsys.readouterr()
    assert "left out" in said.err and "left out" not in said.out


def test_a_metric_that_is_no_number_is_said_to_be_none(run):
    paths = [run(a, {"seed": s}) for s, a in enumerate(A)]
    paths += [run(math.nan if s == 1 else b, {"seed": s, RATE: 0.2}) for s, b in enumerate(B)]
    said = " ".join(sentences(compare(groups_of(paths), "test")))
    assert "accuracy is no finite number in some runs of learning_rate=0.05 or learning" in said
    assert "Train at least three" not in said


def test_groups_without_a_data_set_in_common_are_told(run):
    groups = groups_of([run(0.9), run(0.8, {"data.name": "mnist"})])
    found = compare(groups, "test", ["accuracy", "accuracy"])
    assert [metric.name for metric in found.metrics] == ["accuracy"]
    assert "they have no data set in common" in " ".join(sentences(found))


def test_a_summary_that_says_nothing_is_refused(run):
    path = run(0.9)
    for damaged in ({}, []):
        json_values.write_json(path / "summary.json", damaged)
        with pytest.raises(UserError, match=r"summary.json is damaged"):
            ComparedRun.of(path)


def test_a_picture_is_not_written_over_another_file(run, tmp_path, capsys):
    recipe = run(0.9) / "recipe.json"
    before = recipe.read_text()
    with pytest.raises(SystemExit):
        main(["compare", str(recipe.parent), "--plot", str(recipe)])
    assert "give it a name that ends in .png" in capsys.readouterr().err
    assert recipe.read_text() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("compare", "no run is given: cnn-jax compare RUN..."),
        ("compare nothere", "nothere is no run folder, and there is none below it"),
        ("compare runs --group learningrate", "did you mean"),
    ],
)
def test_what_cannot_be_compared_is_said(run, tmp_path, monkeypatch, capsys, words, message):
    run(0.9)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(words.split())
    assert stopped.value.code == 2 and message in capsys.readouterr().err


def test_a_name_that_is_near_to_none_is_followed_by_those_that_are_valid():
    assert str(unknown("metric", "zzz", ["nll"])) == "unknown metric 'zzz'. Valid: nll."
