import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import photos
import pytest

from cnn_jax.data.feed import Feed
from cnn_jax.data.images import UnreadableImage
from cnn_jax.data.memory import Order
from cnn_jax.data.pieces import InTurn, Pieces, Shuffled
from cnn_jax.data.streaming import streamed
from cnn_jax.data.workers import WorkerEnded
from cnn_jax.recipe import Data


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    top = photos.write_folder(tmp_path_factory.mktemp("photos") / "set", 40)
    return streamed(Data(f"folder:{top}", image_size=16, random_crop=(0.08, 1.0))).train


@pytest.fixture
def small(monkeypatch):
    """Five images a piece."""
    monkeypatch.setattr("cnn_jax.data.pieces.PIECE_BYTES", 5 * 16 * 16 * 3)


def pieces(split, steps, rows=None, seed=3, batch_size=16):
    order = Shuffled(Order(3, len(split), batch_size))
    return Pieces(split, order, np.arange(batch_size) if rows is None else rows, steps, seed)


def read(made, workers=0):
    return list(made.batches(workers))


def same(one, other):
    assert [batch.step for batch in one] == [batch.step for batch in other]
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.inputs, b.inputs)
        np.testing.assert_array_equal(a.targets, b.targets)


def test_workers_do_not_change_what_is_read(train, small):
    made = pieces(train, range(2, 7))
    assert (made.size, made.per_step, len(made)) == (5, 4, 20)
    plain = read(made)
    same(plain, read(made, workers=2))
    assert [batch.inputs.shape for batch in plain] == [(16, 16, 16, 3)] * 5
    assert not workers_of(os.getpid())


def workers_of(process):
    """The numbers of the processes that it has begun."""
    return [
        int(number)
        for thread in Path(f"/proc/{process}/task").iterdir()
        for number in (thread / "children").read_text().split()
    ]


def gone(number):
    for _ in range(300):
        if not Path(f"/proc/{number}").exists():
            return True
        time.sleep(0.1)
    return False


SCRIPT = """
import sys
import numpy as np
from cnn_jax import Data
from cnn_jax.data.pieces import InTurn, Pieces
from cnn_jax.data.recipe_data import read_data

print("begins", flush=True)
train = read_data(Data(sys.argv[1], image_size=8, streaming=True)).train
for batch in Pieces(train, InTurn(10**6, 4), np.arange(4), range(10**6), None).batches(1):
    print("read", flush=True)
    sys.stdin.readline()
"""


def test_workers_need_neither_the_script_nor_jax_and_end_with_it(tmp_path):
    top = photos.write_folder(tmp_path / "set", 30)
    (tmp_path / "script.py").write_text(SCRIPT)  # without a guard
    (tmp_path / "numpy.py").write_text("raise ImportError('from where it was begun')")
    command = [sys.executable, "-P", str(tmp_path / "script.py"), f"folder:{top}"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, **pipes) as script:
        assert [script.stdout.readline() for _ in range(2)] == ["begins\n", "read\n"]
        (worker,) = workers_of(script.pid)
        loaded = Path(f"/proc/{worker}/maps").read_text()
        assert "numpy" in loaded and "jaxlib" not in loaded
        script.kill()
        assert gone(worker)


def test_a_step_is_the_same_wherever_reading_began(train, small):
    same(read(pieces(train, range(0, 6)))[4:], read(pieces(train, range(4, 6))))


def test_processes_read_their_rows_of_the_same_batch(train, small):
    (whole,) = read(pieces(train, range(3, 4)))
    for rows in (np.arange(0, 8), np.array([1, 2, 12, 13, 14, 15])):
        (part,) = read(pieces(train, range(3, 4), rows))
        np.testing.assert_array_equal(part.inputs, whole.inputs[rows])
        np.testing.assert_array_equal(part.targets, whole.targets[rows])


def test_an_example_is_cut_otherwise_in_every_epoch(train):
    n = len(train)
    order = Order(3, n, n)
    first, second = read(pieces(train, range(2), batch_size=n))
    places = [np.argsort(order(step)[0]) for step in (0, 1)]
    np.testing.assert_array_equal(first.targets[places[0]], second.targets[places[1]])
    np.testing.assert_array_equal(first.targets[places[0]], train.labels)
    pairs = zip(first.inputs[places[0]], second.inputs[places[1]], strict=True)
    assert not any((one == other).all() for one, other in pairs)


def test_evaluation_reads_every_example_once(train):
    made = Pieces(train, InTurn(len(train), 16), np.arange(16), range(3), None)
    labels = np.concatenate([batch.targets for batch in read(made)])
    n = len(train)
    np.testing.assert_array_equal(labels[:n], train.labels)
    (*_, last) = read(made)
    assert not last.inputs[n - 32 :].any() and last.inputs[: n - 32].any(axis=(1, 2, 3)).all()


def test_an_unreadable_image_is_named(tmp_path, small):
    top = photos.write_folder(tmp_path / "set", 20)
    split = streamed(Data(f"folder:{top}", image_size=16, streaming=True)).train
    split.source.path(int(split.places[11])).write_bytes(b"\xff\xd8 no image")
    name = str(split.source.path(int(split.places[11])))
    with pytest.raises(UnreadableImage, match="is not a JPEG, PNG") as error:
        read(Pieces(split, InTurn(len(split), 16), np.arange(16), range(1), None))
    assert str(error.value).startswith(name)
    feed = Feed(lambda: Pieces(split, InTurn(18, 16), np.arange(16), range(1), None).batches(1), 1)
    with pytest.raises(UnreadableImage, match="is not a JPEG, PNG") as error:
        feed.get()
    assert str(error.value).startswith(name)


def test_a_worker_that_ends_is_told(train, small):
    feed = Feed(lambda: pieces(train, range(10_000)).batches(1), 1)
    feed.get()
    (worker,) = workers_of(os.getpid())
    # Signals that ask the run to stop go to its workers too, and must not end them.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        os.kill(worker, number)
    for _ in range(20):
        feed.get()
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(WorkerEnded, match=r"exit code -9.*fewer --workers"):
        for _ in range(100):
            feed.get()
