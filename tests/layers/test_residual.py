import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from cnn_jax import models
from cnn_jax.errors import UserError
from cnn_jax.layers.residual import (
    BasicBlock,
    Bottleneck,
    Stage,
    padded_shortcut,
    rising_rates,
)


def relu(x):
    return jnp.maximum(x, 0)


def test_the_padded_shortcut_takes_every_second_pixel_and_adds_zeros_on_both_sides():
    x = jnp.arange(1.0, 25.0).reshape(1, 3, 4, 2)
    found = padded_shortcut(x, features=5, strides=2)
    assert found.shape == (1, 2, 2, 5)
    assert found[0, 0, 0].tolist() == [0, 1, 2, 0, 0]
    assert found[0, 0, 1].tolist() == [0, 5, 6, 0, 0]
    assert found[0, 1, 0].tolist() == [0, 17, 18, 0, 0]
    assert found[0, 1, 1].tolist() == [0, 21, 22, 0, 0]


def test_the_rates_of_stochastic_depth_rise_linearly_from_block_to_block():
    rates = rising_rates(0.5, (1, 3, 1))
    np.testing.assert_allclose(np.concatenate(rates), [0.1, 0.2, 0.3, 0.4, 0.5])
    assert [len(stage) for stage in rates] == [1, 3, 1]


@pytest.mark.parametrize(
    "block",
    [
        functools.partial(BasicBlock, 6, norm="none"),
        functools.partial(Bottleneck, 6, inner=4, groups=2, norm="none"),
    ],
)
def test_a_block_adds_its_branch_to_its_input(block, init):
    x = jax.random.normal(jax.random.key(0), (2, 5, 5, 6))
    module = block()
    variables = init(module, x)
    last = "conv2" if block.func is BasicBlock else "conv3"
    bias = np.array([1.0, -2, 3, -4, 5, -6], "f")
    zero = jax.tree.map(jnp.zeros_like, variables)
    zero["params"][last]["conv"]["bias"] = jnp.asarray(bias)
    np.testing.assert_allclose(module.apply(zero, x), np.maximum(x + bias, 0), rtol=1e-6)
    assert jnp.abs(module.apply(variables, x) - relu(x)).max() > 0.1


@pytest.mark.parametrize(
    ("block", "kernel"),
    [
        (functools.partial(BasicBlock, 8), "block0/conv1/conv"),
        (functools.partial(Bottleneck, 8, 4), "block0/conv2/conv"),
    ],
)
def test_only_the_first_block_of_a_stage_strides_and_in_its_3x3_convolution(block, kernel):
    module = Stage(block, 2, strides=2, rates=(0.0, 0.0))
    x = jnp.zeros((1, 9, 8, 4))
    variables = jax.eval_shape(module.init, jax.random.key(0), x)
    _, state = jax.eval_shape(
        lambda v: module.apply(v, x, capture_intermediates=True, mutable=["intermediates"]),
        variables,
    )
    flat = traverse_util.flatten_dict(state["intermediates"], sep="/")
    sizes = {path.removesuffix("/__call__"): value[0].shape[1:3] for path, value in flat.items()}
    assert sizes[kernel] == (5, 4)
    assert sizes["block0"] == sizes["block1"] == sizes["block0/shortcut"] == (5, 4)
    assert "block1/shortcut" not in sizes
    if "conv2" in kernel:
        assert sizes["block0/conv1"] == (9, 8)


def test_a_branch_left_out_leaves_the_input(init):
    x = jax.random.normal(jax.random.key(0), (64, 2, 2, 4))
    module = BasicBlock(4, rate=0.5)
    variables = init(module, x)
    y, _ = module.apply(
        variables, x, True, rngs={"dropout": jax.random.key(1)}, mutable=["batch_stats"]
    )
    full, _ = BasicBlock(4).apply(variables, x, True, mutable=["batch_stats"])
    left_out = np.all(np.isclose(y, relu(x)), axis=(1, 2, 3))
    assert 16 < left_out.sum() < 48
    # Those that stay have twice the branch; where the plain block is above zero, it can be read.
    twice = np.where(full > 0, 2 * full - x, 0)
    np.testing.assert_allclose(
        np.where(full > 0, y, 0)[~left_out], relu(twice)[~left_out], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet18", {"depths": ()}, r"depths=\(\) of ResNet"),
        ("resnet18", {"depths": (2, 0)}, r"depths=\(2, 0\) of ResNet"),
        ("resnet18", {"groups": 2}, "only blocks of the kind block='bottleneck'"),
        ("resnet18", {"stochastic_depth": 1.0}, "stochastic_depth=1.0"),
        ("resnet50", {"zero_scale": True, "norm": "group"}, "zero_scale=True of ResNet"),
        ("resnext50_32x4d", {"width": 8}, "width=8, group_width=4"),
        ("resnet20", {"shortcut": "C"}, "must be 'A' or 'B'"),
        ("preact_resnet18", {"width": 0}, "width=0"),
        ("wide_resnet28_10", {"depth": 27}, "depth=27 of WideResNet"),
        ("wide_resnet28_10", {"depth": 4}, "depth=4 of WideResNet"),
    ],
)
def test_options_that_make_no_network_are_refused(name, options, message):
    with pytest.raises(UserError, match=message):
        models.create(name, 10, **options)
