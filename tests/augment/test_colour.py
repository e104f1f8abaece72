import jax
import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy import stats

from cnn_jax.augment import colour

FACTORS = np.array([0.0, 0.4, 1.0, 1.3, 2.0], np.float32)


@pytest.mark.parametrize(
    "change, enhancer",
    [
        (colour.brightness, ImageEnhance.Brightness),
        (colour.contrast, ImageEnhance.Contrast),
        (colour.saturation, ImageEnhance.Color),
    ],
)
def test_changes_equal_pillow(change, enhancer):
    images = np.random.default_rng(1).integers(0, 256, (5, 12, 10, 3), np.uint8)
    found = np.asarray(change(images.astype(np.float32) / 255, FACTORS))
    expected = [
        np.asarray(enhancer(Image.fromarray(image)).enhance(float(factor)))
        for image, factor in zip(images, FACTORS, strict=True)
    ]
    # Pillow rounds the grey, and cuts the result, to whole steps of 1/255.
    np.testing.assert_allclose(found, np.stack(expected) / 255, atol=2 / 255)
    np.testing.assert_allclose(found[2], images[2] / 255, atol=1e-6)


def test_contrast_by_hand():
    grey = np.array([0.0, 0.25, 0.5, 1.0], np.float32).reshape(1, 2, 2, 1)
    found = colour.contrast(grey, np.array([2.0], np.float32))
    assert np.asarray(found).ravel().tolist() == [0.0, 0.0625, 0.5625, 1.0]


def test_saturation_by_hand():
    red = np.array([0.5, 0.0, 0.0], np.float32).reshape(1, 1, 1, 3)
    half = colour.saturation(red, np.array([0.5], np.float32))
    # Grey is 0.299 * 0.5.
    np.testing.assert_allclose(np.ravel(half), [0.32475, 0.07475, 0.07475], rtol=1e-6)


@pytest.mark.parametrize("change", [colour.brightness, colour.contrast, colour.saturation])
def test_results_stay_in_range(change):
    images = np.random.default_rng(1).random((5, 6, 6, 3), np.float32)
    found = np.asarray(change(images, FACTORS + 3))
    assert found.min() >= 0 and found.max() == 1
    assert (found == 1).mean() > 0.2


def test_factors_are_uniform_around_one():
    factors = np.asarray(colour.factors(jax.random.key(0), 3000, 0.4))
    assert factors.shape == (3000,)
    assert factors.min() >= 0.6 and factors.max() <= 1.4
    assert stats.kstest(factors, stats.uniform(0.6, 0.8).cdf).pvalue > 0.01


def test_grey_needs_known_colours():
    with pytest.raises(ValueError, match="1 or 3 channels, not 4"):
        colour.grey(np.zeros((1, 2, 2, 4), np.float32))
