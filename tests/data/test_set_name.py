"""A path that is given as the name of a data set."""

import pytest

from cnn_jax import Data, UserError
from cnn_jax.data.catalog import fetch, load
from cnn_jax.data.recipe_data import read_data


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
