import json

import numpy as np

from cnn_jax.data import Dataset, Split, describe


def test_all_facts():
    images = np.zeros((4, 2, 1, 2), np.uint8)
    images[..., 0] = 10
    images[2:, ..., 1] = 200
    train = Split(images, np.array([0, 2, 2, 2], np.int32))
    test = Split(images[:1], np.array([1], np.int32))
    dataset = Dataset("toy", ("a", "b", "c"), train, None, test, "here", ("a note",))
    found = describe(dataset)
    assert found.pop("mean") == [10.0, 100.0]
    assert found.pop("std") == [0.0, 100.0]
    assert found == {
        "name": "toy",
        "source": "here",
        "notes": ["a note"],
        "image_shape": [2, 1, 2],
        "class_names": ["a", "b", "c"],
        "examples": {"train": 4, "test": 1},
        "class_counts": {"train": [1, 0, 3], "test": [0, 1, 0]},
    }
    assert json.loads(json.dumps(describe(dataset))) == describe(dataset)
