"""Processes that are measured: what they answer, and when they are given up."""

import sys

import pytest

from benchmarks.speed.measure import Limits, Running, _tried
from benchmarks.speed.processes import Failed, TooSlow, Worker, environment

PROGRAM = """
import json, sys
print(json.dumps({"peak_bytes": 5}), flush=True)
print(json.dumps({"peak_bytes": 6}), flush=True)
for line in sys.stdin:
    command, count = line.split()
    if command == "fail":
        sys.exit("it has failed")
    if command == "train":
        print(json.dumps({"value": 2 * int(count), "peak_bytes": 7}), flush=True)
"""


@pytest.fixture
def worker(tmp_path):
    variables = environment("cpu", tmp_path / "cache")
    found = Worker([sys.executable, "-c", PROGRAM], variables, tmp_path / "log")
    found.compile(60)
    yield found
    found.close()


def test_a_process_answers(worker):
    assert worker.peak_bytes == 5
    assert worker.first_step(60) > 0
    assert worker.ask("train", 3, limit=60) == 6
    assert worker.peak_bytes == 7


def test_one_that_ends_is_told_with_its_last_words(worker):
    worker.first_step(60)
    with pytest.raises(Failed, match="it has failed"):
        worker.ask("fail", limit=60)


def test_one_that_is_too_slow_is_ended_and_left_out(worker):
    worker.first_step(60)
    with pytest.raises(TooSlow):
        worker.ask("nothing", limit=0.1)
    assert worker._process.returncode is not None

    limits = Limits(rounds=1, seconds=1.0, budget=1.0, step=0.5, compile=1.0)
    found = {"train": [1.0]}
    running = {"flax": Running(found, limits, 4)}

    def slow(one):
        raise TooSlow

    _tried(running, "flax", slow, "a step", 0.5)
    assert (running, found) == ({}, {"why": "> 0.5 s a step"})


def test_a_round_begins_with_a_step_that_is_not_counted():
    class Asked:
        def __init__(self):
            self.commands = []

        def ask(self, command, count, limit):
            self.commands.append((command, count))
            return 100.0 if len(self.commands) == 1 else 2.0

    limits = Limits(rounds=1, seconds=1.0, budget=1.0, step=0.5, compile=1.0)
    one = Running({}, limits, batch=4)
    one.worker, one.steps = Asked(), {"train": 3}
    one.round("train")
    one.round("loop")
    assert one.worker.commands == [("train", 1), ("train", 3), ("loop", 3)]
    assert one.found == {"train": [6.0], "loop": [6.0]}


def test_all_are_given_the_same_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
    monkeypatch.setenv("XLA_FLAGS", "--something")
    found = environment("cpu", tmp_path)
    assert found["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"
    assert "XLA_FLAGS" not in found
    assert found["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path)
