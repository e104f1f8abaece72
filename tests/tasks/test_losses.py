import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn_jax.batch import Batch
from cnn_jax.tasks.classification import class_loss
from cnn_jax.tasks.losses import CLASS_LOSSES, RUBBISH_PENALTY, smooth

LOGITS = jnp.array([[2.0, 1.0, -1.0]])
TARGETS = jnp.array([[0.0, 1.0, 0.0]])


def test_cross_entropy_by_hand():
    total = math.exp(2) + math.exp(1) + math.exp(-1)
    expected = -math.log(math.exp(1) / total)
    assert CLASS_LOSSES["cross_entropy"](LOGITS, TARGETS)[0] == pytest.approx(expected, rel=1e-6)


def test_binary_cross_entropy_by_hand():
    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    expected = -math.log(1 - sigmoid(2)) - math.log(sigmoid(1)) - math.log(1 - sigmoid(-1))
    assert CLASS_LOSSES["binary_cross_entropy"](LOGITS, TARGETS)[0] == pytest.approx(
        expected, rel=1e-6
    )


def test_squared_error_by_hand():
    assert CLASS_LOSSES["squared_error"](LOGITS, TARGETS)[0] == pytest.approx((4 + 0 + 1) / 2)


def test_map_criterion_by_hand():
    penalties = [-2.0, -1.0, 1.0]
    rest = math.exp(-RUBBISH_PENALTY) + sum(math.exp(-y) for y in penalties)
    expected = penalties[1] + math.log(rest)
    assert CLASS_LOSSES["map"](LOGITS, TARGETS)[0] == pytest.approx(expected, rel=1e-6)


def test_smoothing_by_hand():
    np.testing.assert_allclose(smooth(TARGETS, 0.3), [[0.1, 0.8, 0.1]], rtol=1e-6)
    loss = class_loss(CLASS_LOSSES["cross_entropy"], 0.3)
    batch = Batch(LOGITS, TARGETS, jnp.ones(len(LOGITS)))
    (smoothed, *_), _ = loss(lambda inputs: inputs, batch, jax.random.key(0))
    log_total = math.log(math.exp(2) + math.exp(1) + math.exp(-1))
    expected = log_total - (0.1 * 2 + 0.8 * 1 + 0.1 * -1)
    assert smoothed == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_gradients_agree_with_finite_differences(name):
    """Of values, and of gradients for the second derivatives."""

    def total(logits):
        return jnp.sum(CLASS_LOSSES[name](logits, TARGETS))

    step = 1e-2
    moves = step * np.eye(3, dtype=np.float32)[:, None]
    points = np.concatenate([LOGITS + moves, LOGITS - moves, np.asarray(LOGITS)[None]])
    values, slopes = jax.device_get(jax.jit(jax.vmap(jax.value_and_grad(total)))(points))
    gradient, curvature = slopes[-1, 0], jax.jit(jax.hessian(total))(LOGITS)[0, :, 0]
    np.testing.assert_allclose(gradient, (values[:3] - values[3:6]) / (2 * step), atol=1e-2)
    found = (slopes[:3, 0] - slopes[3:6, 0]) / (2 * step)
    np.testing.assert_allclose(curvature, found, atol=1e-2)
    assert np.abs(gradient).max() > 0.1


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_large_logits_stay_finite(name):
    far = jnp.array([[300.0, -300.0, 0.0]])
    total = jax.value_and_grad(lambda x: jnp.sum(CLASS_LOSSES[name](x, TARGETS)))
    value, gradient = jax.jit(total)(far)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))
