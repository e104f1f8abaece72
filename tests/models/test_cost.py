import json

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn
from jax import lax

from cnn_jax import models
from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Conv, Dense
from cnn_jax.models import registry
from cnn_jax.models.cost import _stored, traced_count

QUICK = ("lenet5", "simple_cnn", "resnet20", "fcn1d", "text_cnn")


class Wrapped(nn.Module):
    """A function as a model."""

    function: object

    @nn.compact
    def __call__(self, x, *, train=False):
        return self.function(x)


def test_lenet5_by_hand():
    c1 = 28 * 28 * 25 * 6
    c3 = 10 * 10 * 25 * 6 * 16  # as a full convolution, zeros of the table included
    c5, f6 = 25 * 16 * 120, 120 * 84
    assert c1 == 117_600
    assert models.multiply_adds(models.create("lenet5", 10), (32, 32, 1)) == c1 + c3 + c5 + f6
    relu = models.multiply_adds(models.create("lenet5_relu", 10), (32, 32, 1))
    assert relu == 117_600 + 240_000 + 48_000 + 10_080 + 840


def test_simple_cnn_by_hand():
    module = models.create("simple_cnn", 10, norm="batch")
    expected = 28 * 28 * 9 * 32 + 14 * 14 * 9 * 32 * 64 + 3136 * 256 + 256 * 128 + 128 * 10
    assert models.multiply_adds(module, (28, 28, 1)) == expected


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Conv(6, kernel_size=3, groups=2), 8 * 8 * 9 * 2 * 6),
        (Conv(8, kernel_size=3, groups=4), 8 * 8 * 9 * 1 * 8),
        (Conv(6, kernel_size=3, strides=2), 4 * 4 * 9 * 4 * 6),
        (Conv(6, kernel_size=3, dilation=2, padding="VALID"), 4 * 4 * 9 * 4 * 6),
        (Conv(6, kernel_size=(1, 5)), 8 * 8 * 5 * 4 * 6),
        (Dense(7), 8 * 8 * 4 * 7),
        # Every pixel meets every element of the kernel once.
        (nn.ConvTranspose(6, (2, 2), strides=(2, 2)), 8 * 8 * 4 * 4 * 6),
    ],
)
def test_layers_by_hand(layer, expected):
    assert models.multiply_adds(Wrapped(layer), (8, 8, 4)) == expected


def looped(x):
    square = jnp.ones((4, 4))
    return lax.scan(lambda carry, _: (carry @ square, None), x[0, 0], length=5)[0]


@jax.custom_jvp
def custom(x):
    return x[0, 0] @ jnp.ones((4, 3))


custom.defjvp(lambda primals, tangents: (custom(*primals), custom(*tangents)))


@jax.custom_vjp
def custom_backward(x):
    return x[0, 0] @ jnp.ones((4, 3))


custom_backward.defvjp(lambda x: (custom_backward(x), x), lambda x, g: (x,))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (looped, 5 * 8 * 4 * 4),
        (custom, 8 * 4 * 3),
        (custom_backward, 8 * 4 * 3),
        (jax.jit(lambda x: x[0, 0] @ jnp.ones((4, 3))), 8 * 4 * 3),
        (jax.checkpoint(lambda x: x[0, 0] @ jnp.ones((4, 3))), 8 * 4 * 3),
        (lambda x: jnp.einsum("bhwc,bhwd->bcd", x, x), 4 * 4 * 64),
        (lambda x: lax.cond(x.sum() > 0, looped, lambda x: x[0, 0], x), 5 * 8 * 4 * 4),
        (lambda x: nn.relu(x) * 2 + nn.max_pool(x, (2, 2)).sum(), 0),
        (lambda x: lax.while_loop(lambda v: v.sum() < 9, lambda v: v + 1, x), 0),
    ],
)
def test_nested_programs(function, expected):
    assert models.multiply_adds(Wrapped(function), (8, 8, 4)) == expected


def test_loops_of_unknown_length_are_refused():
    def f(x):
        return lax.while_loop(lambda v: v.sum() < 9, lambda v: v @ jnp.ones((4, 4)), x)

    with pytest.raises(UserError, match="while loop"):
        models.multiply_adds(Wrapped(f), (8, 8, 4))


def test_nothing_is_computed():
    # 10^6 classes on a 10^4-wide layer would take 40 GB.
    module = models.create("simple_cnn", 1_000_000, hidden=(10_000,))
    assert models.multiply_adds(module, (28, 28, 1)) > 10**10


def test_parameter_count():
    tree = {
        "a": jnp.zeros((2, 3)),
        "b": {"c": jnp.zeros(()), "d": jax.ShapeDtypeStruct((4,), "f4")},
    }
    assert models.parameter_count(tree) == 11


def test_every_model_is_described():
    rows = [models.describe(name) for name in models.names()]
    assert json.loads(json.dumps(rows)) == rows
    assert rows[models.names().index("lenet5")] == {
        "name": "lenet5",
        "input": [32, 32, 1],
        "classes": 10,
        "options": {},
        "paper": models.entry("lenet5").paper,
    }


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in models.names()
    ],
)
def test_stored_costs_are_those_that_are_counted(name):
    assert models.count(name) == traced_count(name)


def test_costs_of_every_model_are_stored():
    # Other tests register nets of their own.
    ours = [name for name in models.names() if models.entry(name).own is None]
    assert sorted(_stored()) == ours


def test_the_cost_of_a_model_of_ones_own_is_counted():
    class Own(type(models.create("lenet5", 10))):
        pass

    models.register("own_lenet", Own, input_shape=(32, 32, 1), num_classes=10, paper="none")
    try:
        assert models.count("own_lenet") == models.count("lenet5")
    finally:
        registry._entries.pop("own_lenet")


def test_costs_are_counted():
    assert models.count("lenet5") == {"parameters": 60000, "multiply_adds": 415_680}
