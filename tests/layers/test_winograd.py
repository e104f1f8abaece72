import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from cnn_jax.layers.basic import convolve
from cnn_jax.layers.cpu.winograd import OF_INPUT, OF_KERNEL, OF_OUTPUT, winograd_convolve


@pytest.mark.parametrize(
    ("height", "width", "pads"),
    [
        (8, 8, ((1, 1), (1, 1))),
        (7, 10, ((1, 1), (1, 1))),
        (3, 5, ((0, 0), (0, 0))),
        (6, 9, ((2, 0), (0, 1))),
        (1, 2, ((1, 1), (1, 1))),
    ],
)
def test_value_and_gradients_are_those_of_the_plain_convolution(height, width, pads):
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (2, height, width, 5))
    kernel = jax.random.normal(keys[1], (3, 3, 5, 7)) / np.sqrt(45)

    def plain(x, kernel):
        return convolve(x, kernel, (1, 1), pads, 1, (1, 1))

    def ours_of(x, kernel):
        return winograd_convolve(x, kernel, pads)

    gradient = jax.random.normal(keys[2], jax.eval_shape(plain, x, kernel).shape)

    @jax.jit
    def compared(x, kernel, gradient):
        pairs = (jax.vjp(function, x, kernel) for function in (ours_of, plain))
        return [(value, pull(gradient)) for value, pull in pairs]

    (found, of_found), (y, of_y) = compared(x, kernel, gradient)
    np.testing.assert_allclose(found, y, atol=3e-5)
    for ours, theirs in zip(of_found, of_y, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=5e-5 * float(jnp.abs(theirs).max()) + 1e-6)


def test_the_three_matrices_compute_a_correlation_of_three_exactly():
    """In whole numbers and twelfths: outputs are sum_k kernel[k] x[i + k] for i = 0..3."""
    x, kernel = np.array([3, -1, 4, 1, -5, 9], float), np.array([2, -7, 1], float)
    found = OF_OUTPUT @ ((OF_INPUT @ x) * (OF_KERNEL @ kernel))
    np.testing.assert_allclose(found, [17, -29, -4, 46], rtol=1e-12)


def test_it_multiplies_36_times_for_a_tile_of_16():
    shapes = (
        jax.ShapeDtypeStruct((1, 4, 4, 8), jnp.float32),
        jax.ShapeDtypeStruct((3, 3, 8, 8), jnp.float32),
    )
    jaxpr = jax.make_jaxpr(lambda x, k: winograd_convolve(x, k, ((1, 1), (1, 1))))(*shapes)
    text = str(jaxpr)
    assert text.count("dot_general") == 36
    assert lax.conv_general_dilated_p.name not in text
