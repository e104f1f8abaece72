"""Threads or processes that read pieces of batches ahead of when they are asked for.

A process that reads needs no JAX and does not import the script that trains. It writes pixels into
memory that it shares with the one that it reads for, in which pieces take turns.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import mmap
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import traceback
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from cnn_jax.data.crops import uniforms
from cnn_jax.data.streamed import StreamedSplit, View
from cnn_jax.errors import UserError

_AHEAD = 4
"""Pieces that a process has ready, or is reading."""

_THREADS = 4
_THREADS_AHEAD = 2 * _THREADS

_ENVIRONMENT = {
    # Else memory for the pixels of an image may be given back and asked for anew at every image,
    # which costs a tenth of the time. Where the C library is not glibc they have no effect.
    "MALLOC_MMAP_THRESHOLD_": str(2**26),
    "MALLOC_TRIM_THRESHOLD_": str(2**27),
    # Nothing is multiplied here, but numpy would start a thread for every processor.
    "OPENBLAS_NUM_THREADS": "1",
}


class WorkerEnded(UserError):
    """A process that reads images has ended."""

    exit_code = 70  # EX_SOFTWARE


class Task(NamedTuple):
    """Examples that are read together.

    Attributes:
      step: of the training, or which batch of an evaluation.
      rows: (m,) int, their places in the batch.
      indices: (m,) int, which examples they are; negative where there is none.
    """

    step: int
    rows: np.ndarray
    indices: np.ndarray


class Piece(NamedTuple):
    """What was read; zeros for no example.

    Attributes:
      inputs: (m, h, w, c), as the view has them; the memory may be written to again once the next
        piece is asked for.
      targets: (m, ...), as the source has them.
    """

    inputs: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True, eq=False)
class Reader:
    """What reads pieces.

    Attributes:
      split: that is read.
      view: how images are prepared.
      seed: of random parts of images; None where nothing is random.
      size: how many examples a piece has at most.
    """

    split: StreamedSplit
    view: View
    seed: int | None
    size: int

    def room(self, count: int) -> np.ndarray:
        """Memory for the inputs of so many examples."""
        return np.empty((count, *self.view.shape), self.view.dtype)

    def targets(self, count: int) -> np.ndarray:
        """Zeros for the targets of so many."""
        field = self.split.target
        return np.zeros((count, *field.shape), field.dtype)

    def read(self, task: Task, inputs: np.ndarray) -> np.ndarray:
        """Reads into `inputs` (m, h, w, c) and gives the targets (m, ...).

        Raises:
          UnreadableImage: an image cannot be read.
        """
        targets = self.targets(len(task.rows))
        pairs = zip(task.rows.tolist(), task.indices.tolist(), strict=True)
        for at, (row, index) in enumerate(pairs):
            if index < 0:
                inputs[at] = 0
                continue
            numbers = None if self.seed is None else uniforms(self.seed, task.step, row)
            inputs[at], targets[at] = self.split.example(index, self.view, numbers)
        return targets


def read_in_threads(reader: Reader, tasks: Iterator[Task]) -> Generator[Piece]:
    """The pieces of the tasks in turn, read by threads of this process.

    Raises:
      UnreadableImage: an image cannot be read.
    """

    def piece(task: Task) -> Piece:
        inputs = reader.room(len(task.rows))
        return Piece(inputs, reader.read(task, inputs))

    threads, begun = ThreadPoolExecutor(_THREADS), deque[Future[Piece]]()
    try:
        for task in tasks:
            begun.append(threads.submit(piece, task))
            if len(begun) == _THREADS_AHEAD:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)


def read_in_processes(reader: Reader, tasks: Iterator[Task], count: int) -> Generator[Piece]:
    """The pieces of the tasks in turn, read by so many processes.

    Raises:
      UnreadableImage: an image cannot be read.
      UserError: a process cannot be started, or has ended.
    """
    workers: list[_Worker] = []
    try:
        try:
            workers += (_Worker(reader) for _ in range(count))
        except OSError as error:
            raise UserError(
                f"images cannot be read by processes: {error.strerror or error}; fewer --workers, "
                "or --workers 0, may help"
            ) from error
        message = pickle.dumps(reader, pickle.HIGHEST_PROTOCOL)
        for worker in workers:
            worker.tell(message)
        asked = 0
        for slot, worker in itertools.product(range(_AHEAD), workers):
            if (task := next(tasks, None)) is not None:
                worker.ask(slot, task)
                asked += 1
        for turn in itertools.count():
            if turn == asked:
                return
            worker, slot = workers[turn % count], turn // count % _AHEAD
            yield worker.given(slot)
            if (task := next(tasks, None)) is not None:
                worker.ask(slot, task)
                asked += 1
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """A process that reads, with the memory that it writes to."""

    def __init__(self, reader: Reader) -> None:
        shape, dtype = (_AHEAD, reader.size, *reader.view.shape), np.dtype(reader.view.dtype)
        size = math.prod(shape) * dtype.itemsize
        self._link, far = Pipe()
        with far, _shared(size) as memory:
            numbers = far.fileno(), memory
            code = f"from cnn_jax.data.workers import serve; serve{numbers}"
            # -P: nothing is imported from the folder in which it is begun.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", code],
                stdin=subprocess.DEVNULL,
                env=_ENVIRONMENT | os.environ | {"PYTHONPATH": _import_path()},
                pass_fds=numbers,
            )
            self._slots = np.ndarray(shape, dtype, mmap.mmap(memory, size))
        self._counts = [0] * _AHEAD

    def tell(self, message: bytes) -> None:
        """Sends bytes to it."""
        try:
            self._link.send_bytes(message)
        except OSError:
            self._has_ended()

    def ask(self, slot: int, task: Task) -> None:
        """Asks it to read into a part of the memory."""
        self._counts[slot] = len(task.rows)
        self.tell(pickle.dumps((slot, task), pickle.HIGHEST_PROTOCOL))

    def given(self, slot: int) -> Piece:
        """What it has read there; waits until it has."""
        found: np.ndarray | Exception
        try:
            found = self._link.recv()
        except (EOFError, OSError):
            self._has_ended()
        if isinstance(found, Exception):
            raise found
        return Piece(self._slots[slot, : self._counts[slot]], found)

    def end(self) -> None:
        """Ends it, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._link.close()

    def _has_ended(self) -> NoReturn:
        raise WorkerEnded(
            f"a process that reads images has ended (exit code {self._process.wait()}). It may "
            "have been killed for its memory (give fewer --workers). The same command begins "
            "again, a training from its newest checkpoint."
        )


