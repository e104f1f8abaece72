"""Nets for sounds: their counts, the shapes that papers state, and sounds that are too short."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_checks import quick_shapes

from cnn_jax import models
from cnn_jax.errors import UserError
from cnn_jax.models.raw_wave import ResidualPair


@pytest.mark.parametrize(
    ("name", "ten"),
    [("m3", 221_194), ("m5", 559_114), ("m11", 1_786_442), ("m18", 3_683_786), ("m34", 3_984_154)],
)
def test_counts_are_those_of_the_published_nets(name, ten):
    last = {"m3": 256, "m5": 512, "m11": 512, "m18": 512, "m34": 384}[name]
    for classes in (10, 12):
        params = quick_shapes(models.create(name, classes), (4096,))["params"]
        assert models.parameter_count(params) == ten + (classes - 10) * (last + 1)


def layers(name, shape):
    module = models.create(name, 10)

    def run(key, x):
        return module.init_with_output(key, x, mutable=True, capture_intermediates=True)[1]

    found = jax.eval_shape(run, jax.random.key(0), jnp.zeros((1, *shape)))["intermediates"]
    return {key: value[0].shape for key, value in found.items() if key.startswith("pool")}


def test_maps_shrink_as_in_the_papers():
    # 32,000 samples of 8,000 a second: 8,000 after the first convolution, then a quarter each time.
    assert layers("m11", (32_000,)) == {
        "pool1": (1, 2000, 1, 64),
        "pool2": (1, 500, 1, 64),
        "pool3": (1, 125, 1, 128),
        "pool4": (1, 31, 1, 256),
    }
    # 150 frames of 40 bands, and 14 times 11 places before the dense layers.
    assert layers("envnet", (24_014,)) == {
        "pool2": (1, 150, 1, 40),
        "pool3": (1, 46, 11, 50),
        "pool4": (1, 14, 11, 50),
    }
    assert layers("piczak_cnn", (41, 60, 2)) == {"pool1": (1, 12, 1, 80), "pool2": (1, 3, 1, 80)}


def test_a_shortcut_repeats_each_map():
    x = np.random.default_rng(0).normal(size=(2, 9, 1, 2)).astype(np.float32)
    pair = ResidualPair(4)
    variables = pair.init(jax.random.key(0), x)
    params = jax.tree.map(jnp.zeros_like, variables["params"])
    params["norm"]["scale"] += 1
    found = pair.apply({**variables, "params": params}, x)
    expected = np.maximum(np.repeat(x, 2, axis=-1), 0) / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("m3", (63,), "windows of 63 samples are too short .* at least 64; give a longer --sound"),
        ("m18", (1023,), "at least 1,024"),
        ("envnet", (5293,), "5,293 samples are too short for envnet: it needs at least 5,294"),
        ("m5", (100, 2), r"takes samples \(b, t\) of a float type, not float32 of shape"),
        ("logmel_cnn", (100, 15, 1), "100x15 pixels are too small for logmel_cnn"),
        ("piczak_cnn", (41, 59, 2), "41x59 pixels are too small for piczak_cnn"),
    ],
)
def test_sounds_that_are_too_short_are_refused(name, shape, message):
    with pytest.raises(UserError, match=message):
        quick_shapes(models.create(name, 2), shape)


def test_the_shortest_windows_are_taken():
    for name, shape in (("m3", (64,)), ("m18", (1024,)), ("envnet", (5294,))):
        quick_shapes(models.create(name, 2), shape)
    quick_shapes(models.create("piczak_cnn", 2), (20, 60, 1))
    assert set(models.names("sound")) == {"envnet", "m3", "m5", "m11", "m18", "m34"}
