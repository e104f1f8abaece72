"""Locks on files, where there are some."""

import errno
import fcntl

import pytest
from rich.console import Console

from cnn_jax.data import download
from cnn_jax.file_lock import lock_file
from cnn_jax.run_folder import RunFolder


def test_a_lock_is_held_until_the_file_is_closed(tmp_path):
    with (tmp_path / "lock").open("w") as first, (tmp_path / "lock").open("w") as second:
        assert lock_file(first)
        with pytest.raises(BlockingIOError):
            lock_file(second)
        first.close()
        assert lock_file(second, wait=True)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_work_goes_on_where_files_cannot_be_locked(number, tiny, tmp_path, monkeypatch, capsys):
    def flock(file, how):
        raise OSError(number, "none here")

    monkeypatch.setattr(fcntl, "flock", flock)
    folder = RunFolder(tmp_path / "run")
    assert folder.locked
    folder.start(tiny)
    assert not folder.locked
    folder.close()
    with download.exclusive(tmp_path / "toy.lock", Console(width=200), "toy"):
        assert "files cannot be locked: see that no other process" in capsys.readouterr().out


def test_another_failure_is_one(tiny, tmp_path, monkeypatch):
    def flock(file, how):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="broken"), (tmp_path / "lock").open("w") as file:
        lock_file(file)
