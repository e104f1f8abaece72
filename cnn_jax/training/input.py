"""What a training step is given: examples of a set that lies on the devices, or that streams."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Generator
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jax.sharding import Mesh

from cnn_jax.data.feed import Feed
from cnn_jax.data.memory import InMemory, Order
from cnn_jax.data.pieces import InTurn, Pieces, Shuffled, default_workers
from cnn_jax.data.streamed import StreamedSplit
from cnn_jax.devices.mesh import batch_sharding, placed_parts

_AHEAD = 2
"""Batches that lie on the devices before their step."""

_POLL_SECONDS = 0.01

_WORTH_WORKERS = 4096
"""Fewer examples are evaluated before processes that read them would have started."""


class Given(NamedTuple):
    """What belongs to a step.

    Attributes:
      inputs: raw, a tree of arrays: those of the whole set (n, ...) or of the step (b, ...).
      targets: raw, a tree of as many.
      indices: (b,) int32, the examples of the step.
      epochs: (b,) int32, the epoch in which each is seen.
    """

    inputs: Any
    targets: Any
    indices: np.ndarray
    epochs: np.ndarray


class Input(Protocol):
    """Gives what belongs to a step.

    Attributes:
      stalled: seconds in which devices had nothing to do because the input was not there; None
        where that cannot be.
    """

    stalled: float | None

    def begin(self, step: int) -> None:
        """Returns when the input of a step is there, which need not count as its time."""

    def __call__(self, step: int, busy: Callable[[], bool]) -> Given:
        """What belongs to a step.

        Args:
          step: any; those that come in turn are made ready ahead.
          busy: tells whether devices still have something to do.
        """
        ...

    def close(self) -> None:
        """Ends what makes input ready."""


class HeldInput:
    """Input from a set that lies on the devices: a step only needs places in it.

    Args:
      train: the set.
      order: which examples a step sees.
    """

    def __init__(self, train: InMemory, order: Order) -> None:
        self.stalled: float | None = None
        self.train, self.order = train, order

    def begin(self, step: int) -> None:
        """See `Input`."""

    def __call__(self, step: int, busy: Callable[[], bool]) -> Given:
        """See `Input`."""
        return Given(self.train.inputs, self.train.targets, *self.order(step))

    def close(self) -> None:
        """See `Input`."""


class StreamedInput:
    """Input that is read from disk ahead of its step, by each process for its own devices.

    Args:
      split: what is read.
      seed: of the run.
      batch_size: b.
      end: the step that ends the training.
      mesh: the devices.
      workers: processes that read, by default as many as there are processors.
    """

    def __init__(
        self,
        split: StreamedSplit,
        *,
        seed: int,
        batch_size: int,
        end: int,
        mesh: Mesh,
        workers: int | None = None,
    ) -> None:
        self.stalled: float | None = 0.0
        self._split, self._seed, self._end = split, seed, end
        self._batch_size, self._mesh, self._workers = batch_size, mesh, workers
        self._order = Order(seed, len(split), batch_size)
        self._feed: Feed[tuple[jax.Array, jax.Array]] | None = None
        self._next = -1
        self._first: tuple[jax.Array, jax.Array] | None = None

    def _open(self, step: int) -> None:
        self.close()
        pieces = Pieces(
            self._split,
            Shuffled(self._order),
            own_rows(self._mesh, self._batch_size),
            range(step, max(self._end, step + 1)),
            self._seed,
        )
        self._feed = Feed(
            lambda: on_devices(pieces, self._mesh, self._batch_size, self._workers), _AHEAD
        )
        self._next = step

    def begin(self, step: int) -> None:
        """See `Input`."""
        if step >= self._end or (step == self._next and self._first is not None):
            return
        if step != self._next:
            self._open(step)
        assert self._feed is not None
        self._first = self._taken(lambda: None)

    def __call__(self, step: int, busy: Callable[[], bool]) -> Given:
        """See `Input`."""
        if step != self._next:
            self._open(step)
        idle: list[float] = []

        def waiting() -> None:
            if not idle and not busy():
                idle.append(time.perf_counter())

        arrays, self._first = self._first or self._taken(waiting), None
        if idle and self.stalled is not None:
            self.stalled += time.perf_counter() - idle[0]
        self._next += 1
        return Given(*arrays, *self._order(step))

    def _taken(self, waiting: Callable[[], None]) -> tuple[jax.Array, jax.Array]:
        assert self._feed is not None
        while True:
            waiting()
            try:
                return self._feed.get(_POLL_SECONDS)
            except queue.Empty:
                continue

    def close(self) -> None:
        """See `Input`."""
        if self._feed is not None:
            self._feed.close()
        self._feed, self._first, self._next = None, None, -1


def evaluation_feed(
    split: StreamedSplit, batch_size: int, mesh: Mesh, workers: int | None
) -> Feed[tuple[jax.Array, jax.Array]]:
    """Inputs and targets of the batches in which every example of a split comes once, in turn."""
    if len(split) < _WORTH_WORKERS:
        workers = 0
    steps = range(-(-len(split) // batch_size))
    rows = own_rows(mesh, batch_size)
    pieces = Pieces(split, InTurn(len(split), batch_size), rows, steps, None)
    return Feed(lambda: on_devices(pieces, mesh, batch_size, workers), _AHEAD)


def own_rows(mesh: Mesh, batch_size: int) -> np.ndarray:
    """The places in a batch of the examples that lie on devices of this process, rising."""
    parts = batch_sharding(mesh).addressable_devices_indices_map((batch_size,)).values()
    rows = [np.arange(batch_size)[part] for part in parts if part is not None]
    return np.unique(np.concatenate(rows))


def on_devices(
    pieces: Pieces, mesh: Mesh, batch_size: int, workers: int | None
) -> Generator[tuple[jax.Array, jax.Array]]:
    """Inputs (b, h, w, c) and targets (b, ...) of each step in turn, spread over the devices."""
    sharding = batch_sharding(mesh)
    rows = own_rows(mesh, batch_size)

    def spread(values: np.ndarray) -> jax.Array:
        def part(index: Any) -> np.ndarray:
            first, last = index[0].indices(batch_size)[:2]
            start = int(np.searchsorted(rows, first))
            return values[start : start + last - first]

        return placed_parts((batch_size, *values.shape[1:]), sharding, part)

    for batch in pieces.batches(default_workers() if workers is None else workers):
        yield spread(batch.inputs), spread(batch.targets)
