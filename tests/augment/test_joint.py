"""Masks and boxes move as their images do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn_jax import Augment
from cnn_jax.augment import apply
from cnn_jax.augment.joint import drawn_geometry, moved_boxes, moved_masks

B, SIDE = 12, 40
KEY, RUN = jax.random.key(3), jax.random.key(4)
EPOCHS, INDICES = jnp.arange(B) % 3, jnp.arange(B)
BOX = np.array([12.0, 8.0, 30.0, 20.0], np.float32)  # top, left, bottom, right
IMAGE = np.zeros((SIDE, SIDE), np.float32)
IMAGE[12:30, 8:20] = 1
IMAGES = jnp.broadcast_to(IMAGE, (B, SIDE, SIDE))


def changed(config):
    """The images and masks that a recipe makes of the same rectangle, and the matrices."""
    images, _ = apply(
        KEY, IMAGES[..., None], jnp.zeros((B, 1)), EPOCHS, INDICES, config,
        run_key=RUN, mean=np.zeros(1, np.float32), std=np.ones(1, np.float32),
    )  # fmt: skip
    matrices = drawn_geometry(KEY, RUN, EPOCHS, INDICES, config, SIDE, SIDE)
    masks = moved_masks(IMAGES.astype(jnp.uint8), matrices, 255)
    return np.asarray(images[..., 0]), np.asarray(masks), matrices


@pytest.mark.parametrize(
    "config",
    [
        Augment(),
        Augment(pad_crop=6),
        Augment(mirror="random"),
        Augment(mirror="alternating", pad_crop=3),
    ],
)
def test_whole_pixels_move_exactly(config):
    images, masks, _ = changed(config)
    np.testing.assert_array_equal(np.where(masks == 255, 0, masks), images)
    if config.pad_crop:
        assert (masks == 255).any() and len({image.tobytes() for image in images}) > 6
    else:
        assert not (masks == 255).any()


@pytest.mark.parametrize(
    "config",
    [
        Augment(rotation=30),
        Augment(translation=0.2, scale=0.3),
        Augment(pad_crop=4, mirror="random", rotation=20, translation=0.1, scale=0.2),
    ],
)
def test_what_is_resampled_agrees_but_for_the_edge(config):
    images, masks, matrices = changed(config)
    known = masks != 255
    sure = known & (np.abs(images - 0.5) > 0.45)
    assert (masks[sure] == (images[sure] > 0.5)).all() and sure.mean() > 0.5

    boxes, kept = moved_boxes(
        jnp.broadcast_to(BOX, (B, 1, 4)), jnp.ones((B, 1), bool), matrices, SIDE, SIDE
    )
    for image, box, there in zip(images, np.asarray(boxes)[:, 0], kept[:, 0], strict=True):
        rows, columns = np.nonzero(image > 0.6)
        if not there:
            continue
        top, left, bottom, right = box
        assert top - 1 <= rows.min() and rows.max() < bottom + 1
        assert left - 1 <= columns.min() and columns.max() < right + 1


def test_boxes_move_exactly_with_whole_pixels():
    images, _, matrices = changed(Augment(pad_crop=6, mirror="random"))
    boxes, kept = moved_boxes(
        jnp.broadcast_to(BOX, (B, 2, 4)), jnp.array([[True, False]] * B), matrices, SIDE, SIDE
    )
    assert kept.tolist() == [[True, False]] * B and not np.asarray(boxes)[:, 1].any()
    for image, box in zip(images, np.asarray(boxes)[:, 0], strict=True):
        rows, columns = np.nonzero(image)
        expected = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        np.testing.assert_allclose(box, expected, atol=1e-4)


def test_a_box_of_which_little_is_left_is_dropped():
    shift = jnp.array([[[1.0, 0, 0], [0, 1, 25]]] * 2)  # what lay at column 25 comes to 0
    boxes = jnp.array([[[0.0, 20, 10, 30]], [[0.0, 10, 10, 26]]])
    found, kept = moved_boxes(boxes, jnp.ones((2, 1), bool), shift, SIDE, SIDE)
    assert kept.tolist() == [[True], [False]]
    np.testing.assert_allclose(found[0, 0], [0, 0, 10, 5], atol=1e-5)
