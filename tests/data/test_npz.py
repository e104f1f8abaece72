"""Arrays, in a file and given in Python."""

import numpy as np
import pytest

from cnn_jax import UserError
from cnn_jax.data.arrays import from_arrays
from cnn_jax.data.npz import load_npz

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (40, 6, 5, 3)).astype(np.uint8)
LABELS = np.arange(40) % 4


@pytest.mark.parametrize(
    ("inputs", "targets"), [("{}_images", "{}_labels"), ("x_{}", "y_{}"), ("{}/data", "{}/target")]
)
def test_parts_by_name(tmp_path, inputs, targets):
    arrays = {}
    for part, rows in (("train", slice(0, 20)), ("val", slice(20, 30)), ("test", slice(30, 40))):
        arrays[inputs.format(part)] = IMAGES[rows]
        arrays[targets.format(part)] = LABELS[rows, None].astype(np.int64)
    np.savez(tmp_path / "set.npz", **arrays)
    found = load_npz(tmp_path / "set.npz")
    np.testing.assert_array_equal(found.train.images, IMAGES[:20])
    np.testing.assert_array_equal(found.validation.labels, LABELS[20:30])
    assert found.test.labels.dtype == np.int32 and len(found.test) == 10
    assert found.class_names == ("0", "1", "2", "3")


def test_one_part_is_cut_aloud(tmp_path):
    np.savez(tmp_path / "set.npz", x=IMAGES[..., 0], y=LABELS, class_names=["a", "b", "c", "d"])
    found = load_npz(tmp_path / "set.npz")
    assert found.train.image_shape == (6, 5, 1) and len(found.test) == 4
    assert found.class_names == ("a", "b", "c", "d")
    assert any("cut from train" in note for note in found.notes)


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [("uint8", "uint8"), ("uint16", "uint16"), ("float32", "float32"), ("float64", "float32")],
)
def test_images_keep_their_depth_and_channels(dtype, kept):
    images = (RANDOM.random((12, 4, 4, 5)) * 200).astype(dtype)
    found = from_arrays((images, np.arange(12) % 2))
    assert found.train.images.dtype == kept and found.train.image_shape == (4, 4, 5)
    assert any("taken as" in note for note in found.notes) == (dtype != kept)


def test_channels_that_come_first_are_put_last():
    images = np.zeros((6, 3, 32, 20), np.uint8)
    images[:, 1] = 7
    found = from_arrays((images, np.arange(6) % 2), test=(images, np.arange(6) % 2))
    assert found.train.image_shape == (32, 20, 3) and found.train.images[0, 0, 0].tolist() == [
        0,
        7,
        0,
    ]
    assert any("channels first" in note for note in found.notes)


def test_tags_and_numbers():
    tags = RANDOM.integers(-1, 2, (40, 3))
    found = from_arrays((IMAGES, tags), kind="tags")
    assert found.train.targets.dtype == np.int8 and found.class_names == ("tag 0", "tag 1", "tag 2")
    found = from_arrays((IMAGES, LABELS / 2), kind="number", class_names=["half"])
    assert found.train.targets.shape == (36, 1) and found.class_names == ("half",)


@pytest.mark.parametrize(
    ("images", "targets", "kind", "said"),
    [
        (
            IMAGES,
            LABELS[:9],
            "class",
            r"of shape \(40, 6, 5, 3\) and targets of shape \(9,\)",
        ),
        (IMAGES, LABELS - 1, "class", "classes are whole numbers from 0"),
        (IMAGES, LABELS / 2, "class", "other numbers by --task.name regression"),
        (IMAGES, LABELS, "tags", r"tags are \(n, tags\) of 1, 0 and -1"),
        (IMAGES, np.full(40, np.nan), "number", "40 targets of the train part are no finite"),
        (IMAGES.astype(np.complex64), LABELS, "class", "complex64, which are no numbers"),
        (np.full((40, 4, 4), np.inf), LABELS, "class", "40 images of the train part hold values"),
        (
            IMAGES.reshape(40, -1),
            LABELS,
            "class",
            r"are \(40, 90\); valid are \(n, hei",
        ),
    ],
)
def test_what_does_not_fit_is_refused(images, targets, kind, said):
    with pytest.raises(UserError, match=said):
        from_arrays((images, targets), kind=kind)


def test_bad_files_are_told(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        load_npz(tmp_path / "no.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 and nothing")
    with pytest.raises(UserError, match="cannot be read as numpy arrays"):
        load_npz(tmp_path / "bad.npz")
    np.savez(tmp_path / "other.npz", weights=IMAGES)
    with pytest.raises(UserError, match="holds the arrays weights; valid names are such as"):
        load_npz(tmp_path / "other.npz")
    np.savez(tmp_path / "object.npz", x=np.array([{}, {}]), y=LABELS[:2])
    with pytest.raises(UserError, match="cannot be read as numpy arrays"):
        load_npz(tmp_path / "object.npz")
    np.save(tmp_path / "one.npy", IMAGES)
    with pytest.raises(UserError, match="holds one array"):
        load_npz(tmp_path / "one.npy")


def test_two_parts_of_different_shapes_are_refused():
    with pytest.raises(UserError, match=r"the parts of arrays differ: train has \(6, 5, 3\)"):
        from_arrays((IMAGES, LABELS), test=(IMAGES[:, :4], LABELS))
