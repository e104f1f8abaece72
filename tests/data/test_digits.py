import zlib

import numpy as np
from PIL import Image

from cnn_jax.data.digits import TURNS, load_digits, load_rotated_digits


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


def test_turned_digits_are_turned_back_by_their_angle():
    upright, turned = load_digits(), load_rotated_digits()
    assert turned.train.images.shape == (1437 * TURNS, 32, 32, 1)
    assert turned.test.images.shape == (360, 32, 32, 1)
    angles = turned.train.targets
    assert 0 <= angles.min() < 0.1 and 359.9 < angles.max() < 360
    assert zlib.crc32(angles.tobytes()) == 889659319
    middle = (slice(12, 20), slice(12, 20))
    for place in (0, 7, 100):
        image = Image.fromarray(turned.test.images[place, ..., 0])
        back = np.asarray(image.rotate(-float(turned.test.targets[place, 0])), float)
        plain = Image.fromarray(upright.test.images[place, ..., 0]).resize((32, 32))
        assert (
            np.corrcoef(back[middle].ravel(), np.asarray(plain, float)[middle].ravel())[0, 1] > 0.9
        )


def test_a_turned_digit_stays_on_one_side_of_a_cut():
    groups = load_rotated_digits().train.groups
    assert np.bincount(groups).tolist() == [TURNS] * 1437
