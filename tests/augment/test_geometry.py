import itertools

import jax
import numpy as np
import pytest
from scipy import ndimage, stats

from cnn_jax.augment import geometry

KEY = jax.random.key(3)

draw_affine = jax.jit(geometry.draw_affine, static_argnums=(1, 2, 3))
alternating_mirror = jax.jit(geometry.alternating_mirror)


def noise(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


@pytest.mark.parametrize("mode, numpy_mode", [("zero", "constant"), ("reflect", "reflect")])
def test_pad_crop_draws_every_shift_equally_often(mode, numpy_mode):
    count, padding, (height, width) = 2500, 2, (5, 4)
    images = noise(count, height, width, 3)
    found = np.asarray(
        jax.jit(geometry.pad_crop, static_argnums=(2, 3))(KEY, images, padding, mode)
    )
    border = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    padded = np.pad(images, border, mode=numpy_mode)
    corners = list(itertools.product(range(2 * padding + 1), repeat=2))
    equal = np.array(
        [
            (padded[:, y : y + height, x : x + width] == found).all(axis=(1, 2, 3))
            for y, x in corners
        ]
    )
    assert (equal.sum(axis=0) == 1).all()
    assert stats.chisquare(equal.sum(axis=1)).pvalue > 0.01


def test_mirror_turns_only_the_chosen():
    images = noise(3, 4, 5, 2)
    found = np.asarray(geometry.mirror(images, np.array([True, False, True])))
    np.testing.assert_array_equal(found[1], images[1])
    np.testing.assert_array_equal(found[[0, 2]], images[[0, 2], :, ::-1])


def test_alternating_mirror_turns_each_example_every_other_epoch():
    indices = np.arange(4000, dtype=np.int32)
    epochs = [
        np.asarray(alternating_mirror(KEY, np.full_like(indices, epoch), indices))
        for epoch in range(4)
    ]
    np.testing.assert_array_equal(epochs[0], ~epochs[1])
    np.testing.assert_array_equal(epochs[0], epochs[2])
    np.testing.assert_array_equal(epochs[1], epochs[3])
    assert stats.binomtest(int(epochs[0].sum()), 4000).pvalue > 0.01


def test_alternating_mirror_depends_on_the_example_and_the_run_alone():
    indices = np.array([7, 2, 900, 7], np.int32)
    epochs = np.array([0, 0, 0, 1], np.int32)
    together = np.asarray(alternating_mirror(KEY, epochs, indices))
    alone = [
        bool(alternating_mirror(KEY, epochs[i : i + 1], indices[i : i + 1])[0]) for i in range(4)
    ]
    assert together.tolist() == alone
    many = np.arange(1000, dtype=np.int32)
    one, other = (
        np.asarray(alternating_mirror(jax.random.key(run), many * 0, many)) for run in (0, 1)
    )
    assert 400 < np.sum(one != other) < 600


def test_resample_equals_scipy():
    images = noise(6, 9, 12, 2)
    matrices = np.asarray(draw_affine(KEY, 6, 9, 12, 60.0, 0.4, 0.8))
    found = np.asarray(geometry.resample(images, matrices))
    for image, matrix, result in zip(images, matrices, found, strict=True):
        for channel in range(2):
            expected = ndimage.affine_transform(
                image[..., channel].astype(np.float64),
                matrix[:, :2].astype(np.float64),
                matrix[:, 2].astype(np.float64),
                order=1,
                mode="grid-constant",
            )
            np.testing.assert_allclose(result[..., channel], expected, atol=2e-5)
    assert (found == 0).any()


def test_resample_with_whole_pixels_is_exact():
    images = noise(3, 6, 6, 1)
    matrices = np.array(
        [
            [[1, 0, 0], [0, 1, 0]],  # unchanged
            [[0, 1, 0], [-1, 0, 5]],  # a quarter turn
            [[1, 0, -2], [0, 1, 1]],  # down by two, left by one
        ],
        np.float32,
    )
    found = np.asarray(geometry.resample(images, matrices))
    np.testing.assert_array_equal(found[0], images[0])
    np.testing.assert_array_equal(found[1], np.rot90(images[1]))
    np.testing.assert_array_equal(found[2], np.pad(images[2, :4, 1:], ((2, 0), (0, 1), (0, 0))))


def test_resample_far_outside_is_zero():
    far = np.array([[[1, 0, 1e6], [0, 1, -1e6]]], np.float32)
    assert not np.asarray(geometry.resample(noise(1, 4, 4, 1), far)).any()


def decode(matrices, height, width):
    """Angle in degrees, size factor, and shift as a part of the side, of each inverse map."""
    linear, offset = matrices[:, :, :2].astype(np.float64), matrices[:, :, 2].astype(np.float64)
    forward = np.linalg.inv(linear)
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    moved = np.einsum("bij,bj->bi", forward, centre - offset)
    size = np.sqrt(np.linalg.det(forward))
    angle = np.rad2deg(np.arctan2(forward[:, 0, 1], forward[:, 0, 0]))
    turn = np.deg2rad(angle)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    np.testing.assert_allclose(
        forward, size[:, None, None] * rotation.transpose(2, 0, 1), atol=1e-5
    )
    return angle, size, (moved - centre) / [height, width]


def assert_uniform(values, limit):
    assert stats.kstest(values, stats.uniform(-limit, 2 * limit).cdf).pvalue > 0.01
    assert np.abs(values).max() <= limit * (1 + 1e-4)


def test_affine_parameters_are_uniform_in_their_ranges():
    matrices = np.asarray(draw_affine(KEY, 3000, 10, 30, 25.0, 0.2, 0.5))
    angle, size, shift = decode(matrices, 10, 30)
    assert_uniform(angle, 25.0)
    assert_uniform(np.log(size), np.log(1.5))
    assert_uniform(shift[:, 0], 0.2)
    assert_uniform(shift[:, 1], 0.2)
    together = np.corrcoef([angle, size, *shift.T])
    assert np.abs(together - np.eye(4)).max() < 0.06


@pytest.mark.parametrize("only", [0, 1, 2])
def test_each_affine_parameter_works_alone(only):
    amounts = np.zeros(3)
    amounts[only] = 0.9
    matrices = np.asarray(draw_affine(KEY, 50, 8, 8, *amounts))
    angle, size, shift = decode(matrices, 8, 8)
    moved = [np.abs(angle).max() > 0.5, np.abs(shift).max() > 0.5, np.abs(size - 1).max() > 0.5]
    still = [np.abs(angle).max() < 1e-4, np.abs(shift).max() < 1e-5, np.abs(size - 1).max() < 1e-5]
    assert moved == [i == only for i in range(3)]
    assert still == [i != only for i in range(3)]


def test_affine_with_nothing_to_change_keeps_the_images():
    images = noise(4, 7, 6, 3)
    np.testing.assert_array_equal(jax.jit(geometry.affine)(KEY, images, 0.0, 0.0, 0.0), images)
