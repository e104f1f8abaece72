"""All paths of a user are read by one rule."""

from pathlib import Path

import pytest

from cnn_jax import Recipe, UserError
from cnn_jax.__main__ import read_command
from cnn_jax.commands.command_line import parse
from cnn_jax.data.places import fetch
from cnn_jax.data.tfds_sets import data_folder
from cnn_jax.devices.compilation_cache import default_folder
from cnn_jax.launch import Launch
from cnn_jax.user_path import user_path


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        (["evaluate", "~/r", "--data-dir=~/d"], ["run", "data_dir"]),
        (["predict", "~/r", "~/a.png", "~/b.png"], ["run", "images"]),
        (["export", "~/r", "--output=~/o"], ["run", "output"]),
        (["runs", "~/r"], ["folder"]),
        (["plan", "~/r", "--data-dir=~/d"], ["recipe", "data_dir"]),
        (["template", "slurm", "~/r", "--workdir=~/w"], ["recipe", "workdir"]),
        (["data", "show", "digits", "--output=~/o"], ["output"]),
        (["data", "bench", "digits", "--data-dir=~/d"], ["data_dir"]),
    ],
)
def test_every_command_knows_the_home_folder(words, fields, home):
    command = read_command(words)
    for field in fields:
        value = getattr(command, field)
        for path in value if isinstance(value, tuple) else [value]:
            assert path.parent == home


def test_an_experiment_knows_the_home_folder(home):
    words = ["--workdir=~/r", "--data-dir", "~/d"]
    launch = parse(Launch, default=Launch(Recipe(name="x")), arguments=words)
    assert (launch.workdir, launch.data_dir) == (home / "r", home / "d")


def test_names_and_the_environment_know_the_home_folder(home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "~/cache")
    monkeypatch.setenv("TFDS_DATA_DIR", "~/tfds")
    assert default_folder() == home / "cache/cnn_jax/compiled"
    assert data_folder() == home / "tfds"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder() == home / ".cache/cnn_jax/compiled"
    (home / "photos").mkdir()
    assert fetch("folder:~/photos").path == str((home / "photos").resolve())
    assert not Path("~").exists()


@pytest.mark.parametrize("text", ["~nobody-of-that-name/x", ""])
def test_what_is_no_path_is_refused(text, capsys):
    with pytest.raises(UserError, match=r"no home folder|empty"):
        user_path(text)
    with pytest.raises(SystemExit) as stopped:
        parse(Launch, default=Launch(Recipe(name="x")), arguments=[f"--workdir={text}"])
    assert stopped.value.code == 2
    told = capsys.readouterr()
    assert "--workdir" in told.out + told.err
