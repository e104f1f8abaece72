"""A path that is given as the name of a data set."""

import pytest

from cnn_jax import Data, UserError
from cnn_jax.data.catalog import load
from cnn_jax.data.places import fetch
from cnn_jax.data.recipe_data import read_data
from cnn_jax.recipe import Masks


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("photos", "my photos", "mnist2"):
        (tmp_path / name).mkdir()
    (tmp_path / "photos" / "a.png").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("./photos", "did you mean folder:./photos?"),
        ("photos", "did you mean folder:photos?"),
        ("photos/", "did you mean folder:photos/?"),
        ("my photos", "did you mean folder:my photos?"),
        ("~/photos", "did you mean folder:~/photos?"),
        ("Folder:photos", "did you mean folder:photos?"),
        ("mnist2", "did you mean folder:mnist2?"),
        ("photos/a.png", "is a file"),
        ("./nothing", "there is no such folder"),
        ("a/b/c", "there is no such folder"),
        ("foo/bar:1.0", "did you mean"),
        ("digitz", "did you mean 'digits'"),
    ],
)
def test_a_path_gets_the_hint_from_every_reader(name, hint):
    for read in (
        fetch,
        load,
        lambda name: read_data(Data(name)),
        lambda name: read_data(Data(name, streaming=True)),
    ):
        with pytest.raises(UserError) as told:
            read(name)
        assert hint in str(told.value)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("digits", {"skip_bad": True}, "--data.skip-bad is for image files, and digits has none"),
        ("npz:x", {"full_depth": True}, "--data.full-depth is for image files, and npz:x has none"),
        ("npz:x", {"image_size": 8}, "arrays have a size: give --preprocess.size"),
        ("moving_digits", {"image_size": 8}, "give moving_digits:size=8"),
        (
            "coco:x",
            {"grey_range": (0, 4095), "kind": "boxes"},
            "--data.grey-range is for folders, tables and masks, and coco:x has boxes",
        ),
        ("series:x", {"skip_bad": True}, "--data.skip-bad is for images, and series:x has series"),
        ("sound:x", {"grey_range": (0, 9)}, "--data.grey-range is for images, and sound:x has"),
        ("sound:x", {"rate": 0}, "--data.rate 0 must be at least 1"),
        ("folder:x", {"fit": "stretch"}, "--data.fit stretch is for sets of boxes, and folder:x"),
        ("folder:x", {"masks": Masks(ignore=(1,))}, "--data.masks is for masks:PATH, and folder:x"),
        ("masks:x", {"kind": "mask", "frames": 3}, "--data.frames 3 is for videos, and masks:x"),
    ],
)
def test_what_a_set_does_not_have_is_refused(name, options, said):
    with pytest.raises(UserError) as error:
        load(name, **options)
    assert said in str(error.value)
