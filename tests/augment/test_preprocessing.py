import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from cnn_jax.augment import change_size, denormalise, normalise, output_shape, preprocess
from cnn_jax.errors import UserError
from cnn_jax.recipe import Preprocess

MEAN = np.array([0.5, 0.25, 0.125], np.float32)
STD = np.array([0.25, 0.5, 2.0], np.float32)


def photos(height, width, channels=3, count=4):
    rng = np.random.default_rng(height)
    return rng.integers(0, 256, (count, height, width, channels), np.uint8)


def pillow_bilinear(image, size):
    """Resizes (h, w, c) uint8 channel by channel in float, so that nothing is rounded."""
    channels = [
        Image.fromarray(image[..., c].astype(np.float32) / 255).resize(size[::-1], Image.BILINEAR)
        for c in range(image.shape[-1])
    ]
    return np.stack([np.asarray(channel) for channel in channels], -1)


@pytest.mark.parametrize("shape", [(32, 32), (31, 17), (8, 8), (5, 40)])
def test_resizing_equals_pillow(shape):
    images = photos(*shape)
    resized = change_size(images, Preprocess(size=14))
    expected = np.stack([pillow_bilinear(image, (14, 14)) for image in images])
    assert resized.shape == (4, 14, 14, 3) and resized.dtype == jnp.float32
    np.testing.assert_allclose(resized, expected, atol=2e-6)


def test_padding_is_centred_and_zero():
    images = photos(28, 27)
    padded = np.asarray(change_size(images, Preprocess(size=32, fit="pad")))
    expected = np.pad(images, ((0, 0), (2, 2), (2, 3), (0, 0))).astype(np.float32) / 255
    np.testing.assert_allclose(padded, expected, rtol=1e-6)
    assert padded.shape == (4, 32, 32, 3)
    assert np.count_nonzero(padded) == np.count_nonzero(images)


def test_normalisation_by_hand():
    image = np.array([[[[255, 0, 51]]]], np.uint8)
    found = preprocess(image, Preprocess(), MEAN, STD)
    np.testing.assert_allclose(found, [[[[2.0, -0.5, 0.0375]]]], rtol=1e-6)
    assert found.dtype == jnp.float32


def test_denormalise_undoes_normalise():
    images = np.random.default_rng(0).random((2, 5, 6, 3), np.float32)
    back = denormalise(normalise(images, MEAN, STD), MEAN, STD)
    np.testing.assert_allclose(back, images, atol=1e-6)


def test_images_of_the_right_size_are_not_resampled():
    images = photos(16, 16)
    for config in (Preprocess(), Preprocess(size=16), Preprocess(size=16, fit="pad")):
        program = jax.make_jaxpr(lambda x, config=config: change_size(x, config))(images)
        assert [str(equation.primitive) for equation in program.eqns] == [
            "convert_element_type",
            "div",
        ]


def test_only_raw_images_are_taken():
    with pytest.raises(TypeError, match="uint8, uint16 or float32 before preprocessing, not int32"):
        change_size(np.zeros((1, 4, 4, 1), np.int32), Preprocess())


@pytest.mark.parametrize(
    "config, image_shape, shape",
    [
        (Preprocess(), (28, 20, 1), (28, 20, 1)),
        (Preprocess(size=8), (28, 20, 3), (8, 8, 3)),
        (Preprocess(size=28, fit="pad"), (28, 20, 3), (28, 28, 3)),
    ],
)
def test_output_shape_is_that_of_the_images(config, image_shape, shape):
    assert output_shape(config, image_shape) == shape
    assert change_size(np.zeros((1, *image_shape), np.uint8), config).shape[1:] == shape


def test_padding_cannot_shrink():
    with pytest.raises(UserError, match=r"--preprocess.size 27 .*28x20.* at least 28"):
        output_shape(Preprocess(size=27, fit="pad"), (28, 20, 1))
    with pytest.raises(UserError, match=r"--preprocess.size 0 must be at least 1"):
        output_shape(Preprocess(size=0), (28, 20, 1))
