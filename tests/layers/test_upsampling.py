import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from cnn_jax.layers.basic import Conv
from cnn_jax.layers.cpu.platform import layers_for
from cnn_jax.layers.unpooling import pool_with_places, unpool
from cnn_jax.layers.upsampling import TransposedConv, bilinear, doubled


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def test_interpolation_is_linear_between_the_middles_of_pixels():
    found = bilinear(jnp.asarray([[0.0, 4.0]]).reshape(1, 1, 2, 1), (1, 8))
    assert found.ravel().tolist() == [0, 0, 0.5, 1.5, 2.5, 3.5, 4, 4]
    down = bilinear(jnp.arange(6.0).reshape(1, 6, 1, 1), (2, 1))
    assert down.ravel().tolist() == [1, 4]


@pytest.mark.parametrize(
    ("size", "first"),
    [((2, 4), [1, 1, 2, 2]), ((2, 3), [1, 1, 2]), ((2, 5), [1, 1, 2, 2, 2])],
)
def test_a_doubled_pixel_is_four_whatever_the_size_was_halved_from(size, first):
    found = doubled(jnp.asarray([[1.0, 2.0]]).reshape(1, 1, 2, 1), size)
    assert found[0, :, :, 0].tolist() == [first, first]


def spread_by_hand(x, kernel, strides):
    batch, height, width, _ = x.shape
    size, features = kernel.shape[0], kernel.shape[-1]
    y = np.zeros((batch, (height - 1) * strides + size, (width - 1) * strides + size, features))
    for i in range(height):
        for j in range(width):
            patch = np.einsum("bc,uvcf->buvf", x[:, i, j], kernel)
            y[:, i * strides : i * strides + size, j * strides : j * strides + size] += patch
    return y


@pytest.mark.parametrize(("size", "strides"), [(2, 2), (3, 2), (4, 2), (5, 3), (3, 1)])
@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_a_transposed_convolution_is_a_sum_of_patches(size, strides, platform):
    x, kernel, bias = drawn(2, 3, 4, 5), drawn(size, size, 5, 6, seed=1), drawn(6, seed=2)
    layer = TransposedConv(6, size, strides)
    params = {"params": {"kernel": kernel, "bias": bias}}
    with layers_for(platform):
        found = layer.apply(params, x)
    np.testing.assert_allclose(found, spread_by_hand(x, kernel, strides) + bias, atol=1e-4)


def test_gradients_of_both_forms_of_a_transposed_convolution_agree():
    x, kernel = drawn(2, 3, 4, 5), drawn(3, 3, 5, 6, seed=1)
    layer, weights = TransposedConv(6, 3, 2, use_bias=False), drawn(2, 7, 9, 6, seed=2)

    def gradients(platform):
        def value(x, kernel):
            with layers_for(platform):
                return jnp.sum(weights * layer.apply({"params": {"kernel": kernel}}, x))

        return jax.grad(value, (0, 1))(x, kernel)

    for ours, theirs in zip(gradients("cpu"), gradients("gpu"), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "size", "dilation", "padding", "groups"),
    [
        ((2, 7, 10, 4), 3, 2, 2, 1),
        ((2, 8, 8, 4), 3, (2, 4), ((2, 2), (4, 4)), 1),
        ((1, 5, 6, 4), 3, 12, 12, 1),
        ((1, 9, 8, 4), 3, 3, 0, 1),
        ((1, 9, 8, 4), 5, 2, 4, 4),
        ((1, 9, 8, 4), 3, 2, 1, 1),
        ((1, 9, 8, 4), 3, 2, "SAME", 1),
    ],
)
def test_a_dilated_convolution_on_a_cpu_is_that_of_xla(shape, size, dilation, padding, groups):
    layer = Conv(8, size, padding=padding, dilation=dilation, groups=groups, use_bias=False)
    params = {"params": {"kernel": drawn(size, size, 4 // groups, 8)}}
    x = drawn(*shape, seed=1)

    def both(platform):
        def value(params, x):
            with layers_for(platform):
                y = layer.apply(params, x)
            return jnp.sum(jnp.sin(y)), y

        (_, y), found = jax.value_and_grad(value, (0, 1), has_aux=True)(params, x)
        return [y, *jax.tree.leaves(found)]

    for ours, theirs in zip(both("cpu"), both("gpu"), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (1, 1)])
def test_values_return_to_where_the_largest_stood(size):
    x = drawn(2, *size, 3)
    pooled, places = pool_with_places(x)
    found = np.asarray(unpool(pooled, places, size))
    expected = np.zeros_like(x)
    for b, c in np.ndindex(2, 3):
        for i, j in np.ndindex(*pooled.shape[1:3]):
            window = x[b, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
            u, v = np.unravel_index(window.argmax(), window.shape)
            expected[b, 2 * i + u, 2 * j + v, c] = window[u, v]
    np.testing.assert_array_equal(found, expected)


def test_of_equal_values_the_first_has_the_place_and_each_value_one_place():
    pooled, places = pool_with_places(jnp.zeros((1, 4, 4, 1)))
    assert not places.any()
    found = unpool(jnp.ones_like(pooled), places, (4, 4))
    assert float(found.sum()) == 4 and float(found[0, ::2, ::2].sum()) == 4


def test_gradients_go_where_the_values_came_from():
    x = jnp.asarray(drawn(1, 4, 4, 2))
    weights = drawn(1, 4, 4, 2, seed=1)

    def value(x):
        return jnp.sum(weights * unpool(*pool_with_places(x), (4, 4)))

    largest = unpool(*pool_with_places(x), (4, 4)) != 0
    np.testing.assert_allclose(jax.grad(value)(x), jnp.where(largest, weights, 0), rtol=1e-6)


def test_unpooling_scatters_nothing_on_any_platform():
    def value(x):
        return jnp.sum(unpool(*pool_with_places(x), (5, 7)) ** 2)

    x = jax.ShapeDtypeStruct((2, 5, 7, 3), "float32")
    program = export.export(jax.jit(jax.grad(value)), platforms=("cuda", "tpu"))(x)
    operations = set(re.findall(r"stablehlo\.(\w+)", program.mlir_module()))
    assert "select" in operations
    assert not [each for each in operations if re.match("scatter|gather|dynamic|sort", each)]
