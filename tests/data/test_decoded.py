import os
import time

import numpy as np
import pytest

from cnn_jax.data.dataset import Split
from cnn_jax.data.decoded import fingerprint, kept

SPLIT = Split(np.arange(48, dtype=np.uint8).reshape(3, 4, 4, 1), np.array([2, 0, 1], np.int32))


class Maker:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return SPLIT


@pytest.fixture
def make():
    return Maker()


def load(folder, make, n=3):
    found = kept(folder, "train-abc", n, (4, 4, 1), make)
    np.testing.assert_array_equal(found.images, SPLIT.images)
    np.testing.assert_array_equal(found.labels, SPLIT.labels)


def test_the_second_time_nothing_is_decoded(tmp_path, make):
    for _ in range(3):
        load(tmp_path / "decoded", make)
    assert make.calls == 1
    assert [file.name for file in (tmp_path / "decoded").iterdir()] == ["train-abc.npz"]


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_damaged_file_is_made_anew(content, tmp_path, make):
    load(tmp_path, make)
    file = tmp_path / "train-abc.npz"
    file.write_bytes(file.read_bytes()[:200] if content is None else content)
    load(tmp_path, make)
    load(tmp_path, make)
    assert make.calls == 2


def test_whatever_is_damaged_it_is_made_anew(tmp_path, make):
    load(tmp_path, make)
    file = tmp_path / "train-abc.npz"
    whole = file.read_bytes()
    for place in range(0, len(whole), 3):
        # As long as before, so that the archive's end is found and what is wrong lies within.
        damaged = bytearray(whole)
        damaged[place] ^= 0x29
        file.write_bytes(damaged)
        load(tmp_path, make)


def test_others_may_read_what_is_kept_as_the_umask_says(tmp_path, make):
    before = os.umask(0o027)
    try:
        load(tmp_path / "decoded", make)
    finally:
        os.umask(before)
    assert (tmp_path / "decoded" / "train-abc.npz").stat().st_mode & 0o777 == 0o640


def test_partial_files_of_processes_that_have_ended_are_removed(tmp_path, make):
    old, new = tmp_path / "tmpabc.partial", tmp_path / "tmpdef.partial"
    for file, age in ((old, 7200), (new, 60)):
        file.touch()
        os.utime(file, (time.time() - age,) * 2)
    load(tmp_path, make)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["tmpdef.partial", "train-abc.npz"]


def test_another_count_is_not_taken(tmp_path, make):
    load(tmp_path, make)
    load(tmp_path, make, n=4)
    assert make.calls == 2


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path, make):
    (tmp_path / "file").write_text("")
    load(tmp_path / "file", make)
    assert make.calls == 1


def test_the_key_follows_the_files_and_facts(tmp_path):
    file = tmp_path / "a"
    file.write_text("1")
    first = fingerprint([file], 28)
    assert fingerprint([file], 28) == first
    assert fingerprint([file], 32) != first
    file.write_text("12")
    assert fingerprint([file], 28) != first
