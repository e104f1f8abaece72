import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Conv, Dense
from cnn_jax.layers.pooling import avg_pool, max_pool


def distinct(shape, seed=0):
    """Values without ties."""
    size = int(np.prod(shape))
    values = np.random.default_rng(seed).permutation(size) / size
    return jnp.asarray(values.reshape(shape), jnp.float32)


@pytest.mark.parametrize(
    ("shape", "window"),
    [
        ((2, 6, 8, 3), 2),
        ((2, 7, 9, 3), 2),
        ((1, 9, 7, 2), 3),
        ((2, 6, 6, 1), (2, 3)),
        ((2, 4, 4, 2), 1),
        ((1, 11, 11, 2), 5),
    ],
)
def test_pooling_is_that_of_flax_in_value_and_gradient(shape, window):
    x = distinct(shape)
    pair = (window, window) if isinstance(window, int) else window
    pooled = jax.eval_shape(lambda x: max_pool(x, window), x).shape
    weights = np.random.default_rng(1).standard_normal(pooled, np.float32)

    def with_gradient(pool, *arguments):
        value, gradient = jax.vjp(lambda x: pool(x, *arguments), x)
        return value, gradient(weights)

    found = jax.jit(lambda: [with_gradient(pool, window) for pool in (max_pool, avg_pool)])()
    flax = (nn.max_pool, nn.avg_pool)
    wanted = jax.jit(lambda: [with_gradient(pool, pair, pair) for pool in flax])()
    for ours, theirs in zip(found[0], wanted[0], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(found[1], wanted[1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("activation", [jnp.tanh, nn.sigmoid, jnp.exp, nn.relu])
def test_the_gradient_of_what_is_pooled_is_right_in_a_compiled_program(activation):
    """Those whose gradient is read from their value were overwritten while they were compared."""
    x = jax.random.normal(jax.random.key(0), (8, 14, 14, 64))
    weights = jax.random.normal(jax.random.key(1), (8, 7, 7, 64))

    def loss(x, pool):
        return jnp.sum(pool(activation(x), (2, 2), (2, 2)) * weights)

    found = jax.jit(jax.grad(lambda x: loss(x, max_pool)))(x)
    expected = jax.grad(lambda x: loss(x, nn.max_pool))(x)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_pooling_by_hand():
    x = jnp.array([[1.0, 2, 9], [4, 3, 9], [9, 9, 9]])[None, :, :, None]
    assert max_pool(x, 2).tolist() == [[[[4.0]]]]
    assert avg_pool(x, 2).tolist() == [[[[2.5]]]]
    assert max_pool(-x, 2).tolist() == [[[[-1.0]]]]


def test_overlapping_and_padded_windows():
    x = distinct((2, 7, 7, 3))
    np.testing.assert_array_equal(max_pool(x, 3, 2), nn.max_pool(x, (3, 3), (2, 2)))
    np.testing.assert_array_equal(
        max_pool(-x, 3, 2, 1), nn.max_pool(-x, (3, 3), (2, 2), ((1, 1), (1, 1)))
    )
    assert max_pool(x, 2, padding="SAME").shape == (2, 4, 4, 3)
    # A corner window of 3x3 padded by one holds four pixels.
    assert avg_pool(x, 3, 2, 1)[0, 0, 0, 0] == pytest.approx(float(x[0, :2, :2, 0].mean()))


def test_equal_maxima_share_the_gradient():
    gradient = jax.grad(lambda x: max_pool(x, 2).sum())
    assert gradient(jnp.ones((1, 2, 2, 1))).ravel().tolist() == [0.25] * 4
    pair = jnp.array([1.0, 0, 1, 0]).reshape(1, 2, 2, 1)
    assert gradient(pair).ravel().tolist() == [0.5, 0, 0.5, 0]


def test_pooling_differentiates_forward_and_twice():
    x, v = distinct((1, 4, 4, 2)), distinct((1, 4, 4, 2), seed=1)
    for pool in (max_pool, avg_pool):

        def f(x, pool=pool):
            return (pool(x, 2) ** 3).sum()

        forward = jax.jvp(f, (x,), (v,))[1]
        assert forward == pytest.approx(float((jax.grad(f)(x) * v).sum()), rel=1e-5)
        curvature = jax.jvp(jax.grad(f), (x,), (v,))[1]
        step = 1e-3
        numeric = (jax.grad(f)(x + step * v) - jax.grad(f)(x - step * v)) / (2 * step)
        np.testing.assert_allclose(curvature, numeric, atol=2e-3)


def test_a_window_larger_than_the_image_is_refused():
    for pool in (max_pool, avg_pool):
        with pytest.raises(UserError, match="only 1x4 pixels are left where a window of 2x2"):
            pool(jnp.zeros((1, 1, 4, 1)), 2)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"kernel_size": 3}, {"kernel_size": (3, 3)}),
        ({"kernel_size": 5, "padding": "VALID"}, {"kernel_size": (5, 5), "padding": "VALID"}),
        (
            {"kernel_size": 3, "strides": 2, "padding": 1},
            {"kernel_size": (3, 3), "strides": 2, "padding": 1},
        ),
        ({"kernel_size": (1, 3), "groups": 2}, {"kernel_size": (1, 3), "feature_group_count": 2}),
        ({"dilation": 2}, {"kernel_size": (3, 3), "kernel_dilation": 2}),
        (
            {"use_bias": False, "strides": (2, 1)},
            {"kernel_size": (3, 3), "use_bias": False, "strides": (2, 1)},
        ),
    ],
)
def test_the_convolution_is_that_of_flax(init, ours, theirs):
    x = jax.random.normal(jax.random.key(0), (2, 9, 8, 4))
    module, reference = Conv(6, bias_init="normal", **ours), nn.Conv(6, **theirs)
    variables = init(module, x)
    shapes = jax.eval_shape(reference.init, jax.random.key(1), x)
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(lambda leaf: leaf.shape, shapes)
    found, expected = jax.jit(lambda v, x: [layer.apply(v, x) for layer in (module, reference)])(
        variables, x
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_dense_layer_by_hand():
    variables = {"params": {"kernel": jnp.array([[1.0, 2], [3, 4]]), "bias": jnp.array([10.0, 20])}}
    assert Dense(2).apply(variables, jnp.array([[1.0, -1]])).tolist() == [[8.0, 18.0]]


def test_layers_compute_in_their_dtype_with_float32_parameters():
    x = jnp.ones((1, 4, 4, 2))
    for layer in (Conv(3, dtype="bfloat16"), Dense(3, dtype="bfloat16")):
        y, variables = layer.init_with_output(jax.random.key(0), x)
        assert y.dtype == jnp.bfloat16
        assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
