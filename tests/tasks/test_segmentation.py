"""Losses and scores of masks against scikit-learn and numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_task
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, jaccard_score

from cnn_jax import Loss, Recipe, Task
from cnn_jax.batch import Batch
from cnn_jax.data.fields import Field
from cnn_jax.data.fitting import content
from cnn_jax.errors import UserError
from cnn_jax.tasks import mask_losses
from cnn_jax.tasks.dense_views import in_dense_views
from cnn_jax.tasks.mask_reading import confusion, told_classes

K = 4
RANDOM = np.random.default_rng(1)
LOGITS = RANDOM.normal(size=(3, 6, 5, K)).astype(np.float32)
MASKS = RANDOM.integers(0, K, (3, 6, 5)).astype(np.uint8)
MASKS[RANDOM.random(MASKS.shape) < 0.2] = 255
MASKS[1] = 255  # nothing is known of it
EVEN = jnp.ones(K)


def task(size=False, **fields):
    target = {"mask": Field("mask", (6, 5), "uint8")}
    if size:
        target["size"] = Field("size", (2,), "int32")
    spec = tiny_task.spec("abcd", target["mask"], (6, 5, 1), pixels=(10, 0, 20, 5),
                          beside=(40, 0, 40, 20))  # fmt: skip
    spec = spec.__class__(**{**vars(spec), "targets": target})
    return tiny_task.task(spec, task=Task("segmentation"), **fields)


def metrics(each, logits, masks):
    batch = Batch(None, {"mask": jnp.asarray(masks)}, jnp.ones(len(masks)))
    sums = jax.device_get(each.sums(jnp.asarray(logits), batch))
    return each.finish({**sums, "examples": len(masks)}, {}, None), sums


def test_scores_are_those_of_scikit_learn():
    found, sums = metrics(task(), LOGITS, MASKS)
    known = MASKS != 255
    true, told = MASKS[known], LOGITS.argmax(-1)[known]
    np.testing.assert_array_equal(sums["confusion"], confusion_matrix(true, told))
    assert found["mean_iou"] == pytest.approx(jaccard_score(true, told, average="macro"))
    assert found["global_accuracy"] == pytest.approx((true == told).mean())
    assert found["class_accuracy"] == pytest.approx(balanced_accuracy_score(true, told))
    for place, name in enumerate("abcd"):
        each = jaccard_score(true, told, average=None)[place]
        assert found[f"iou/{name}"] == pytest.approx(each)
    assert task().details(sums)["confusion"] == confusion_matrix(true, told).tolist()


def test_a_class_that_is_nowhere_is_left_out_of_the_means():
    masks = np.array([[[0, 0, 1, 255]]], np.uint8)
    logits = np.eye(K)[[[[0, 0, 0, 3]]]]
    found, _ = metrics(task(), logits, masks)
    assert found["mean_iou"] == pytest.approx((2 / 3 + 0) / 2)
    assert found["class_accuracy"] == 0.5 and found["classes_absent"] == 2
    assert "iou/c" not in found
    nothing, _ = metrics(task(), logits, np.full_like(masks, 255))
    assert all(np.isfinite(value) for value in nothing.values()), nothing


def test_cross_entropy_is_the_mean_over_known_pixels_by_their_weights():
    weights = np.array([1, 2, 0.5, 3], np.float32)
    logs = np.log(np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True))
    expected = []
    for mask, log in zip(MASKS, logs, strict=True):
        known = mask != 255
        at = mask[known]
        expected.append(-(weights[at] * log[known][np.arange(len(at)), at]).sum() / max(len(at), 1))
    found = mask_losses.cross_entropy(LOGITS, MASKS, weights)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found[1] == 0
    np.testing.assert_allclose(
        mask_losses.focal(LOGITS, MASKS, weights, gamma=0.0), expected, rtol=1e-5
    )


def test_dice_and_lovasz_of_sure_answers_are_worked_out_by_hand():
    """Three pixels of class 0, one of class 1; one of the three is told to be of class 1."""
    masks = np.array([[[0, 0, 0, 1, 255]]], np.uint8)
    sure = 50.0 * np.eye(2, dtype=np.float32)[[[[0, 0, 1, 1, 1]]]]
    even = jnp.ones(2)
    # Dice: 2*2/(3+2) and 2*1/(1+2); Jaccard: 2/3 and 1/2.
    np.testing.assert_allclose(mask_losses.dice(sure, masks, even), [1 - (0.8 + 2 / 3) / 2], 1e-5)
    np.testing.assert_allclose(mask_losses.lovasz(sure, masks, even), [1 - (2 / 3 + 0.5) / 2], 1e-5)
    right = 50.0 * np.eye(2, dtype=np.float32)[[[[0, 0, 0, 1, 0]]]]
    for loss in (mask_losses.dice, mask_losses.lovasz, mask_losses.focal):
        np.testing.assert_allclose(loss(right, masks, even), [0], atol=1e-5)


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "dice", "lovasz"])
def test_what_is_unknown_changes_no_gradient(name):
    loss = getattr(mask_losses, name)
    gradient = jax.grad(lambda logits: jnp.sum(loss(logits, MASKS, EVEN)))(LOGITS)
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient[MASKS == 255], 0, atol=1e-7)
    assert np.abs(gradient[MASKS != 255]).max() > 1e-3


def test_rare_classes_weigh_as_the_median_frequency_over_theirs():
    each = task(loss=Loss(options={"weights": "median_frequency"}))
    # Frequencies 1/4, 1/2 and 1/4; the class that is nowhere counts nothing.
    np.testing.assert_allclose(each.class_weights(), [1, 0, 0.5, 1])
    root = task(loss=Loss(options={"weights": "root_median_frequency"}))
    np.testing.assert_allclose(root.class_weights(), [1, 0, 0.5**0.5, 1])
    for plain in (task(), task(loss=Loss(options={"weights": None}))):
        np.testing.assert_allclose(plain.class_weights(), np.ones(K))


def test_masks_are_scored_at_their_own_size():
    """Logits of an image that was scaled to 6x5, read at 12x10 and at 12x4 pixels."""
    sizes = np.array([[12, 10], [12, 4]], np.int32)
    masks = np.full((2, 12, 10), 255, np.uint8)
    masks[0], masks[1, :, :4] = RANDOM.integers(0, K, (12, 10)), RANDOM.integers(0, K, (12, 4))
    told = np.asarray(told_classes(LOGITS[:2], sizes, (12, 10)))
    for place, (height, width) in enumerate(sizes):
        rows, columns = content(sizes[place], 6, 5)
        part = jnp.asarray(LOGITS[place, :rows, :columns])
        large = jax.image.resize(part, (height, width, K), "bilinear")
        np.testing.assert_array_equal(told[place, :height, :width], jnp.argmax(large, -1))
    batch = Batch(
        None, {"mask": jnp.asarray(masks), "size": jnp.asarray(sizes)}, jnp.array([1.0, 1.0])
    )
    sums = task(size=True).sums(jnp.asarray(LOGITS[:2]), batch)
    known = masks != 255
    np.testing.assert_array_equal(sums["confusion"], confusion_matrix(masks[known], told[known]))
    assert np.isfinite(sums["loss"])


def test_padding_is_not_counted():
    found = confusion(jnp.zeros((2, 2, 2), jnp.int32), jnp.zeros((2, 2, 2), jnp.uint8), 2,
                      jnp.array([True, False]))  # fmt: skip
    assert found.tolist() == [[4, 0], [0, 0]]


def test_mirror_images_are_mirrored_back_and_windows_cover_all():
    images = jnp.asarray(RANDOM.normal(size=(2, 7, 9, 2)).astype(np.float32))

    def shifted(images):
        return images - jnp.pad(images, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]

    both = in_dense_views(shifted, images, "mirror")
    mirrored = shifted(images[:, :, ::-1])[:, :, ::-1]
    np.testing.assert_allclose(both, (shifted(images) + mirrored) / 2, rtol=1e-6)
    for side in (3, 4, 8, 20):
        in_windows = in_dense_views(lambda x: x * 2, images, "none", side)
        np.testing.assert_allclose(in_windows, images * 2, rtol=1e-5)


def test_what_does_not_fit_is_refused():
    for fields, word in (
        ({"loss": Loss(options={"weights": "some"})}, "weights=some"),
        ({"loss": Loss(options={"gamma": 2})}, "gamma=2"),
        ({"views": "six"}, "--views six"),
    ):
        with pytest.raises(UserError, match=word):
            task(**fields)
    with pytest.raises(UserError, match="learns mask"):
        tiny_task.task(tiny_task.spec(), task=Task("segmentation"))
    with pytest.raises(UserError, match="window=1"):
        tiny_task.task(task().spec, task=Task("segmentation", {"window": 1}))
    assert Recipe("x", task=Task("segmentation")).task.name == "segmentation"
