"""Batch normalisation on a CPU: the plain one's values, statistics and derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from cnn_jax.layers.basic import BatchNorm
from cnn_jax.layers.batch_axis import BatchAxis, batch_axis
from cnn_jax.layers.blocks import ConvNorm, normalise
from cnn_jax.layers.cpu import norm as cpu_norm
from cnn_jax.layers.cpu import parts as cpu_parts
from cnn_jax.layers.cpu.platform import layers_for

SHAPE = (4, 7, 5, 6)


@pytest.fixture(autouse=True)
def small_images_too(monkeypatch):
    monkeypatch.setattr(cpu_norm, "LEAST", 0)


def counted(monkeypatch):
    """A list that grows with every call of what is tested here."""
    called = []
    plain = cpu_norm.normalise_in_parts
    monkeypatch.setattr(
        cpu_norm, "normalise_in_parts", lambda *given: called.append(given) or plain(*given)
    )
    return called


def images():
    return np.random.default_rng(0).normal(0.5, 2, SHAPE).astype(np.float32)


def layer_and_variables(x, **options):
    layer = BatchNorm(momentum=0.9, **options)
    variables = layer.init(jax.random.key(0), x, use_running_average=True)
    random = np.random.default_rng(1)
    params = jax.tree.map(
        lambda leaf: leaf + random.normal(0, 0.5, leaf.shape).astype(np.float32),
        variables.get("params", {}),
    )
    return layer, {**variables, "params": params}


def results(layer, variables, x, activation):
    """Output, new statistics, and gradients of a sum weighed at random."""
    weights = np.random.default_rng(2).normal(size=x.shape).astype(np.float32)

    def value(params, x):
        y, changed = layer.apply(
            {**variables, "params": params},
            x,
            use_running_average=False,
            activation=activation,
            mutable=["batch_stats"],
        )
        return jnp.vdot(weights, y), (y, changed)

    program = jax.jit(jax.value_and_grad(value, argnums=(0, 1), has_aux=True))
    (_, kept), gradients = program(variables["params"], x)
    return kept, gradients


@pytest.mark.parametrize("activation", [None, nn.relu, nn.relu6, nn.gelu])
def test_values_statistics_and_gradients_are_those_of_the_plain_layer(activation, monkeypatch):
    """A part is a row, some rows, or all of them."""
    x = images()
    layer, variables = layer_and_variables(x)
    called = counted(monkeypatch)
    wanted = results(layer, variables, x, activation)
    assert not called
    for part in (1, 2000, 2**22):
        monkeypatch.setattr(cpu_parts, "PART", part)
        with layers_for("cpu"):
            found = results(layer, variables, x, activation)
        assert called
        called.clear()
        assert jax.tree.structure(found) == jax.tree.structure(wanted)
        for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            assert ours.dtype == theirs.dtype
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("options", [{"use_scale": False}, {"use_bias": False}])
def test_scale_and_bias_may_be_missing(options):
    x = images()
    layer, variables = layer_and_variables(x, **options)
    wanted = results(layer, variables, x, nn.relu)
    with layers_for("cpu"):
        found = results(layer, variables, x, nn.relu)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_the_gradient_is_that_of_finite_differences_of_the_definition():
    """In double precision and by numpy, so that nothing is shared with what is tested."""
    x = images().astype(np.float64)
    scale, bias = np.linspace(0.5, 1.5, SHAPE[-1]), np.linspace(-1, 1, SHAPE[-1])
    weights = np.random.default_rng(2).normal(size=SHAPE)

    def value(x, scale, bias):
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        y = np.maximum((x - mean) / np.sqrt(variance + 1e-5) * scale + bias, 0)
        return np.vdot(weights, y) + mean.sum() + 2 * variance.sum()

    def ours(x, scale, bias):
        y, mean, variance = cpu_norm.normalise_in_parts(x, scale, bias, 1e-5, nn.relu)
        return jnp.vdot(weights, y) + mean.sum() + 2 * variance.sum()

    given = [jnp.asarray(each, jnp.float32) for each in (x, scale, bias)]
    found, gradients = jax.jit(jax.value_and_grad(ours, argnums=(0, 1, 2)))(*given)
    np.testing.assert_allclose(found, value(x, scale, bias), rtol=1e-5)
    for index, gradient in enumerate(gradients):
        for place in [(0,) * gradient.ndim, (-1,) * gradient.ndim]:
            moved = []
            for step in (1e-6, -1e-6):
                arguments = [x.copy(), scale.copy(), bias.copy()]
                arguments[index][place] += step
                moved.append(value(*arguments))
            difference = (moved[0] - moved[1]) / 2e-6
            np.testing.assert_allclose(gradient[place], difference, rtol=1e-3, atol=1e-4)


def test_second_derivatives_in_reverse_mode_are_those_of_the_plain_layer():
    x = images()
    layer, variables = layer_and_variables(x)
    weights = np.random.default_rng(2).normal(size=x.shape).astype(np.float32)

    def penalty(x):
        def value(x):
            y, _ = layer.apply(
                variables,
                x,
                use_running_average=False,
                activation=nn.relu,
                mutable=["batch_stats"],
            )
            return jnp.vdot(weights, y)

        return jnp.sum(jnp.square(jax.grad(value)(x)))

    # A new function each time, since the platform is none of its arguments.
    wanted = jax.jit(lambda x: jax.grad(penalty)(x))(x)
    with layers_for("cpu"):
        found = jax.jit(lambda x: jax.grad(penalty)(x))(x)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_where_nothing_comes_out_relu_lets_no_gradient_through():
    """A scale and a bias of zero: every value stands where ReLU has its corner."""
    x = images()
    maps = jnp.zeros(SHAPE[-1])

    def value(scale):
        return jnp.sum(cpu_norm.normalise_in_parts(x, scale, maps, 1e-5, nn.relu)[0])

    assert not jnp.any(jax.jit(jax.grad(value))(maps))


@pytest.mark.parametrize("case", ["groups", "bfloat16", "vectors", "evaluation", "gpu", "off"])
def test_elsewhere_the_plain_layer_is_used(case, monkeypatch):
    called = counted(monkeypatch)
    x = images()
    if case == "vectors":
        x = x[:, 0, 0]
    layer, variables = layer_and_variables(
        x, dtype=jnp.bfloat16 if case == "bfloat16" else jnp.float32
    )
    axis = BatchAxis(group=2) if case == "groups" else BatchAxis()

    def apply():
        average = case == "evaluation"
        return layer.apply(variables, x, use_running_average=average, mutable=["batch_stats"])

    with batch_axis(axis):
        wanted = apply()
        with layers_for("gpu" if case == "gpu" else "cpu", normalisation=case != "off"):
            found = apply()
    jax.tree.map(np.testing.assert_array_equal, found, wanted)
    assert not called


def test_a_block_shows_its_normalisation_before_the_activation():
    x = images()
    block = ConvNorm(8, activation=nn.relu6)
    variables = block.init(jax.random.key(0), x)
    _, state = block.apply(variables, x, capture_intermediates=True, mutable=["intermediates"])
    kept = state["intermediates"]
    (norm,), (whole,) = kept["norm"]["__call__"], kept["__call__"]
    assert norm.min() < 0
    np.testing.assert_array_equal(jnp.clip(norm, 0, 6), whole)


@pytest.mark.parametrize("kind", ["batch", "group", "layer", "none"])
@pytest.mark.parametrize("train", [True, False])
def test_normalise_applies_an_activation_to_every_kind(kind, train):
    x = images()

    class Both(nn.Module):
        @nn.compact
        def __call__(self, x):
            def of(activation, name):
                return normalise(
                    x, kind, train=train, dtype=jnp.float32, name=name, activation=activation
                )

            return of(None, "plain"), of(nn.relu, "activated")

    (plain, activated), _ = jax.jit(Both().init_with_output)(jax.random.key(0), x)
    assert plain.min() < 0
    np.testing.assert_allclose(activated, jnp.maximum(plain, 0), rtol=1e-6)
