import dataclasses

import numpy as np
import pytest

from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.fields import Field, fields_of, tree_of

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
    "images", [IMAGES[..., 0], IMAGES.astype(np.int32), IMAGES.astype(np.float64)]
)
def test_images_of_another_kind(images):
    with pytest.raises(TypeError, match=r"no field is \w+ of shape \(2, 3"):
        Split(images, LABELS)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_images_keep_their_depth(dtype):
    split = Split(IMAGES.astype(dtype), LABELS)
    assert fields_of(split.inputs) == {"image": Field("image", (2, 3, 1), np.dtype(dtype).name)}


@pytest.mark.parametrize("labels", [LABELS.astype(np.int64), LABELS[:, None, None]])
def test_labels_of_another_kind(labels):
    with pytest.raises(TypeError, match="no field is int"):
        Split(IMAGES, labels)


def test_inputs_and_targets_are_as_many():
    with pytest.raises(TypeError, match=r"as many, not \(\(4, 2, 3, 1\), \(3,\)\)"):
        Split(IMAGES, LABELS[:3])


def test_fields_by_name_make_a_tree():
    split = Split(
        IMAGES, {"tags": np.ones((4, 5), np.int8), "number": np.zeros((4, 1), np.float32)}
    )
    assert tree_of(fields_of(split.targets), lambda field: field.shape) == {
        "tags": (5,),
        "number": (1,),
    }
    part = split.take(np.array([1]))
    assert part.targets["tags"].shape == (1, 5) and len(part) == 1


def test_values_are_frozen():
    split = Split(IMAGES, LABELS)
    dataset = Dataset("set", ("a", "b", "c", "d"), split, None, None, "nowhere")
    assert dataset.notes == ()
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.test = split
    with pytest.raises(dataclasses.FrozenInstanceError):
        split.labels = LABELS
