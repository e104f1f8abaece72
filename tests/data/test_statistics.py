import math
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

from cnn_jax import Preprocess
from cnn_jax.augment import preprocess
from cnn_jax.data.statistics import (
    channel_mean_std,
    class_counts,
    scaled_mean_std,
    target_facts,
    unlearnt,
    value_range,
)


@pytest.mark.parametrize("shape", [(50, 7, 5, 3), (1, 1, 1, 1), (4097, 2, 3, 1), (8192, 1, 2, 2)])
def test_mean_and_deviation_equal_numpy(shape):
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    mean, std = channel_mean_std(images)
    assert mean.dtype == std.dtype == np.float64
    exact = images.astype(np.float64) / 255
    np.testing.assert_allclose(mean, exact.mean((0, 1, 2)), rtol=1e-13)
    np.testing.assert_allclose(std, exact.std((0, 1, 2)), rtol=1e-13, atol=1e-15)


def test_by_hand():
    images = np.array([[0, 255], [255, 255], [0, 255], [255, 255]], np.uint8).reshape(4, 1, 1, 2)
    mean, std = channel_mean_std(images)
    assert mean.tolist() == [0.5, 1.0]
    assert std.tolist() == [0.5, 0.0]


def test_no_precision_is_lost_over_many_pixels():
    # In float32 the mean of so many would be off in the fourth digit.
    images = np.full((300, 256, 256, 1), 253, np.uint8)
    images[0, 0, 0] = 0
    n = images.size
    mean, std = channel_mean_std(images)
    assert mean[0] == pytest.approx(253 * (n - 1) / n / 255, rel=1e-14)
    assert std[0] == pytest.approx(253 * np.sqrt((n - 1) / n / n) / 255, rel=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_they_are_the_same_on_every_machine(seed):
    """No sum of floats is taken, whose last bit depends on the processor."""
    images = np.random.default_rng(seed).integers(0, 256, (10, 28, 28, 1), np.uint8)
    values = images.ravel().tolist()
    n, first, second = len(values), sum(values), sum(value**2 for value in values)
    variance = Fraction(n * second - first**2, (255 * n) ** 2)
    mean, std = channel_mean_std(images)
    assert mean.tolist() == [float(Fraction(first, 255 * n))]
    assert std.tolist() == [math.sqrt(float(variance))]


def test_class_counts():
    counts = class_counts(np.array([0, 2, 2, 0, 2], np.int32), 4)
    assert counts.tolist() == [2, 0, 3, 0]


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (np.array([0, 3], np.uint8), (0, 255)),
        (np.array([0, 3799], np.uint16), (0, 4095)),
        (np.array([0, 65535], np.uint16), (0, 65535)),
        (np.array([0, 0], np.uint16), (0, 1)),
        (np.array([0.1, 0.9], np.float32), (0, 1)),
        (np.array([-1.5, 2.0], np.float32), (-1.5, 2.0)),
        (np.array([7.0, 7.0], np.float32), (7.0, 8.0)),
    ],
)
def test_what_is_black_and_white(images, expected):
    assert value_range(images.reshape(2, 1, 1, 1)) == expected


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_deep_images_are_prepared_to_mean_nought_and_deviation_one(dtype):
    images = np.random.default_rng(0).integers(0, 4000, (1500, 3, 4, 5)).astype(dtype)
    values = value_range(images)
    mean, std = scaled_mean_std(images, values)
    prepared = np.asarray(preprocess(jnp.asarray(images), Preprocess(), mean, std, values))
    np.testing.assert_allclose(prepared.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(prepared.std((0, 1, 2)), 1, rtol=1e-4)


def test_facts_of_targets():
    numbers = np.array([[1, 10], [3, 30]], np.float32)
    assert target_facts(numbers) == {
        "mean": (2.0, 20.0),
        "std": (1.0, 10.0),
        "least": (1.0, 10.0),
        "most": (3.0, 30.0),
    }
    tags = np.array([[1, -1], [1, 0], [0, 1]], np.int8)
    assert target_facts(tags) == {"there": (2.0, 1.0), "known": (3.0, 2.0)}
    assert target_facts(np.array([0, 1], np.int32)) == {}
    names = ("a", "b", "c")
    assert unlearnt(np.array([0, 2], np.int32), names) == ["b"]
    assert unlearnt(np.array([[0, 1, -1]], np.int8), names) == ["a", "c"]
    assert unlearnt(numbers, names[:2]) == []
    boxes = {"box_class": np.array([[0, 2]], np.int32), "there": np.array([[True, False]])}
    assert unlearnt(boxes, names) == ["b", "c"]
