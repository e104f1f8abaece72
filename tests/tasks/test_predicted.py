"""Metrics from stored predictions, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn import metrics as reference

from cnn_jax import UserError
from cnn_jax.tasks import metric_named
from cnn_jax.tasks.predicted import KINDS, Binaries, Classes, Numbers, Tags, calibration

N, K = 400, 7
NAMES = tuple("abcdefg")


@pytest.fixture(scope="module")
def classes():
    """Of the last class there is no example, the one before is never told; there are ties."""
    random = np.random.default_rng(0)
    truth = random.integers(0, K - 1, N).astype(np.int32)
    logits = random.normal(0, 2, (N, K)).astype(np.float32)
    logits[np.arange(N), truth] += 2
    logits[:, K - 2] = -9
    logits[:20] = np.round(logits[:20])
    return Classes({"truth": truth, "logits": logits}, NAMES, {})


@pytest.fixture(scope="module")
def binaries():
    random = np.random.default_rng(1)
    truth = random.random(N) < 0.3
    score = (random.normal(0, 2, N) + 2 * truth - 1).round(1).astype(np.float32)
    return Binaries({"truth": truth, "score": score}, ("no", "yes"), {})


@pytest.fixture(scope="module")
def tags():
    random = np.random.default_rng(2)
    scores = random.normal(0, 2, (N, 3)).round(1).astype(np.float32)
    truth = random.random((N, 3)) < calibration.sigmoid(scores / 2)
    return Tags(
        {"scores": scores, "truth": truth, "known": random.random((N, 3)) < 0.8}, tuple("xyz"), {}
    )


@pytest.fixture(scope="module")
def numbers():
    random = np.random.default_rng(3)
    truth = random.normal(5, 3, (N, 2)).astype(np.float32)
    told = (truth + random.normal(0, [1, 2], (N, 2))).astype(np.float32)
    return Numbers({"told": told, "truth": truth}, ("age", "mass"), {})


def test_metrics_of_classes_are_those_of_scikit_learn(classes):
    found, truth = classes.metrics(), classes.truth
    p = np.exp(classes.log_probabilities())
    told = p.argmax(axis=1)
    each = {"average": "macro", "zero_division": 0}
    there = range(K - 1)
    wanted = {
        "accuracy": reference.accuracy_score(truth, told),
        "top5": reference.top_k_accuracy_score(truth, p, k=5, labels=range(K)),
        "nll": reference.log_loss(truth, p, labels=range(K)),
        "brier": reference.brier_score_loss(truth, p, labels=range(K), scale_by_half=False),
        "balanced_accuracy": reference.recall_score(truth, told, labels=there, **each),
        "macro_precision": reference.precision_score(truth, told, **each),
        "macro_recall": reference.recall_score(truth, told, **each),
        "macro_f1": reference.f1_score(truth, told, **each),
        "auroc": np.mean([reference.roc_auc_score(truth == c, p[:, c]) for c in there]),
        "average_precision": np.mean(
            [reference.average_precision_score(truth == c, p[:, c]) for c in there]
        ),
    }
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name
    rows = classes.by_name()
    parts = reference.precision_recall_fscore_support(truth, told, labels=range(K), zero_division=0)
    for name, values in zip(("precision", "recall", "f1", "support"), parts, strict=True):
        np.testing.assert_allclose([row[name] for row in rows], values, err_msg=name)
    matrix = reference.confusion_matrix(truth, told, labels=range(K))
    np.testing.assert_array_equal(classes.confusion(), matrix)
    np.testing.assert_array_equal(classes.right(), told == truth)


def test_metrics_of_two_classes_are_those_of_scikit_learn(binaries):
    found, truth = binaries.metrics(), binaries.columns["truth"]
    score = binaries.columns["score"]
    p = calibration.sigmoid(score.astype(np.float64))
    assert "top5" not in found
    for name, value in {
        "accuracy": reference.accuracy_score(truth, score > 0),
        "nll": reference.log_loss(truth, p),
        "brier": 2 * reference.brier_score_loss(truth, p),
        "f1": reference.f1_score(truth, score > 0),
        "precision": reference.precision_score(truth, score > 0),
        "recall": reference.recall_score(truth, score > 0),
        "auroc": reference.roc_auc_score(truth, score),
        "average_precision": reference.average_precision_score(truth, score),
    }.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name


def test_metrics_of_tags_are_over_what_is_known(tags):
    found = tags.metrics()
    known, truth, score = (tags.columns[name] for name in ("known", "truth", "scores"))
    p = calibration.sigmoid(score.astype(np.float64))
    precisions = [
        reference.average_precision_score(truth[known[:, t], t], score[known[:, t], t])
        for t in range(3)
    ]
    f1 = [reference.f1_score(truth[known[:, t], t], score[known[:, t], t] > 0) for t in range(3)]
    for name, value in {
        "map": np.mean(precisions),
        "f1_macro": np.mean(f1),
        "nll": reference.log_loss(truth[known], p[known]),
        "brier": reference.brier_score_loss(truth[known], p[known]),
        "hamming": np.mean(truth[known] != (score[known] > 0)),
    }.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name
    assert [row["f1"] for row in tags.by_name()] == pytest.approx(f1)


def test_metrics_of_numbers_are_those_of_scikit_learn(numbers):
    found, truth, told = numbers.metrics(), numbers.columns["truth"], numbers.columns["told"]
    for name, value in {
        "mae": reference.mean_absolute_error(truth, told),
        "rmse": reference.root_mean_squared_error(truth, told),
        "median_error": reference.median_absolute_error(truth, told),
        "r2": reference.r2_score(truth, told),
        "bias": np.mean(told - truth),
    }.items():
        assert found[name] == pytest.approx(value, rel=1e-5), name
    assert [row["number"] for row in numbers.by_name()] == ["age", "mass"]
    turned = Numbers(
        {"told": np.array([[359.0], [90.0]]), "truth": np.array([[1.0], [80.0]])}, "a", {"angle": 1}
    ).metrics()
    assert turned["mae"] == 6 and turned["bias"] == 4 and "r2" not in turned


def error(confidence, right, bins=calibration.equal_width):
    confidence, right = np.array(confidence, float), np.array(right, bool)
    return calibration.calibration_error(confidence, right, bins(confidence))


def test_calibration_error_by_hand():
    # Two in (9/15, 10/15], one of which is right; one in (14/15, 1].
    assert error([0.65, 0.62, 0.95], [1, 0, 1]) == pytest.approx((0.27 + 0.05) / 3)
    # On the edge of two bins: 3/15 is in the third with 0.19, 3/15 + tiny in the fourth.
    assert error([3 / 15, 0.19], [1, 0]) == pytest.approx(abs(3 / 15 + 0.19 - 1) / 2)
    assert error([np.nextafter(0.2, 1), 0.19], [1, 0]) == pytest.approx((0.8 + 0.19) / 2)


def test_confidences_of_exactly_zero_and_one_count():
    assert error([1.0, 1.0], [1, 0]) == 0.5
    assert error([0.0, 0.0], [0, 1]) == 0.5
    assert error([1.0], [1]) == error([0.0], [0]) == 0
    every = np.concatenate([[0.0], np.arange(1, 16) / 15])
    assert calibration.equal_width(every).tolist() == [0, *range(15)]


def test_adaptive_bins_are_equally_full_and_keep_equals_together():
    rising = np.linspace(0.1, 0.9, 45)
    placed = calibration.equal_count(rising)
    assert np.bincount(placed).tolist() == [3] * 15
    order = np.random.default_rng(0).permutation(45)
    np.testing.assert_array_equal(calibration.equal_count(rising[order]), placed[order])
    # All certain, half of them wrong: their order decides nothing.
    right = np.arange(40) < 20
    assert error(np.ones(40), right, calibration.equal_count) == 0.5


def test_the_parts_of_the_brier_score_sum_to_it(classes, tags, binaries):
    for each in (classes, tags, binaries):
        found = each.metrics()
        reliability, resolution, uncertainty = (
            found[f"brier_{part}"] for part in ("reliability", "resolution", "uncertainty")
        )
        assert reliability - resolution + uncertainty == pytest.approx(found["brier"], abs=1e-12)
        assert min(reliability, resolution, uncertainty) > 0
    # By hand: told 0.5 of all, a half comes: nothing but uncertainty.
    parts = calibration.brier_parts(np.full(4, 0.5), np.array([1, 0, 1, 0], bool))
    assert list(parts.values()) == pytest.approx([0.25, 0, 0, 0.25])


def test_area_under_risk_and_coverage_by_hand():
    # Risks of the first one, two, three: 0, 1/2, 1/3.
    assert calibration.aurc(np.array([0.9, 0.8, 0.7]), np.array([True, False, True])) == (
        pytest.approx((0 + 1 / 2 + 1 / 3) / 3)
    )
    # Of one confidence the order is nobody's: the risk is one half at every coverage.
    for right in ([True, False], [False, True]):
        assert calibration.aurc(np.ones(2), np.array(right)) == pytest.approx(0.5)


def test_a_temperature_is_found_where_the_likelihood_is_largest(classes, binaries, tags):
    for each, columns in ((classes, "logits"), (binaries, "score"), (tags, "scores")):
        best = each.temperature()
        at = {
            t: type(each)(each.at_temperature(t), each.names, {}).metrics()["nll"]
            for t in (best * 0.99, best, best * 1.01)
        }
        assert min(at, key=at.get) == best
        # What was three times as certain is found out.
        sharp = type(each)({**each.columns, columns: each.columns[columns] * 3}, each.names, {})
        assert sharp.temperature() == pytest.approx(3 * best, rel=1e-4)
        # Not one example is told otherwise, not even where logits are equal.
        for temperature in (0.013, best, 77.7):
            scaled = type(each)(each.at_temperature(temperature), each.names, {})
            np.testing.assert_array_equal(scaled.right(), each.right())


def test_there_need_be_no_temperature(classes, numbers):
    sure = {"truth": classes.columns["truth"], "logits": np.eye(K)[classes.truth]}
    with pytest.raises(UserError, match="examples are told right"):
        Classes(sure, NAMES, {}).temperature()
    with pytest.raises(UserError, match="tells no better than chance"):
        Classes({**sure, "logits": -np.eye(K)[classes.truth]}, NAMES, {}).temperature()
    with pytest.raises(UserError, match="here numbers are told"):
        numbers.temperature()


def test_an_ensemble_has_the_mean_of_the_probabilities(classes, binaries, tags, numbers):
    random = np.random.default_rng(5)
    others = Classes(
        {**classes.columns, "logits": random.normal(0, 3, (N, K)).astype(np.float32)}, NAMES, {}
    )
    mean = Classes(classes.averaged([others]), NAMES, {})
    wanted = (np.exp(classes.log_probabilities()) + np.exp(others.log_probabilities())) / 2
    np.testing.assert_allclose(np.exp(mean.log_probabilities()), wanted, atol=1e-12)
    for each, name in ((binaries, "score"), (tags, "scores")):
        other = type(each)({**each.columns, name: -each.columns[name]}, each.names, {})
        mean = type(each)(each.averaged([other]), each.names, {})
        np.testing.assert_allclose(mean.columns[name], 0, atol=1e-6)
    zeros = Numbers({**numbers.columns, "told": 0 * numbers.columns["told"]}, numbers.names, {})
    np.testing.assert_allclose(
        numbers.averaged([zeros])["told"], numbers.columns["told"] / 2, rtol=1e-6
    )
    east, north = (Numbers({"told": np.array([[a]])}, "a", {"angle": True}) for a in (350.0, 30.0))
    assert east.averaged([north])["told"].tolist() == [[pytest.approx(10)]]


def test_a_logit_that_is_no_number_makes_an_example_wrong(classes):
    logits = classes.columns["logits"].copy()
    logits[:5] = np.nan
    told = Classes({**classes.columns, "logits": logits}, NAMES, {})
    assert not told.right()[:5].any()
    # In no table is it found, not even in the row of the first class.
    assert np.trace(told.confusion()) == told.right().sum() and told.confusion().sum() == N - 5
    assert [row["support"] for row in told.by_name()] == np.bincount(
        told.truth, minlength=K
    ).tolist()
    nothing = Classes({**classes.columns, "logits": np.full_like(logits, np.nan)}, NAMES, {})
    assert nothing.metrics()["accuracy"] == nothing.metrics()["balanced_accuracy"] == 0


def test_an_ensemble_of_nets_that_are_very_sure_has_finite_logits(classes, binaries):
    for one, name in ((classes, "logits"), (binaries, "score")):
        sure = type(one)({**one.columns, name: one.columns[name] * 1000}, one.names, {})
        assert np.isfinite(sure.averaged([sure])[name]).all()
        np.testing.assert_array_equal(np.isfinite(one.averaged([sure])[name]), True)


def test_every_metric_has_a_direction_and_a_form(classes, binaries, tags, numbers):
    made = {"class": classes, "binary": binaries, "tags": tags, "numbers": numbers}
    assert made.keys() == KINDS.keys()
    for each in made.values():
        found = each.metrics()
        assert found.keys() == {metric.name for metric in each.METRICS}
        assert set(each.HEADLINE) <= found.keys()
        assert all(metric_named(name) is not None for name in found)