def serve(link: int, memory: int) -> None:
    """Reads what is asked for until nobody is left to ask: what a process that reads runs.

    Args:
      link: descriptor of the connection to the one that asks.
      memory: that of the memory to write pixels to.
    """
    block_signals()
    # Nobody may be left when something is to be told, either.
    with contextlib.suppress(EOFError, ConnectionError), Connection(link) as asked:
        reader: Reader = asked.recv()
        shape = _AHEAD, reader.size, *reader.view.shape
        slots = np.ndarray(shape, reader.view.dtype, mmap.mmap(memory, 0))
        while True:
            slot, task = asked.recv()
            try:
                found: np.ndarray | Exception = reader.read(task, slots[slot, : len(task.rows)])
            except Exception as error:
                error.add_note(traceback.format_exc())
                found = error
            asked.send(found)


def block_signals() -> None:
    """Keeps signals from this thread and from the processes that it starts.

    Those that ask a run to stop go to all of its processes, from a terminal or from Slurm; the
    main one needs its workers until it has saved.
    """
    signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP}
    )


@contextlib.contextmanager
def _shared(size: int) -> Iterator[int]:
    """Descriptor of zeros that processes can share; they are gone with the last that maps them."""
    with contextlib.ExitStack() as opened:
        if hasattr(os, "memfd_create"):
            number = os.memfd_create("cnn_jax")
            opened.callback(os.close, number)
        else:
            number = opened.enter_context(tempfile.TemporaryFile()).fileno()
        os.ftruncate(number, size)
        yield number


def _import_path() -> str:
    """Where this process imports from."""
    return os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)
