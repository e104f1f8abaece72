"""Batch statistics over groups, and layers that know of a mapped axis."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from cnn_jax import UserError
from cnn_jax.layers.basic import BatchNorm, Dropout
from cnn_jax.layers.batch_axis import BatchAxis, batch_axis

X = jnp.asarray(np.random.default_rng(0).normal(2, 3, (8, 2, 3, 5)), jnp.float32)


def normalised(x, axis, momentum=0.9):
    layer = BatchNorm(momentum=momentum)
    variables = layer.init(jax.random.key(0), x, use_running_average=True)
    with batch_axis(axis):
        return layer.apply(variables, x, use_running_average=False, mutable="batch_stats")


def test_the_whole_batch_gives_what_flax_gives():
    ours, moved = normalised(X, BatchAxis())
    layer = nn.BatchNorm(momentum=0.9)
    variables = layer.init(jax.random.key(0), X, use_running_average=True)
    theirs, expected = layer.apply(variables, X, use_running_average=False, mutable="batch_stats")
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    for name in ("mean", "var"):
        np.testing.assert_allclose(
            moved["batch_stats"][name], expected["batch_stats"][name], rtol=1e-6
        )


def test_groups_are_normalised_on_their_own():
    found, moved = normalised(X, BatchAxis(group=2))
    for start in range(0, 8, 2):
        alone, _ = normalised(X[start : start + 2], BatchAxis())
        np.testing.assert_allclose(found[start : start + 2], alone, atol=1e-5)
    pairs = np.asarray(X, np.float64).reshape(4, -1, 5)
    np.testing.assert_allclose(moved["batch_stats"]["mean"], 0.1 * pairs.mean(1).mean(0), rtol=1e-5)
    np.testing.assert_allclose(
        moved["batch_stats"]["var"], 0.9 + 0.1 * pairs.var(1).mean(0), rtol=1e-5
    )


def test_a_group_as_large_as_the_batch_is_the_batch():
    np.testing.assert_array_equal(
        normalised(X, BatchAxis(group=8))[0], normalised(X, BatchAxis())[0]
    )


def test_a_layer_of_flax_is_refused_where_it_would_compute_otherwise():
    with batch_axis(BatchAxis(group=4)), pytest.raises(UserError, match="flax's own BatchNorm"):
        nn.BatchNorm().init(jax.random.key(0), X, use_running_average=False)


def test_dropout_scales_what_stays():
    x = jnp.ones((64, 100))
    y = Dropout(0.25).apply({}, x, train=True, rngs={"dropout": jax.random.key(1)})
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.75)}
    assert float(jnp.mean(y == 0)) == pytest.approx(0.25, abs=0.02)
    np.testing.assert_array_equal(Dropout(0.25).apply({}, x), x)
