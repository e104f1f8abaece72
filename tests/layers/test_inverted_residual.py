import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from cnn_jax.layers.blocks import ConvNorm, SqueezeExcite
from cnn_jax.layers.inverted_residual import Chain, InvertedResidual, flat_names

ONES = functools.partial(ConvNorm, norm="none", kernel_init=nn.initializers.ones, dtype="float32")


def block(features, hidden, **options):
    return InvertedResidual(features, hidden, ONES, **options)


def run(module, x, seed=0, train=False):
    variables = module.init(jax.random.key(0), x)
    return module.apply(variables, x, train, rngs={"dropout": jax.random.key(seed)})


def test_by_hand():
    # A 1x1 image of 2 maps: expanded to 3 maps of 1 + 4 = 5, each kept by the middle of its
    # depthwise kernel, summed to 15, without an activation, and added to the input.
    x = jnp.array([1.0, 4.0]).reshape(1, 1, 1, 2)
    assert run(block(2, 3), x).ravel().tolist() == [16, 19]
    # Another number of maps, or a stride: nothing is added.
    assert run(block(1, 3), x).ravel().tolist() == [15]
    assert run(block(2, 3, strides=2), x).ravel().tolist() == [15, 15]
    # As many hidden maps as inputs: no expansion, so the ReLU of the depthwise one comes first.
    assert run(block(1, 2), -x).ravel().tolist() == [0]


def test_a_stride_pads_symmetrically():
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    # Sums over the 3x3 pixels around (0, 0), (0, 2), (2, 0), (2, 2).
    assert run(block(1, 1, strides=2), x).ravel().tolist() == [10, 24, 51, 90]


def test_stochastic_depth_leaves_out_or_doubles_the_branch():
    x = jnp.ones((64, 1, 1, 1))
    y = run(block(1, 1, rate=0.5), x, train=True).ravel()
    assert set(y.tolist()) == {1.0, 3.0}
    assert run(block(1, 1, rate=0.5), x).ravel().tolist() == [2.0] * 64


def test_squeeze_and_excitation_stands_before_the_projection():
    # The gate of a constant half halves what is projected.
    half = functools.partial(SqueezeExcite, 1, gate=lambda x: jnp.full_like(x, 0.5))
    x = jnp.array([1.0, 4.0]).reshape(1, 1, 1, 2)
    assert run(block(1, 3, squeeze_excite=half), x).item() == 7.5


def run_plain(module, x):
    return module.apply(module.init(jax.random.key(0), x), x)


def test_squeeze_and_excitation_starts_as_in_torchvision():
    module = SqueezeExcite(200, bias_init="pytorch")
    params = module.init(jax.random.key(0), jnp.zeros((1, 2, 2, 400)))["params"]
    # Normal of variance 2 over the outputs, biases uniform in ±1/sqrt(inputs).
    assert params["reduce"]["kernel"].var() == pytest.approx(2 / 200, rel=0.05)
    assert params["expand"]["kernel"].var() == pytest.approx(2 / 400, rel=0.05)
    assert params["expand"]["bias"].var() == pytest.approx(1 / 200 / 3, rel=0.2)
    assert jnp.abs(params["expand"]["bias"]).max() <= 1 / np.sqrt(200)


def test_a_chain_runs_its_blocks_in_order():
    parts = [functools.partial(InvertedResidual, n, 2, ONES) for n in (1, 3)]
    module = Chain(parts)
    x = jnp.array([1.0, 4.0]).reshape(1, 1, 1, 2)
    variables = module.init(jax.random.key(0), x)
    # The second block: 5 expanded to two maps of 5, summed to 10.
    assert module.apply(variables, x).ravel().tolist() == [10, 10, 10]
    assert set(variables["params"]) == {"block0", "block1"}
    assert "expand" not in variables["params"]["block0"]


def test_flat_names():
    assert list(flat_names([1, 2])) == [
        (0, "stage1/block0"),
        (1, "stage2/block0"),
        (2, "stage2/block1"),
    ]
