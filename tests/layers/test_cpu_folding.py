"""Normalisation that is part of a convolution: the values and derivatives of the two in turn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from cnn_jax import models
from cnn_jax.layers.blocks import ConvNorm
from cnn_jax.layers.cpu import folding
from cnn_jax.layers.cpu.platform import layers_for

BLOCKS = {
    "3x3": ConvNorm(8),
    "steps": ConvNorm(8, 3, 2, activation=None),
    "1x1": ConvNorm(12, 1),
    "depthwise": ConvNorm(6, 5, 2, groups=6, activation=jax.nn.relu6),
    "groups": ConvNorm(12, 3, groups=3),
    "dilated": ConvNorm(8, dilation=2),
    "many maps": ConvNorm(64),
}


def images():
    return np.random.default_rng(0).normal(0.5, 2, (16, 9, 11, 6)).astype(np.float32)


def drawn(module, x):
    """Variables of which no part is what it is at first."""
    random = np.random.default_rng(1)
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)
    return jax.tree.map(lambda leaf: random.uniform(0.2, 1, leaf.shape).astype(leaf.dtype), shapes)


class Twice(nn.Module):
    """A depthwise block, after which others are left to oneDNN too."""

    @nn.compact
    def __call__(self, x, *, train=False):
        x = ConvNorm(6, 3, groups=6)(x, train=train)
        return ConvNorm(40)(ConvNorm(40)(x, train=train), train=train)


@pytest.mark.parametrize("name", [*BLOCKS, "twice"])
@pytest.mark.parametrize("onednn", [True, False])
def test_values_and_gradients_are_those_of_convolution_and_normalisation(name, onednn, monkeypatch):
    monkeypatch.setattr(folding, "has_onednn", lambda: onednn)
    module, x = BLOCKS.get(name, Twice()), images()
    variables = drawn(module, x)

    def value(variables, x):
        y = module.apply(variables, x)
        weights = np.random.default_rng(2).normal(size=y.shape).astype(np.float32)
        return jnp.sum(y * weights), y

    both = jax.value_and_grad(value, (0, 1), has_aux=True)
    expected, apart = jax.jit(both)(variables, x), jax.jit(module.apply)(variables, x)
    with layers_for("cpu"):
        found, alone = jax.jit(both)(variables, x), jax.jit(module.apply)(variables, x)
    for mine, plain in zip(*map(jax.tree.leaves, ((found, alone), (expected, apart))), strict=True):
        np.testing.assert_allclose(mine, plain, atol=1e-5 * np.abs(plain).max())


def test_each_convolution_is_there_once_and_depthwise_ones_as_they_stand(monkeypatch):
    monkeypatch.setattr(folding, "has_onednn", lambda: True)
    x, module = images(), Twice()
    variables = drawn(module, x)

    def count(function, x=x):
        with layers_for("cpu"):
            text = jax.jit(function).lower(variables, x).as_text()
        return text.count("stablehlo.convolution("), "feature_group_count = 6" in text

    def gradient(variables, x):
        return jax.grad(lambda v: module.apply(v, x).sum())(variables)

    assert count(module.apply) == (3, True)
    # Of few images less is saved than compiling takes.
    assert not count(module.apply, x[:15])[1]
    # With gradients it is our own form, of which oneDNN does nothing.
    assert not count(gradient)[1]


def test_what_is_looked_at_within_a_block_is_what_it_was():
    module, x = BLOCKS["3x3"], images()
    variables = drawn(module, x)

    def looked(variables, x):
        return module.apply(variables, x, capture_intermediates=True)[1]["intermediates"]

    expected = jax.jit(looked)(variables, x)
    with layers_for("cpu"):
        found = jax.jit(looked)(variables, x)
    assert set(found) == {"conv", "norm", "__call__"}
    for mine, plain in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        np.testing.assert_allclose(mine, plain, atol=1e-5 * np.abs(plain).max())


@pytest.mark.parametrize(
    ("change", "folds"),
    [
        ({"features": 8}, True),
        ({"features": 8, "dtype": "bfloat16"}, False),
        ({"features": 8, "norm": "group"}, False),
        ({"features": 64}, False),
        ({"features": 16, "kernel_size": 9}, False),
    ],
    ids=["few maps", "bfloat16", "other normalisation", "many maps", "large kernel"],
)
def test_blocks_are_put_together_where_it_pays(change, folds):
    module, x = ConvNorm(**change), images()
    variables = drawn(module, x)

    def text(**options):
        with layers_for("cpu", **options):
            return jax.jit(module.apply).lower(variables, x).as_text()

    assert (text() != text(folding=False)) == folds


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2_x0_5"])
def test_nets_of_depthwise_convolutions_tell_the_same(name):
    module = models.create(name, 5)
    x = np.random.default_rng(3).normal(size=(16, 64, 64, 3)).astype(np.float32)
    variables = jax.jit(module.init)(jax.random.key(0), x)
    expected = jax.jit(module.apply)(variables, x)
    with layers_for("cpu"):
        found = jax.jit(module.apply)(variables, x)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max() + 1e-6)
