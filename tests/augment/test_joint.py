"""Masks and boxes move as their images do."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn_jax import Augment, Preprocess
from cnn_jax.augment import apply, check_joint, check_no_crop, joint_batch
from cnn_jax.augment import joint as joint_changes
from cnn_jax.augment.joint import drawn_geometry, moved_masks
from cnn_jax.data.fields import fields_of
from cnn_jax.data.fitting import content
from cnn_jax.errors import UserError

B, SIDE = 12, 40
KEY, RUN = jax.random.key(3), jax.random.key(4)
EPOCHS, INDICES = np.arange(B) % 3, np.arange(B)
BOX = np.array([12.0, 8.0, 30.0, 20.0], np.float32)  # top, left, bottom, right
IMAGE = np.zeros((SIDE, SIDE), np.float32)
IMAGE[12:30, 8:20] = 1
IMAGES = np.broadcast_to(IMAGE, (B, SIDE, SIDE))


# One program each: operation by operation hundreds would be compiled.
moved_boxes = jax.jit(joint_changes.moved_boxes, static_argnums=(3, 4))


@functools.partial(jax.jit, static_argnums=0)
def changed(config):
    """The images and masks that a recipe makes of the same rectangle, and the matrices."""
    images, _ = apply(
        KEY, IMAGES[..., None], jnp.zeros((B, 1)), EPOCHS, INDICES, config,
        run_key=RUN, mean=np.zeros(1, np.float32), std=np.ones(1, np.float32),
    )  # fmt: skip
    matrices = drawn_geometry(KEY, RUN, EPOCHS, INDICES, config, SIDE, SIDE)
    masks = moved_masks(jnp.asarray(MASKS), matrices, 255)
    return images[..., 0], masks, matrices


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
    images, masks, _ = jax.device_get(changed(config))
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
    images, masks, matrices = jax.device_get(changed(config))
    known = masks != 255
    sure = known & (np.abs(images - 0.5) > 0.45)
    assert (masks[sure] == (images[sure] > 0.5)).all() and sure.mean() > 0.5

    boxes, kept = moved_boxes(
        np.broadcast_to(BOX, (B, 1, 4)), np.ones((B, 1), bool), matrices, SIDE, SIDE
    )
    for image, box, there in zip(images, np.asarray(boxes)[:, 0], kept[:, 0], strict=True):
        rows, columns = np.nonzero(image > 0.6)
        if not there:
            continue
        top, left, bottom, right = box
        assert top - 1 <= rows.min() and rows.max() < bottom + 1
        assert left - 1 <= columns.min() and columns.max() < right + 1


def test_boxes_move_exactly_with_whole_pixels():
    images, _, matrices = jax.device_get(changed(Augment(pad_crop=6, mirror="random")))
    boxes, kept = moved_boxes(
        np.broadcast_to(BOX, (B, 2, 4)), np.array([[True, False]] * B), matrices, SIDE, SIDE
    )
    assert kept.tolist() == [[True, False]] * B and not np.asarray(boxes)[:, 1].any()
    for image, box in zip(images, np.asarray(boxes)[:, 0], strict=True):
        rows, columns = np.nonzero(image)
        expected = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        np.testing.assert_allclose(box, expected, atol=1e-4)


def test_a_box_of_which_little_is_left_is_dropped():
    shift = np.array([[[1.0, 0, 0], [0, 1, 25]]] * 2)  # what lay at column 25 comes to 0
    boxes = np.array([[[0.0, 20, 10, 30]], [[0.0, 10, 10, 26]]])
    found, kept = moved_boxes(boxes, np.ones((2, 1), bool), shift, SIDE, SIDE)
    assert kept.tolist() == [[True], [False]]
    np.testing.assert_allclose(found[0, 0], [0, 0, 10, 5], atol=1e-5)


MASKS = IMAGES.astype(np.uint8)
BOXES = {
    "boxes": np.broadcast_to(BOX, (B, 1, 4)),
    "there": np.ones((B, 1), bool),
    "box_class": np.full((B, 1), 7, np.int32),
}


def joint(config, images=MASKS[..., None] * 255, **targets):
    """The batch of a step, of images that are not normalised."""
    targets = targets or {"mask": MASKS, **BOXES}
    fields = fields_of(jax.tree.map(np.asarray, targets))

    @jax.jit
    def batch(images, targets):
        return joint_batch(
            KEY, images, targets, fields, EPOCHS, INDICES, run_key=RUN, augment=config,
            mean=np.full(1, 0.0, np.float32), std=np.ones(1, np.float32),
        )  # fmt: skip

    return jax.device_get(batch(images, targets))


def test_without_changes_a_batch_is_as_it_was():
    batch = joint(Augment())
    np.testing.assert_array_equal(batch.inputs[..., 0], IMAGES)
    np.testing.assert_array_equal(batch.targets["mask"], MASKS)
    np.testing.assert_array_equal(batch.targets["boxes"], BOXES["boxes"])


@pytest.mark.slow
def test_a_crop_of_whole_pixels_is_exact():
    """Also where it is larger than the image, whose outside is void."""
    for shape in ((16, 24), (56, 44)):
        batch = joint(Augment(crop_size=shape, mirror="random"))
        images, masks = np.asarray(batch.inputs[..., 0]), np.asarray(batch.targets["mask"])
        assert images.shape == masks.shape == (B, *shape)
        np.testing.assert_array_equal(np.where(masks == 255, 0, masks), images)
        assert (masks == 255).sum() == B * max(0, shape[0] * shape[1] - SIDE**2) * (shape[0] > SIDE)
        assert len({image.tobytes() for image in images}) > 6


def test_scaled_crops_take_masks_and_boxes_with_them():
    batch = joint(Augment(crop_size=(32, 48), crop_scale=(0.5, 2.0), brightness=0.1))
    images, masks = np.asarray(batch.inputs[..., 0]), np.asarray(batch.targets["mask"])
    sure = (masks != 255) & (np.abs(images - 0.5) > 0.45)
    assert ((images > 0.5)[sure] == masks[sure]).all() and sure.mean() > 0.5
    areas = (masks == 1).sum(axis=(1, 2)) / MASKS[0].sum()
    assert areas.min() < 0.5 and areas.max() > 1.5
    kept, count = np.asarray(batch.targets["there"])[:, 0], 0
    for mask, box in zip(
        masks[kept] == 1, np.asarray(batch.targets["boxes"])[kept, 0], strict=True
    ):
        rows, columns = np.nonzero(mask)
        found = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        np.testing.assert_allclose(box, found, atol=1.01)
        count += 1
    assert count > B // 2 and (np.asarray(batch.targets["box_class"]) == 7).all()


def test_targets_of_the_image_as_it_was_are_brought_to_the_one_that_is_learnt_from():
    """A picture of 20x60 pixels in one of 40x40: scaled by 2/3, with filling below."""
    mask = np.full((B, 60, 60), 255, np.uint8)
    mask[:, :20] = 0
    mask[:, 3:12, 30:] = 1
    size = np.broadcast_to(np.array([20, 60], np.int32), (B, 2))
    box = np.broadcast_to(np.float32([[3.0, 30, 12, 60]]), (B, 1, 4))
    targets = {"mask": mask, "size": size, **BOXES, "boxes": box}
    batch = joint(Augment(), **targets)
    assert set(batch.targets) == {"mask", *BOXES}
    found = np.asarray(batch.targets["mask"])[0]
    assert content(np.array([20, 60], np.int32), 40, 40).tolist() == [13, 40]
    assert (found[:13] != 255).all() and (found[13:] == 255).all()
    assert (found[2:7, 20:] == 1).all() and (found == 1).sum() in (20 * 5, 20 * 6)
    np.testing.assert_allclose(
        batch.targets["boxes"][0, 0], [3 * 13 / 20, 20, 12 * 13 / 20, 40], 1e-5
    )

    cut = joint(Augment(crop_size=(13, 20)), **targets)
    assert (cut.targets["mask"] != 255).all()  # no part of the filling is learnt from


def test_what_masks_cannot_follow_is_refused():
    for config, word in (
        (Augment(mixup=0.2), "--augment.mixup 0.2"),
        (Augment(rand_augment=2), "--augment.rand-augment 2"),
        (Augment(pad_crop=2, pad_mode="reflect"), "--augment.pad-mode"),
        (Augment(crop_size=(0, 3)), "--augment.crop-size 0"),
        (Augment(crop_scale=(2.0, 1.0)), "--augment.crop-scale is 2.0 1.0"),
    ):
        with pytest.raises(UserError, match=word):
            check_joint(config, Preprocess())
    with pytest.raises(UserError, match=r"--data\.image-size"):
        check_joint(Augment(), Preprocess(size=32))
    with pytest.raises(UserError, match=r"--data\.random-crop"):
        check_no_crop(Augment(crop_size=(8, 8)))
