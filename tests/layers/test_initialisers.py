import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn_jax.errors import UserError
from cnn_jax.layers import initialisers
from cnn_jax.layers.basic import Conv

SHAPE = (3, 3, 40, 50)  # fan-in 360, fan-out 450


def draw(name, shape=SHAPE):
    return np.asarray(initialisers.kernel(name)(jax.random.key(0), shape, jnp.float32))


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("he_normal", 2 / 360),
        ("he_normal_fan_out", 2 / 450),
        ("he_uniform", 2 / 360),
        ("lecun_normal", 1 / 360),
        ("lecun_uniform", 1 / 360),
        ("glorot_normal", 2 / 810),
        ("glorot_uniform", 2 / 810),
        ("pytorch", 1 / 360 / 3),
        ("lecun98", (2.4 / 360) ** 2 / 3),
        ("normal", 0.01**2),
        ("zeros", 0.0),
    ],
)
def test_mean_and_variance(name, variance):
    values = draw(name)
    assert values.shape == SHAPE and values.dtype == np.float32
    assert values.var() == pytest.approx(variance, rel=0.05)
    assert abs(values.mean()) <= 0.02 * math.sqrt(variance)


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("pytorch", 1 / math.sqrt(360)),
        ("lecun98", 2.4 / 360),
        ("he_uniform", math.sqrt(6 / 360)),
        ("truncated_normal", 0.04),
    ],
)
def test_values_fill_their_range(name, limit):
    values = draw(name)
    assert 0.98 * limit < values.max() <= limit * (1 + 1e-6)
    assert -limit * (1 + 1e-6) <= values.min() < -0.98 * limit


def test_orthogonal_columns():
    matrix = draw("orthogonal").reshape(-1, 50)
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(50), atol=1e-5)


def test_convolutions_start_as_the_identity():
    kernel = jnp.asarray(draw("dirac", (3, 3, 4, 6)))
    x = jax.random.normal(jax.random.key(1), (1, 5, 5, 4))
    y = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_array_equal(y[..., :4], x)
    rest = kernel[..., 4:]
    assert 0.9 / 6 < jnp.abs(rest).max() <= 1 / 6  # 1/sqrt(9 * 4)
    assert jnp.unique(rest).size == rest.size
    # Fewer outputs than inputs: the first inputs.
    np.testing.assert_array_equal(draw("dirac", (3, 3, 4, 2))[1, 1], jnp.eye(4, 2))
    # A full connection has no place in an image.
    np.testing.assert_array_equal(draw("dirac", (4, 6)), draw("pytorch", (4, 6)))


def test_biases_take_the_fan_in_of_their_unit():
    init = initialisers.bias("pytorch", fan_in=16)
    values = init(jax.random.key(0), (4000,), jnp.float32)
    assert 0.245 < float(values.max()) <= 0.25
    layer = Conv(4000, kernel_size=2, groups=3, kernel_init="zeros", bias_init="lecun98")
    # Each unit sees 2x2 pixels of one of the three groups of four channels.
    layer = layer.clone(features=3000)
    bias = layer.init(jax.random.key(0), jnp.zeros((1, 2, 2, 12)))["params"]["bias"]
    assert 0.98 * 2.4 / 16 < float(bias.max()) <= 2.4 / 16


def test_functions_are_taken_as_they_are():
    assert initialisers.kernel(jax.nn.initializers.ones) is jax.nn.initializers.ones
    assert initialisers.bias(jax.nn.initializers.ones, 3) is jax.nn.initializers.ones


def test_unknown_names():
    with pytest.raises(UserError, match="did you mean 'orthogonal'"):
        initialisers.kernel("ortogonal")
    with pytest.raises(UserError, match="unknown bias_init 'orthogonal'"):
        initialisers.bias("orthogonal", 3)
