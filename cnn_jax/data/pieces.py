"""Batches of a streamed split, read and decoded in worker processes ahead of their step."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from multiprocessing import parent_process
from multiprocessing.connection import wait
from typing import Any, NamedTuple, SupportsIndex

import numpy as np
from absl import flags

from cnn_jax.data.crops import uniforms
from cnn_jax.data.main_guard import UNGUARDED, no_guard
from cnn_jax.data.memory import Order
from cnn_jax.data.streamed import StreamedSplit
from cnn_jax.errors import UserError

PIECE_BYTES = 2**21
"""Images of a batch are read in pieces of about so many bytes: of batches as a whole each worker
would hold one or two."""

_AHEAD = 2
"""Pieces that a worker has ready, and as many lie with the process that takes them."""

_THREADS = 4
"""Threads that read pieces where there are no workers."""


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
    """The pieces of the batches of some steps by number: what Grain's workers are asked for.

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

    def __getitem__(self, number: SupportsIndex) -> dict[str, np.ndarray]:
        """`inputs` (m, h, w, c) and `targets` (m, ...) of a piece; zeros for no example."""
        place, part = divmod(int(number), self.per_step)
        step = self._steps[place]
        rows = self._rows[part * self.size : (part + 1) * self.size]
        indices = self._indices(step)[rows]
        inputs = np.zeros((len(rows), *self.view.shape), self.view.dtype)
        targets = self._targets(len(rows))
        for at, (row, index) in enumerate(zip(rows.tolist(), indices.tolist(), strict=True)):
            if index >= 0:
                numbers = None if self._seed is None else uniforms(self._seed, step, row)
                inputs[at], targets[at] = self._split.example(index, self.view, numbers)
        return {"inputs": inputs, "targets": targets}

    def _targets(self, count: int) -> np.ndarray:
        field = self._split.target
        return np.zeros((count, *field.shape), field.dtype)

    def batches(self, workers: int) -> Generator[Batch]:
        """The batches of the steps in turn.

        Args:
          workers: processes that read; with 0 threads of this one do.

        Raises:
          UserError: an image cannot be read, or a worker has ended.
        """
        threads, ahead = (1, 1) if workers else (_THREADS, 2 * _THREADS)
        # Not above: runs on sets in memory should not wait for it.
        import grain

        dataset: Any = grain.MapDataset.source(self).to_iter_dataset(
            grain.ReadOptions(num_threads=threads, prefetch_buffer_size=ahead)
        )
        if workers:
            options = grain.MultiprocessingOptions(
                num_workers=min(workers, len(self)), per_worker_buffer_size=_AHEAD
            )
            # Grain looks at its flags, which a program without absl's main never parses.
            if not flags.FLAGS.is_parsed():
                flags.FLAGS.mark_as_parsed()
            dataset = dataset.mp_prefetch(options, worker_init_fn=_begin_worker)
        with _told():
            pieces = iter(dataset)
        try:
            for step in self._steps:
                inputs = np.empty((len(self._rows), *self.view.shape), self.view.dtype)
                targets = self._targets(len(self._rows))
                for part in range(self.per_step):
                    piece = _next(pieces)
                    rows = slice(part * self.size, part * self.size + len(piece["targets"]))
                    inputs[rows], targets[rows] = piece["inputs"], piece["targets"]
                    del piece
                yield Batch(step, inputs, targets)
        finally:
            pieces.close()
            del pieces, dataset
            if workers:
                # What was read and not taken lies in shared memory, held by objects in cycles.
                gc.collect()


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


def _next(pieces: Any) -> dict[str, np.ndarray]:
    with _told():
        return next(pieces)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turns what goes wrong with readers into words.

    Raises:
      UserError: one could not be started, or has ended.
    """
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise UserError(
            f"images cannot be read by processes: {error.strerror or error}; fewer --workers, or "
            "--workers 0, may help"
        ) from error
    except Exception as error:
        if f"terminated unexpectedly with exit code {UNGUARDED}" in str(error):
            raise UserError(no_guard()) from error
        if "terminated unexpectedly" in str(error):
            raise WorkerEnded(
                f"a process that reads images has ended ({str(error).split('. ')[0]}). It may have "
                "been killed for its memory (give fewer --workers), or have found no room in "
                "/dev/shm. The same command begins again, a training from its newest checkpoint."
            ) from error
        raise


class WorkerEnded(UserError):
    """A process that reads images has ended."""

    exit_code = 70  # EX_SOFTWARE


def _begin_worker(index: int, count: int) -> None:
    """Keeps a worker from devices, and ends it when the process that it reads for has gone."""
    import jax

    # Grain imports JAX, which must not take the devices that are trained on.
    jax.config.update("jax_platforms", "cpu")
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def block_signals() -> None:
    """Keeps signals from this thread and from the processes that it starts.

    Those that ask a run to stop go to all of its processes, from a terminal or from Slurm; the
    main one needs its workers until it has saved.
    """
    signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP}
    )
