import dataclasses

import numpy as np
import pytest

from cnn_jax.data.dataset import Dataset, Split

IMAGES = np.arange(24, dtype=np.uint8).reshape(4, 2, 3, 1)
LABELS = np.array([3, 1, 2, 0], np.int32)


def test_split():
    split = Split(IMAGES, LABELS)
    assert len(split) == 4
    part = split.take(np.array([2, 0, 2]))
    assert part.labels.tolist() == [2, 3, 2]
    np.testing.assert_array_equal(part.images, IMAGES[[2, 0, 2]])
    # A copy: what is done to a part does not reach the whole.
    assert not np.shares_memory(part.images, IMAGES)


@pytest.mark.parametrize(
    "images", [IMAGES.astype(np.float32), IMAGES[..., 0], IMAGES.astype(np.int32)]
)
def test_images_of_another_kind(images):
    with pytest.raises(TypeError, match=r"images are \(n, h, w, c\) uint8, not \(4, 2, 3"):
        Split(images, LABELS)


@pytest.mark.parametrize("labels", [LABELS.astype(np.int64), LABELS[:3], LABELS[:, None]])
def test_labels_of_another_kind(labels):
    with pytest.raises(TypeError, match=r"labels are \(4,\) int32, not"):
        Split(IMAGES, labels)


def test_values_are_frozen():
    split = Split(IMAGES, LABELS)
    dataset = Dataset("set", ("a", "b", "c", "d"), split, None, None, "nowhere")
    assert dataset.notes == ()
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.test = split
    with pytest.raises(dataclasses.FrozenInstanceError):
        split.labels = LABELS
