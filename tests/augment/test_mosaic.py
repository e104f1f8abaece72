"""A mosaic shows what it tells: checked by the pixels below its boxes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn_jax import Augment, Preprocess
from cnn_jax.augment import check_joint, check_no_crop, joint_batch
from cnn_jax.augment.mosaic import ROOM, mosaic
from cnn_jax.data.fields import fields_of
from cnn_jax.errors import UserError

B, SIDE = 8, 64
KEY = jax.random.key(5)


def pictures():
    """Of each image one square of a brightness of its own on black, and a place for another."""
    random = np.random.default_rng(0)
    images = np.zeros((B, SIDE, SIDE, 1), np.float32)
    boxes = np.zeros((B, 2, 4), np.float32)
    for place in range(B):
        top, left = random.integers(2, 30, 2)
        height, width = random.integers(14, 30, 2)
        images[place, top : top + height, left : left + width] = (place + 1) / 10
        boxes[place, 0] = top, left, top + height, left + width
    there = np.zeros((B, 2), bool)
    there[:, 0] = True
    label = np.tile(np.arange(B, dtype=np.int32)[:, None], (1, 2))
    return images, {"boxes": boxes, "there": there, "box_class": label}


def made(probability):
    images, targets = pictures()
    held = np.full((B, 2), SIDE)
    # One program: operation by operation hundreds would be compiled.
    make = jax.jit(lambda *given: mosaic(KEY, *given, probability, jnp.zeros(1)))
    return jax.device_get(make(images, held, targets))


def test_each_box_lies_around_what_it_tells_of():
    images, targets = made(1.0)
    assert images.shape == (B, SIDE, SIDE, 1) and targets["boxes"].shape == (B, 2 * ROOM, 4)
    assert targets["there"].sum() > 1.5 * B  # several of four images in each
    seen = 0
    for image, boxes, there, labels in zip(
        images, targets["boxes"], targets["there"], targets["box_class"], strict=True
    ):
        for box, label in zip(boxes[there], labels[there], strict=True):
            # Of the two classes that may be equal only by chance, none is: brightness tells which.
            rows, columns = np.nonzero(np.abs(image[..., 0] - (label + 1) / 10) < 0.01)
            inside = (rows >= box[0] - 1) & (rows < box[2] + 1)
            inside &= (columns >= box[1] - 1) & (columns < box[3] + 1)
            found = [rows[inside].min(), columns[inside].min()]
            found += [rows[inside].max() + 1, columns[inside].max() + 1]
            np.testing.assert_allclose(box, found, atol=2.0)
            seen += 1
        assert (boxes[~there] == 0).all()
    assert seen == targets["there"].sum()


def test_what_is_not_chosen_stays_as_it_is():
    images, targets = pictures()
    same, kept = made(0.0)
    np.testing.assert_array_equal(same, images)
    for name, values in targets.items():
        np.testing.assert_array_equal(kept[name][:, :2], values)
    assert not kept["there"][:, 2:].any()
    some, _ = made(0.5)
    changed = (some != images).any(axis=(1, 2, 3))
    assert 0 < changed.sum() < B


def batch(config, seed=0):
    images, targets = pictures()
    targets = {**targets, "size": np.full((B, 2), SIDE, np.int32)}
    return compiled(config)(jax.random.key(seed), np.round(images * 255).astype(np.uint8), targets)


@functools.cache
def compiled(config):
    """The function of (key, images, targets), one program for all keys."""

    def make(key, images, targets):
        return joint_batch(
            key,
            images,
            targets,
            fields_of(jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), targets)),
            jnp.zeros(B, jnp.int32),
            jnp.arange(B),
            run_key=KEY,
            augment=config,
            mean=np.zeros(1, np.float32),
            std=np.ones(1, np.float32),
        )

    return jax.jit(make)


def test_a_mosaic_is_then_changed_as_other_images_are():
    """Mirrored and scaled together with its boxes, and another one at each step."""
    config = Augment(mosaic=1.0, mirror="random", crop_scale=(0.7, 1.4))
    one, other = batch(config), batch(config, seed=1)
    assert "size" not in one.targets and not np.array_equal(one.inputs, other.inputs)
    images = np.asarray(one.inputs[..., 0])
    there, boxes = np.asarray(one.targets["there"]), np.asarray(one.targets["boxes"])
    assert there.sum() > B
    for place, row in np.argwhere(there):
        top, left, bottom, right = np.round(boxes[place, row]).astype(int)
        inner = images[place, top + 1 : bottom - 1, left + 1 : right - 1]
        level = (one.targets["box_class"][place, row] + 1) / 10
        assert inner.size == 0 or abs(np.median(inner) - level) < 0.02
    np.testing.assert_array_equal(batch(config).inputs, one.inputs)  # of the step alone


def test_a_mosaic_is_refused_where_no_boxes_are_told():
    with pytest.raises(UserError, match=r"--augment\.mosaic 0\.5 is for boxes"):
        check_joint(Augment(mosaic=0.5), Preprocess(), ("mask",))
    with pytest.raises(UserError, match=r"--augment\.mosaic 0\.5 is for boxes"):
        check_no_crop(Augment(mosaic=0.5))
    with pytest.raises(UserError, match=r"--augment\.mosaic is 2\.0; valid is from 0 to 1"):
        check_joint(Augment(mosaic=2.0), Preprocess(), ("boxes",))
    check_joint(Augment(mosaic=0.5), Preprocess(), ("boxes",))
