import zlib

import numpy as np

from cnn_jax.data.digits import load_digits


def test_counts_and_shapes():
    dataset = load_digits()
    assert dataset.class_names == tuple("0123456789")
    assert dataset.train.images.shape == (1437, 8, 8, 1)
    assert dataset.test.images.shape == (360, 8, 8, 1)
    assert dataset.validation is None
    assert "360" in dataset.notes[0]


def test_classes_are_balanced_alike():
    dataset = load_digits()
    train = [142, 145, 142, 146, 145, 146, 145, 143, 139, 144]
    test = [36, 37, 35, 37, 36, 36, 36, 36, 35, 36]
    assert np.bincount(dataset.train.labels).tolist() == train
    assert np.bincount(dataset.test.labels).tolist() == test


def test_seventeen_shades_fill_the_range():
    shades = np.unique(load_digits().train.images)
    assert len(shades) == 17
    assert (shades[0], shades[8], shades[-1]) == (0, 128, 255)


def test_the_parts_never_change():
    test = load_digits().test
    assert test.labels[:12].tolist() == [6, 1, 3, 5, 8, 9, 9, 5, 7, 5, 1, 0]
    assert zlib.crc32(test.images.tobytes()) == 3751542972


def test_no_image_is_in_both_parts():
    dataset = load_digits()
    train = {image.tobytes() for image in dataset.train.images}
    assert not [image for image in dataset.test.images if image.tobytes() in train]
