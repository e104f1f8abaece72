"""Convolutions over words on a CPU: the plain one's values and derivatives, however full."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn_jax.layers.cpu import words as cpu_words
from cnn_jax.layers.cpu.platform import layers_for
from cnn_jax.layers.cpu.words import convolve_words
from cnn_jax.layers.text import WordConv


@pytest.fixture(scope="module", autouse=True)
def few_words_too():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_words, "LEAST", 0)
        yield


@pytest.fixture(scope="module")
def conv(few_words_too):
    """A layer with its parameters, and its value and derivatives by both ways."""
    layer = WordConv(5, 3)
    random = np.random.default_rng(0)
    params = {"kernel": random.normal(size=(3, 4, 5)), "bias": random.normal(size=5)}
    params = jax.tree.map(np.float32, params)
    weights = random.normal(size=(6, 9, 5)).astype(np.float32)

    def way(words):
        def value(params, x, there):
            y = layer.apply({"params": params}, x, there)
            return jnp.sum(weights * jnp.tanh(y)), y

        with layers_for("cpu", words=words):
            arguments = params, np.zeros((6, 11, 4), np.float32), np.zeros((6, 11), bool)
            return jax.jit(jax.grad(value, (0, 1), has_aux=True)).lower(*arguments).compile()

    return way(False), way(True), params


@pytest.mark.parametrize("share", [0, 0.05, 0.2, 0.4, 0.7, 1])
def test_values_and_derivatives_are_the_plain_ones(conv, share):
    plain, ours, params = conv
    random = np.random.default_rng(1)
    # Words may lack anywhere, too.
    there = random.permutation(66).reshape(6, 11) < share * 66
    x = (random.normal(size=(6, 11, 4)) * there[..., None]).astype(np.float32)
    (of_params, of_x), value = plain(params, x, there)
    (found_params, found_x), found = ours(params, x, there)
    np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-5)
    for name, expected in of_params.items():
        np.testing.assert_allclose(found_params[name], expected, rtol=1e-4, atol=1e-4)
    # What belongs to no word is not asked for.
    wanted = np.where(there[..., None], of_x, 0)
    np.testing.assert_allclose(np.where(there[..., None], found_x, 0), wanted, rtol=1e-4, atol=1e-5)


def test_only_the_words_that_are_there_are_multiplied():
    """With few words, what is multiplied is an eighth of what padding would be."""
    x, there, kernel = np.zeros((4, 16, 8)), np.zeros((4, 16), bool), np.zeros((3, 8, 5))
    text = str(jax.make_jaxpr(convolve_words)(x, there, kernel))
    assert "f32[8,15]" in text and "f32[64,15]" in text


def test_several_devices_have_the_plain_way():
    x, there = np.zeros((2, 6, 4), np.float32), np.ones((2, 6), bool)
    layer = WordConv(5, 3)
    variables = layer.init(jax.random.key(0), x, there)
    for devices, switched in ((1, True), (2, False)):
        with layers_for("cpu", devices):
            jaxpr = jax.make_jaxpr(lambda x: layer.apply(variables, x, there))(x)
        assert ("cond" in str(jaxpr)) == switched
