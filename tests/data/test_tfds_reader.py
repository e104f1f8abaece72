import numpy as np
import pytest
import toy_tfds  # noqa: F401  (registers the set)

from cnn_jax.data.tfds_reader import find_tfds, load_tfds
from cnn_jax.errors import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tfds")


def grey(split) -> list[int]:
    return split.images[:, 0, 0, 0].tolist()


def test_all_parts_are_read_whole(folder):
    dataset = load_tfds("toy_photos/plain", data_dir=folder)
    assert dataset.name == "toy_photos/plain"
    assert dataset.class_names == ("even", "odd")
    assert dataset.source == str(folder / "toy_photos" / "plain" / "1.2.3")
    assert dataset.notes == ()
    for split, n in [(dataset.train, 20), (dataset.validation, 4), (dataset.test, 6)]:
        assert split.images.shape == (n, 4, 6, 1)
        assert sorted(grey(split)) == list(range(n))
        assert split.labels.tolist() == [value % 2 for value in grey(split)]
        assert (split.images == split.images[:, :1, :1]).all()


def test_a_validation_part_without_a_labelled_test_part_is_the_test(folder):
    dataset = load_tfds("toy_photos/imagenet", data_dir=folder)
    assert (len(dataset.train), dataset.validation, len(dataset.test)) == (20, None, 4)
    assert dataset.notes == (
        "the catalog's validation part is the test: it has no labelled test part",
    )
    dataset = load_tfds("toy_photos/secret", data_dir=folder)
    assert (len(dataset.train), dataset.validation, len(dataset.test)) == (20, None, 4)
    assert dataset.notes[0] == "not used: test, since its labels are secret"


def test_a_set_with_train_only_has_a_test_part_cut(folder):
    dataset = load_tfds("toy_photos/train_only", data_dir=folder)
    assert (len(dataset.train), dataset.validation, len(dataset.test)) == (18, None, 2)
    assert sorted(grey(dataset.train) + grey(dataset.test)) == list(range(20))
    assert sorted(dataset.test.labels) == [0, 1]
    assert dataset.notes == (
        "the test part is 2 examples cut from train by a fixed stratified rule "
        "(--data.test 0: none)",
    )


def test_a_set_without_train_is_an_error(folder):
    with pytest.raises(UserError, match="toy_photos/test_only has no part named train but test"):
        load_tfds("toy_photos/test_only", data_dir=folder)


def test_a_train_part_without_labels_is_an_error(folder):
    message = r"20 of the 20 labels of toy_photos/secret_train's train part .* such as -1"
    with pytest.raises(UserError, match=message):
        load_tfds("toy_photos/secret_train", data_dir=folder)
    with pytest.raises(UserError, match=r"secret_train's train part .* cannot be used"):
        find_tfds("toy_photos/secret_train", folder)


def test_further_parts_are_noted(folder):
    dataset = load_tfds("toy_photos/further", data_dir=folder)
    assert dataset.notes == ("not used: extra",)


def test_images_of_varied_size_need_one(folder):
    with pytest.raises(UserError, match=r"varied differ in size; .* --data\.image-size 64"):
        load_tfds("toy_photos/varied", data_dir=folder)
    dataset = load_tfds("toy_photos/varied", image_size=5, data_dir=folder)
    assert dataset.train.images.shape == (20, 5, 5, 3)
    assert sorted(grey(dataset.train)) == list(range(20))
    assert (np.ptp(dataset.train.images, axis=(1, 2, 3)) == 0).all()


def test_memory_is_checked(folder):
    # 20 + 4 images of 4 x 6 bytes.
    assert len(load_tfds("toy_photos/imagenet", data_dir=folder, max_bytes=576).train) == 20
    with pytest.raises(UserError, match="24 images of 4x6x1 bytes"):
        load_tfds("toy_photos/imagenet", data_dir=folder, max_bytes=575)


def test_large_images_are_decoded_in_threads(folder, monkeypatch):
    before = load_tfds("toy_photos/plain", data_dir=folder)
    monkeypatch.setattr("cnn_jax.data.tfds_reader._SMALL_BYTES", 0)
    monkeypatch.setattr("cnn_jax.data.tfds_reader._READ_AT_ONCE", 7)
    again = load_tfds("toy_photos/plain", data_dir=folder)
    np.testing.assert_array_equal(before.train.images, again.train.images)
    np.testing.assert_array_equal(before.train.labels, again.train.labels)
