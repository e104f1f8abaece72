import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn_jax.errors import UserError
from cnn_jax.layers.pooling import adaptive_avg_pool, avg_pool, ceil_max_pool, ceil_sides, max_pool


@pytest.mark.parametrize(
    ("side", "window", "strides", "expected"),
    [
        # PyTorch's ceil_mode: ceil((side - window) / strides) + 1 windows, as far as they hold
        # a pixel.
        (112, 3, 2, 56),
        (109, 3, 2, 54),
        (111, 3, 2, 55),
        (54, 3, 2, 27),
        (27, 3, 2, 13),
        (32, 3, 2, 16),
        (14, 2, 2, 7),
        (7, 2, 2, 4),
        (2, 3, 2, 1),
        (1, 2, 2, 1),
        (4, 2, 3, 2),
        (3, 2, 3, 1),
    ],
)
def test_windows_rounded_up(side, window, strides, expected):
    x = jax.ShapeDtypeStruct((1, side, side, 1), jnp.float32)
    pooled = jax.eval_shape(lambda x: ceil_max_pool(x, window, strides), x)
    assert pooled.shape == (1, expected, expected, 1)


def test_the_last_windows_hold_what_is_left():
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    assert ceil_max_pool(x, 3, 2)[0, :, :, 0].tolist() == [[10, 11], [14, 15]]
    assert ceil_max_pool(-x, 3, 2)[0, :, :, 0].tolist() == [[0, -2], [-8, -10]]
    means = avg_pool(x, 3, 2, ceil_sides(x, 3, 2))[0, :, :, 0]
    np.testing.assert_allclose(means, [[5, 6.5], [11, 12.5]])


def test_whole_windows_are_those_of_max_pool():
    x = jax.random.normal(jax.random.key(0), (2, 7, 9, 3))
    np.testing.assert_array_equal(ceil_max_pool(x, 3, 2), max_pool(x, 3, 2))


def test_no_window_is_refused():
    with pytest.raises(UserError, match="only 4x1 pixels are left where a window of 3x3"):
        ceil_max_pool(jnp.zeros((1, 4, 1, 1)), 3, 2)


def test_adaptive_means_by_hand():
    x = jnp.arange(10.0).reshape(1, 2, 5, 1)
    # Columns 0-1, 1-3 and 3-4 of five; rows 0, 0-1 and 1 of two.
    expected = [[0.5, 2, 3.5], [3, 4.5, 6], [5.5, 7, 8.5]]
    np.testing.assert_allclose(adaptive_avg_pool(x, 3)[0, :, :, 0], expected, rtol=1e-6)


@pytest.mark.parametrize(("height", "width", "size"), [(7, 12, 6), (14, 14, 4), (1, 3, 7)])
def test_adaptive_means_by_definition(height, width, size):
    x = np.asarray(jax.random.normal(jax.random.key(0), (2, height, width, 3)))
    pooled = np.asarray(jax.jit(lambda x: adaptive_avg_pool(x, size))(x))
    assert pooled.shape == (2, size, size, 3)
    for i in range(size):
        for j in range(size):
            rows = slice(int(np.floor(i * height / size)), int(np.ceil((i + 1) * height / size)))
            columns = slice(int(np.floor(j * width / size)), int(np.ceil((j + 1) * width / size)))
            expected = x[:, rows, columns].mean((1, 2))
            np.testing.assert_allclose(pooled[:, i, j], expected, rtol=1e-5, atol=1e-6)


def test_adaptive_means_of_the_wanted_size_are_the_image():
    x = jax.random.normal(jax.random.key(0), (2, 6, 6, 3)).astype(jnp.bfloat16)
    assert adaptive_avg_pool(x, 6) is x
    assert adaptive_avg_pool(x, 3).dtype == jnp.bfloat16
