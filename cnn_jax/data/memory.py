"""The in-memory loader: which examples a step sees is a pure function of (seed, step)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Sharding

from cnn_jax.data.dataset import Split
from cnn_jax.devices.mesh import placed
from cnn_jax.errors import UserError


def epoch_order(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order of an epoch: a permutation of n, a pure function of (seed, epoch).

    Every example gets 64 random bits of Philox, a counter-based generator whose raw output
    numpy does not change; its place is then written over the lowest of them, and the words
    are sorted. They are distinct, so that there is one order whatever the sort, the platform
    and the device, while jax.random would tie it to a version's choice of implementation.

    Args:
      seed: of the run, any integer; modulo 2^64.
      epoch: from 0.
      n: at most 2^31.

    Returns:
      (n,) int32.
    """
    key = np.array([seed % 2**64, epoch], np.uint64)
    words = np.random.Philox(key=key).random_raw(n)
    # At least 33 bits stay random.
    mask = np.uint64(2 ** max(1, (n - 1).bit_length()) - 1)
    words = np.sort((words & ~mask) | np.arange(n, dtype=np.uint64))
    return (words & mask).astype(np.int32)


class Order:
    """The examples of each step.

    The endless row of epoch orders is cut into batches: step s holds the places s*b to
    (s+1)*b - 1 of that row. A batch may reach over the end of an epoch, and so every example
    comes exactly once an epoch and none is dropped.

    Args:
      seed: of the run.
      n: number of training examples.
      batch_size: b.
    """

    def __init__(self, seed: int, n: int, batch_size: int) -> None:
        self._seed, self._n, self._batch_size = seed, n, batch_size
        self._known: dict[int, np.ndarray] = {}

    def _epoch(self, epoch: int) -> np.ndarray:
        # Threads share this object, so that what one reads must not change under it: the
        # dictionary is never altered but replaced by another.
        known = self._known
        if epoch not in known:
            # Steps mostly go forward: this epoch's order and the last one's are enough.
            known = {e: order for e, order in known.items() if e == epoch - 1}
            known[epoch] = epoch_order(self._seed, epoch, self._n)
            self._known = known
        return known[epoch]

    def __call__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices (b,) int32 of the step's examples, and the epoch (b,) int32 of each."""
        places = step * self._batch_size + np.arange(self._batch_size, dtype=np.int64)
        epochs, within = np.divmod(places, self._n)
        indices = np.empty(self._batch_size, np.int32)
        for epoch in range(int(epochs[0]), int(epochs[-1]) + 1):
            here = epochs == epoch
            indices[here] = self._epoch(epoch)[within[here]]
        return indices, epochs.astype(np.int32)


class InMemory:
    """A split on the devices, as it is stored.

    Args:
      split: what is put there.
      sharding: how it is laid out; replicated, so that any device can take any example.

    Attributes:
      inputs: a tree of arrays (n, ...), such as images (n, h, w, c) uint8.
      targets: a tree of arrays (n, ...).

    Raises:
      UserError: a device has not the memory.
    """

    def __init__(self, split: Split, sharding: Sharding) -> None:
        size = sum(leaf.nbytes for leaf in jax.tree.leaves((split.inputs, split.targets)))
        devices: Iterable[Any] = sharding.addressable_devices
        for device in devices:
            stats = device.memory_stats() or {}  # a CPU has none
            room = stats.get("bytes_limit", math.inf) - stats.get("bytes_in_use", 0)
            if size > room:
                raise UserError(
                    f"the training examples are {size / 1e9:.1f} GB, but {device} "
                    f"has only {room / 1e9:.1f} GB free; give a smaller --data.image-size, "
                    "or let it stream (--data.streaming True)"
                )

        def on_devices(leaf: np.ndarray) -> jax.Array:
            return placed(leaf, sharding)

        self.inputs: Any = jax.tree.map(on_devices, split.inputs)
        self.targets: Any = jax.tree.map(on_devices, split.targets)


def evaluation_batches(n: int, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Indices (b,) int32 and weights (b,) float32 that count each of n examples once.

    The last batch is filled up with the first example at weight 0.
    """
    for start in range(0, n, batch_size):
        indices = np.zeros(batch_size, np.int32)
        weights = np.zeros(batch_size, np.float32)
        count = min(batch_size, n - start)
        indices[:count] = np.arange(start, start + count)
        weights[:count] = 1.0
        yield indices, weights


def check_batch(n: int, batch_size: int, devices: int) -> None:
    """Checks that a batch can be made of n examples and spread over the devices.

    Raises:
      UserError: it cannot.
    """
    if batch_size < 1:
        raise UserError(f"--batch-size {batch_size} must be at least 1")
    if n < batch_size:
        raise UserError(
            f"--batch-size {batch_size} is more than the {n} training examples there are; "
            f"give at most {n}"
        )
    if batch_size % devices:
        below, above = batch_size // devices * devices, -(-batch_size // devices) * devices
        near = f"{below} or {above}" if below else f"{above}"
        raise UserError(
            f"--batch-size {batch_size} cannot be divided among {devices} devices; "
            f"give a multiple, such as {near}"
        )
