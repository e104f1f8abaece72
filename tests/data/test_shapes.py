import numpy as np
import pytest

from cnn_jax.data import load
from cnn_jax.data.shapes import CLASS_NAMES, Shapes, load_shapes, shapes_split
from cnn_jax.errors import UserError


def test_defaults():
    dataset = load_shapes(Shapes())
    assert dataset.name == "shapes"
    assert dataset.class_names == ("disc", "square", "triangle", "cross", "ring", "bar")
    assert dataset.train.images.shape == (2000, 32, 32, 3)
    assert dataset.test.images.shape == (400, 32, 32, 3)
    assert dataset.validation is None


def test_options_in_the_name():
    dataset = load("shapes:n=103,size=20,classes=10,channels=1,seed=3")
    assert dataset.class_names == CLASS_NAMES and len(CLASS_NAMES) == 10
    expected = shapes_split(103, 20, 10, 1, 3)
    np.testing.assert_array_equal(dataset.train.images, expected.images)
    np.testing.assert_array_equal(dataset.train.labels, expected.labels)
    assert dataset.test.images.shape == (20, 20, 20, 1)
    # Of 103 in 10 classes three have one more.
    assert sorted(np.bincount(dataset.train.labels)) == [10] * 7 + [11] * 3
    assert np.bincount(dataset.test.labels).tolist() == [2] * 10


def test_is_a_pure_function_of_seed_and_stream():
    first, again = (shapes_split(60, 16, 6, 3, 0) for _ in range(2))
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.labels, again.labels)
    for other in [shapes_split(60, 16, 6, 3, 1), shapes_split(60, 16, 6, 3, 0, 1)]:
        assert (first.labels != other.labels).any()
        assert (first.images != other.images).any((1, 2, 3)).all()


def test_golden():
    train = shapes_split(20, 16, 10, 1, 0)
    assert train.labels.tolist() == [2, 3, 5, 3, 7, 5, 4, 6, 9, 0, 8, 9, 1, 4, 8, 7, 1, 6, 2, 0]
    row = [51, 35, 38, 25, 121, 154, 147, 146, 101, 142, 131, 122, 146, 96, 63, 33]
    # Another platform may round a sine or root, and so a pixel, the other way.
    np.testing.assert_allclose(train.images[0, 8, :, 0].astype(int), row, atol=1)
    test = shapes_split(20, 16, 10, 1, 0, 1)
    assert test.labels.tolist() == [0, 7, 4, 3, 6, 0, 8, 9, 1, 1, 5, 5, 3, 8, 7, 2, 6, 9, 4, 2]


def test_long_sets_are_drawn_in_blocks_that_do_not_repeat():
    # 2**21 pixels a block: 32 images of 256 x 256.
    split = shapes_split(70, 256, 10, 1, 0)
    assert split.images.any((1, 2, 3)).all()
    assert (split.images[:32] != split.images[32:64]).any((1, 2, 3)).all()


def test_every_shape_is_whole_brighter_than_the_ground_and_not_always_in_one_place():
    split = shapes_split(1000, 32, 10, 1, 7)
    bright = split.images[..., 0].astype(float)
    rows, columns = bright.mean(2).argmax(1), bright.mean(1).argmax(1)
    assert np.std(rows) > 2 and np.std(columns) > 2
    for label in range(10):
        images = bright[split.labels == label]
        # A border of one pixel is nearly always ground: at most 80 + noise.
        border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], 1)
        assert border.mean() < 60
        assert np.percentile(images, 97) > 130


def test_shapes_look_like_what_they_are_called():
    split = shapes_split(4000, 32, 10, 1, 7)
    area = {}
    for label, name in enumerate(CLASS_NAMES):
        images = split.images[split.labels == label].astype(float)
        threshold = (images.min((1, 2, 3)) + images.max((1, 2, 3))) / 2
        area[name] = (images > threshold[:, None, None, None]).mean()
    # Full shapes cover more than hollow ones, and a disc about pi / (4 * 0.85**2) of a square.
    assert area["disc"] / area["square"] == pytest.approx(np.pi / (4 * 0.85**2), rel=0.1)
    assert area["frame"] < area["square"] and area["ring"] < area["disc"]
    assert area["bar"] < area["cross"]
    assert area["cross"] == pytest.approx(area["saltire"], rel=0.1)


def test_mirror_images_stay_in_their_class():
    # Means over many random places: a shape and its mirror image differ by noise alone.
    split = shapes_split(8000, 16, 10, 1, 7)
    for label in range(10):
        mean = split.images[split.labels == label, ..., 0].mean(0)
        assert np.abs(mean - mean[:, ::-1]).max() < 15


@pytest.mark.parametrize(
    "options, message",
    [
        ("100", "'100' must be key=value"),
        ("n=100,", "'' must be key=value, such as n=2000"),
        ("sice=16", r"unknown option of shapes 'sice'; did you mean 'size'"),
        ("n=2e3", "n=2e3 must be a whole number"),
        ("n=-5", "n=-5 must be a whole number"),
        ("n=", "n= must be a whole number"),
        ("n=100,n=200", "n is given twice"),
        ("n=5", "n=5 must be at least 6, one a class"),
        ("classes=11", "classes=11 must be 2 to 10"),
        ("classes=1", "classes=1 must be 2 to 10"),
        ("size=7", "size=7 must be at least 8"),
        ("channels=2", "channels=2 must be 1 or 3"),
        ("seed=4294967296", "seed=4294967296 must be 0 to"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(UserError, match=message):
        Shapes.parse(options)


def test_options_are_parsed():
    assert Shapes.parse("") == Shapes(2000, 32, 6, 3, 0)
    assert Shapes.parse("seed=4,n=50") == Shapes(n=50, seed=4)


def test_size_may_be_given_apart():
    assert Shapes.parse("", 16) == Shapes.parse("size=16", 16) == Shapes(size=16)
    with pytest.raises(UserError, match=r"size=32 differs from --data\.image-size 16"):
        Shapes.parse("size=32", 16)


def test_a_small_set_has_every_class_in_test():
    dataset = load_shapes(Shapes(n=6, size=16))
    assert np.bincount(dataset.test.labels).tolist() == [1] * 6


def test_memory_is_checked():
    shapes = Shapes(n=10, size=16, classes=2, channels=1)
    assert len(load_shapes(shapes, max_bytes=12 * 256).train) == 10
    with pytest.raises(UserError, match="12 images of 16x16x1"):
        load_shapes(shapes, max_bytes=12 * 256 - 1)
