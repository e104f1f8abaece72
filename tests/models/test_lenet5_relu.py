import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn_jax import models
from cnn_jax.errors import UserError


def counts(x, **options):
    module = models.create("lenet5_relu", 10, **options)
    params = jax.eval_shape(module.init, jax.random.key(0), x)["params"]
    return {name: models.parameter_count(part) for name, part in params.items()}


def test_parameters():
    layers = counts(jnp.zeros((1, 32, 32, 1)))
    assert layers == {"conv1": 156, "conv2": 2416, "dense1": 48120, "dense2": 10164, "head": 850}
    assert sum(layers.values()) == 61706


@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 8, 1), (32, 32, 1)])
def test_small_images_are_centred_in_32x32(init, shape):
    x = jax.random.normal(jax.random.key(0), (2, *shape))
    assert sum(counts(x).values()) == 61706
    module = models.create("lenet5_relu", 10)
    variables = init(module, x)
    margin = (32 - shape[0]) // 2
    padded = jnp.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    np.testing.assert_array_equal(module.apply(variables, x), module.apply(variables, padded))


def test_padding_can_be_chosen():
    # 28 - 4 = 24, 12, 8, 4: 4*4*16 inputs.
    assert counts(jnp.zeros((1, 28, 28, 1)), padding=0)["dense1"] == 256 * 120 + 120


def test_large_colour_images():
    layers = counts(jnp.zeros((1, 48, 64, 3)))
    assert layers["conv1"] == 5 * 5 * 3 * 6 + 6
    # 48 -> 44, 22, 18, 9; 64 -> 60, 30, 26, 13
    assert layers["dense1"] == 9 * 13 * 16 * 120 + 120


def test_widths_and_hidden():
    layers = counts(jnp.zeros((1, 32, 32, 1)), widths=(4, 8), hidden=(20,))
    assert layers == {
        "conv1": 104,
        "conv2": 5 * 5 * 4 * 8 + 8,
        "dense1": 5 * 5 * 8 * 20 + 20,
        "head": 210,
    }


def test_images_that_are_too_small_are_refused():
    with pytest.raises(UserError, match=r"12x40 pixels are too small .* at least 16x16"):
        counts(jnp.zeros((1, 12, 40, 1)), padding=0)


def test_dropout_acts_in_training_only(init):
    x = jax.random.normal(jax.random.key(0), (4, 32, 32, 1))
    module = models.create("lenet5_relu", 10, dropout=0.5)
    variables = init(module, x)
    still = module.apply(variables, x)
    first, again, other = (
        module.apply(variables, x, train=True, rngs={"dropout": jax.random.key(seed)})
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert jnp.any(first != other)
    np.testing.assert_array_equal(models.create("lenet5_relu", 10).apply(variables, x), still)
