"""Nets for series: their counts, and that they do not see what lies beyond an end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_checks import quick_shapes
from tiny_models import TINY

from cnn_jax import models
from cnn_jax.errors import UserError
from cnn_jax.layers.basic import convolve
from cnn_jax.layers.batch_axis import BatchAxis, batch_axis, group_moments
from cnn_jax.layers.cpu.convolution import cpu_convolve
from cnn_jax.layers.series import SeriesConv, max_of_three, mean_over_time

NETS = ("fcn1d", "resnet1d", "inception_time")
LENGTHS = np.array([12, 5, 1])
RANDOM = np.random.default_rng(0)
SERIES = RANDOM.normal(size=(3, 12, 2)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "two", "three"),
    [
        ("fcn1d", 264_962, 265_091),
        ("resnet1d", 504_258, 504_387),
        ("inception_time", 420_450, 420_579),
    ],
)
def test_counts_are_those_of_the_papers(name, two, three):
    for classes, expected in ((2, two), (3, three)):
        params = quick_shapes(models.create(name, classes), (24, 1))["params"]
        assert models.parameter_count(params) == expected
    # A bottleneck comes before the convolutions where there is more than one channel.
    params = quick_shapes(models.create("inception_time", 2), (24, 3))["params"]
    first = 3 * 32 + 70 * 32 * 32 + 3 * 32 + 2 * 128
    assert models.parameter_count(params["inception1"]) == first


def test_an_even_kernel_has_one_zero_more_after():
    """As Keras pads: of a width of 8, three before and four after."""
    conv, x = SeriesConv(1, 8), SERIES[:1, :, None, :1]
    kernel = RANDOM.normal(size=(8, 1, 1, 1)).astype(np.float32)
    found = conv.apply({"params": {"conv": {"kernel": kernel}}}, x, None)[0, :, 0, 0]
    padded = np.pad(x[0, :, 0, 0], (3, 4))
    expected = [padded[time : time + 8] @ kernel.ravel() for time in range(12)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(("times", "width", "pad"), [(6, 8, (3, 4)), (31, 20, (9, 10))])
def test_convolutions_on_a_cpu_are_the_same(times, width, pad):
    x = RANDOM.normal(size=(3, times, 1, 4)).astype(np.float32)
    kernel = RANDOM.normal(size=(width, 1, 4, 6)).astype(np.float32)
    given = (1, 1), (pad, (0, 0)), 1, (1, 1)

    def told(convolve):
        def total(x, kernel):
            y = convolve(x, kernel, *given)
            return jnp.sum(jnp.sin(y)), y

        return jax.jit(jax.grad(total, (0, 1), has_aux=True))(x, kernel)

    for found, expected in zip(
        *map(jax.tree.leaves, (told(cpu_convolve), told(convolve))), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_pooling_sees_what_is_there():
    x = -1 - jnp.abs(SERIES[:1, :4, None, :1])  # below the zeros of a padding
    there = jnp.array([1.0, 1, 0, 0])[None, :, None]
    a, b, *_ = np.ravel(x)
    assert np.ravel(max_of_three(x, there))[:2].tolist() == [max(a, b)] * 2
    assert float(mean_over_time(x, there)[0, 0]) == pytest.approx((a + b) / 2)
    np.testing.assert_array_equal(
        np.ravel(max_of_three(x, None))[1:-1],
        np.ravel(jnp.maximum(jnp.maximum(x[:, :-2], x[:, 1:-1]), x[:, 2:])),
    )


def test_moments_are_of_what_is_there():
    there = (np.arange(12) < np.array([12, 5, 1, 3])[:, None]).astype(np.float32)
    x = RANDOM.normal(size=(4, 12, 1, 2)).astype(np.float32)
    with batch_axis(BatchAxis(group=2)):
        means, variances = group_moments(x, there[..., None])
    for group in (0, 1):
        pair = slice(2 * group, 2 * group + 2)
        values = x[pair, :, 0][there[pair] > 0]
        np.testing.assert_allclose(means[group], values.mean(0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(variances[group], values.var(0), rtol=1e-4)


def given(length, beyond):
    """The series up to their ends, in an array of a length that holds something behind them."""
    values = np.full((3, length, 2), beyond, np.float32)
    for row, series, end in zip(values, SERIES, LENGTHS, strict=True):
        row[:end] = series[:end]
    there = (np.arange(length) < LENGTHS[:, None]).astype(np.float32)
    return {"series": values, "there": there}


# It has all layers that the others have.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != NETS[-1])) for name in NETS]
)
def test_what_is_beyond_an_end_changes_nothing(name):
    module = TINY[name].create()
    variables = jax.tree.map(
        lambda leaf: np.asarray(RANDOM.uniform(0.5, 1.5, leaf.shape), np.float32),
        quick_shapes(module, (12, 2)),
    )

    @jax.jit
    def learnt(params, batch):
        def loss(params):
            logits, updated = module.apply(
                {**variables, "params": params}, batch, train=True, mutable=["batch_stats"]
            )
            return jnp.sum(jnp.square(logits)), (logits, updated)

        (_, found), gradient = jax.value_and_grad(loss, has_aux=True)(params)
        return found, gradient

    params = variables["params"]
    one, other = learnt(params, given(12, 0.0)), learnt(params, given(15, 7.0))
    for value, again in zip(*map(jax.tree.leaves, (one, other)), strict=True):
        scale = np.abs(value).max() + 1e-6
        np.testing.assert_allclose(again / scale, value / scale, atol=2e-5)

    apply = jax.jit(module.apply)
    together, alone = apply(variables, given(15, 7.0)), apply(variables, SERIES[1:2, :5])
    np.testing.assert_allclose(alone[0], together[1], rtol=2e-5)


def test_images_and_mistakes_are_refused():
    with pytest.raises(UserError, match=r"fcn1d takes series \(b, t, c\) of a float type"):
        quick_shapes(models.create("fcn1d", 2), (8, 8, 3))
    with pytest.raises(UserError, match="one of each a layer"):
        models.create("fcn1d", 2, widths=(8,))
    assert set(models.names("series")) == set(NETS)
