"""Batches of a streamed split, read and decoded in worker processes ahead of their step."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple

import numpy as np

from cnn_jax.data.memory import Order
from cnn_jax.data.streamed import StreamedSplit
from cnn_jax.data.workers import Reader, Task, read_in_processes, read_in_threads
from cnn_jax.errors import UserError

PIECE_BYTES = 2**21
"""Images of a batch are read in pieces of about so many bytes: of batches as a whole each worker
would hold one or two."""


class Batch(NamedTuple):
    """The examples of a step which one process has on its devices.

    Attributes:
      step: of the training, or which batch of an evaluation.
      inputs: (r, h, w, c), as the view has them.
      targets: (r, ...), as the source has them.
    """

    step: int
    inputs: np.ndarray
    targets: np.ndarray


class Shuffled:
    """The examples of the steps of a training."""

    def __init__(self, order: Order) -> None:
        self._order = order

    def __call__(self, step: int) -> np.ndarray:
        """(b,) int32."""
        return self._order(step)[0]


class InTurn:
    """The examples of the batches of an evaluation: each of n once, -1 after the last."""

    def __init__(self, n: int, batch_size: int) -> None:
        self._n, self._batch_size = n, batch_size

    def __call__(self, step: int) -> np.ndarray:
        """(b,) int64."""
        places = step * self._batch_size + np.arange(self._batch_size)
        return np.where(places < self._n, places, -1)


class Pieces:
    """The batches of some steps, which are read in pieces.

    Args:
      split: what is read.
      indices: gives the examples (b,) int of a step, negative where there is none.
      rows: (r,) int, the places in a batch that this process reads.
      steps: the steps that are read.
      seed: of random parts of images; None prepares images as for evaluation.
    """

    def __init__(
        self,
        split: StreamedSplit,
        indices: Callable[[int], np.ndarray],
        rows: np.ndarray,
        steps: range,
        seed: int | None,
    ) -> None:
        self._split, self._indices, self._rows = split, indices, rows
        self._steps, self._seed = steps, seed
        self.view = split.evaluation if seed is None else split.training
        self.size = max(1, PIECE_BYTES // int(np.prod(self.view.shape)))
        self.per_step = -(-len(rows) // self.size)

    def __len__(self) -> int:
        return len(self._steps) * self.per_step

    def _tasks(self) -> Iterator[Task]:
        for step in self._steps:
            indices = self._indices(step)[self._rows]
            for start in range(0, len(self._rows), self.size):
                part = slice(start, start + self.size)
                yield Task(step, self._rows[part], indices[part])

    def batches(self, workers: int) -> Generator[Batch]:
        """The batches of the steps in turn.

        Args:
          workers: processes that read; with 0 threads of this one do.

        Raises:
          UserError: an image cannot be read, or a worker cannot be started or has ended.
        """
        reader = Reader(self._split, self.view, self._seed, min(self.size, len(self._rows)))
        if workers:
            pieces = read_in_processes(reader, self._tasks(), min(workers, len(self)))
        else:
            pieces = read_in_threads(reader, self._tasks())
        count = len(self._rows)
        with contextlib.closing(pieces):
            for step in self._steps:
                batch = Batch(step, reader.room(count), reader.targets(count))
                for start in range(0, count, self.size):
                    part, piece = slice(start, start + self.size), next(pieces)
                    batch.inputs[part], batch.targets[part] = piece
                yield batch


def check_workers(workers: int | None) -> None:
    """Checks a number of processes.

    Raises:
      UserError: it is negative.
    """
    if workers is not None and workers < 0:
        raise UserError(f"--workers {workers} must be at least 0")


def default_workers() -> int:
    """As many as there are processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
