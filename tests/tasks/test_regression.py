"""Regression against scikit-learn and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_task
from sklearn import metrics as reference

from cnn_jax import Loss, Task, UserError
from cnn_jax.batch import Batch
from cnn_jax.data.fields import Field
from cnn_jax.data.statistics import target_facts
from cnn_jax.tasks.losses import huber

RANDOM = np.random.default_rng(2)
AGES = RANDOM.uniform(1, 90, (50, 1)).astype(np.float32)


def facts(targets, names=None):
    names = names or [f"number {place}" for place in range(targets.shape[1])]
    return tiny_task.spec(
        names, Field("number", targets.shape[1:], "float32"), **target_facts(targets)
    )


def regression(targets=AGES, options=None, **fields):
    return tiny_task.task(facts(targets), task=Task("regression", options or {}), **fields)


def batch_of(task, targets):
    return Batch(targets, task.encoded(jnp.asarray(targets)), jnp.ones(len(targets)))


def evaluated(task, outputs, targets):
    batch, outputs = batch_of(task, targets), jnp.asarray(outputs)
    sums = {name: np.float64(value) for name, value in task.sums(outputs, batch).items()}
    records = jax.device_get(task.records(outputs, batch))
    return task.finish({**sums, "examples": np.float64(len(targets))}, records, None)


def test_telling_the_mean_has_the_deviation_as_error():
    found = evaluated(regression(), np.zeros((50, 1), np.float32), AGES)
    assert found["rmse"] == pytest.approx(AGES.std(), rel=1e-5)
    assert found["r2"] == pytest.approx(0.0, abs=1e-6)
    assert found["mae"] == pytest.approx(np.abs(AGES - AGES.mean()).mean(), rel=1e-5)
    assert found["loss"] == pytest.approx(0.5, rel=1e-5)  # half a deviation squared


def test_metrics_are_those_of_scikit_learn():
    two = RANDOM.normal([3, 100], [1, 30], (40, 2)).astype(np.float32)
    task = regression(two)
    outputs = RANDOM.normal(size=(40, 2)).astype(np.float32)
    told = np.asarray(task.answers(jnp.asarray(outputs)), np.float64)
    found = evaluated(task, outputs, two)
    assert found["mae"] == pytest.approx(reference.mean_absolute_error(two, told), rel=1e-6)
    each = reference.root_mean_squared_error(two, told, multioutput="raw_values")
    assert found["rmse"] == pytest.approx(each.mean(), rel=1e-6)
    assert found["rmse/number 1"] == pytest.approx(each[1], rel=1e-6)
    assert found["r2"] == pytest.approx(reference.r2_score(two, told), rel=1e-5)
    assert found["within"] == pytest.approx(np.mean(np.abs(two - told) <= 5))


def test_numbers_go_there_and_back():
    task = regression()
    learnt = task.encoded(jnp.asarray(AGES))["learnt"]
    assert float(jnp.abs(learnt.mean())) < 1e-5 and float(learnt.std()) == pytest.approx(
        1, rel=1e-5
    )
    np.testing.assert_allclose(task.answers(learnt), AGES, rtol=1e-5)


def test_the_gradient_of_half_the_squared_error_is_the_residual():
    task = regression()
    batch, outputs = batch_of(task, AGES), jnp.zeros((50, 1))
    gradient = jax.grad(lambda x: jnp.mean(task.loss(lambda _: x, batch, jax.random.key(0))[0]))(
        outputs
    )
    np.testing.assert_allclose(gradient, -batch.targets["learnt"] / 50, rtol=1e-5)


def test_huber_is_quadratic_near_and_linear_far():
    assert huber(jnp.array([[0.4]]), jnp.zeros((1, 1)), 0.5).tolist() == pytest.approx([0.08])
    assert huber(jnp.array([[3.0]]), jnp.zeros((1, 1)), 0.5).tolist() == pytest.approx([1.375])


def test_angles_go_around():
    angles = np.array([[350.0], [10.0], [179.0]], np.float32)
    task = regression(angles, {"angle": True})
    assert task.outputs == 2
    told = jnp.deg2rad(jnp.array([[10.0], [350.0], [181.0]]))
    outputs = jnp.concatenate([jnp.cos(told), jnp.sin(told)], axis=1)
    np.testing.assert_allclose(task.answers(outputs), [[10], [350], [181]], atol=1e-3)
    found = evaluated(task, outputs, angles)
    assert found["mae"] == pytest.approx((20 + 20 + 2) / 3, abs=1e-3)
    assert "r2" not in found


def test_bins_tell_their_mean():
    task = regression(options={"bins": 11}, loss=Loss("bins"))
    batch = batch_of(task, AGES)
    shares = batch.targets["learnt"]
    assert shares.shape == (50, 1, 11)
    np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-5)
    # Logits that are the logarithms of the shares tell the number itself.
    outputs = jnp.log(shares.reshape(50, -1) + 1e-12)
    np.testing.assert_allclose(task.answers(outputs), AGES, atol=1e-3)


def test_what_does_not_fit_is_refused():
    with pytest.raises(UserError, match=r"all training examples of made up have the same number 0"):
        regression(np.ones((4, 1), np.float32))
    with pytest.raises(UserError, match=r"does not go around"):
        regression(options={"angle": True}, loss=Loss("bins"))
    with pytest.raises(UserError, match=r"--loss.options delta=-1 must be above 0"):
        regression(loss=Loss("huber", options={"delta": -1}))
    with pytest.raises(UserError, match=r"label-smoothing 0.1 is for classes"):
        regression(loss=Loss(label_smoothing=0.1))
    with pytest.raises(UserError, match=r"bins=1 must be a whole number of at least 2"):
        regression(options={"bins": 1})
