"""What tells whether a restored state is the one that was saved."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from cnn_jax.devices.compilation import compile_with
from cnn_jax.optimisation.paths import path_name

_FACTOR = 2654435761
"""An odd number that the places of elements are multiplied by."""

_PART = 2**15
"""Elements that are summed at a time, so that what is computed stays in the cache."""

_PRODUCTS = np.arange(_PART, dtype=np.uint32) * np.uint32(_FACTOR)


@dataclass(frozen=True)
class Seal:
    """Facts of a state.

    Attributes:
      sums: a checksum of the bits of every array by its path, see `checksum`.
      wild: the paths of arrays that hold numbers which are not finite.
    """

    sums: dict[str, int]
    wild: list[str]


class Sealer:
    """Takes the seals of states.

    On accelerators by a program that is compiled once; on a CPU, whose arrays lie in this host's
    memory, by NumPy, which need not be compiled for.

    Args:
      abstract: the state, or its shapes and layout.
    """

    def __init__(self, abstract: Any) -> None:
        self._paths = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(abstract)]
        sharding = jax.tree.leaves(abstract)[0].sharding
        on_cpu = next(iter(sharding.device_set)).platform == "cpu"
        self._facts = (
            host_facts if on_cpu and sharding.is_fully_addressable else compiled_facts(abstract)
        )

    def __call__(self, state: Any) -> Seal:
        """The seal of a state of the shapes given before."""
        sums, finite = jax.device_get(self._facts(state))
        return Seal(
            dict(zip(self._paths, sums.tolist(), strict=True)),
            [path for path, good in zip(self._paths, finite, strict=True) if not good],
        )


def host_facts(state: Any) -> tuple[np.ndarray, np.ndarray]:
    """Checksums of the arrays of a state, and whether they are finite, by this host."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
    return (
        np.array([host_checksum(leaf) for leaf in leaves]),
        np.array([bool(np.isfinite(leaf).all()) for leaf in leaves]),
    )


def compiled_facts(abstract: Any) -> Any:
    """The same by a program on the devices of a state."""

    def facts(state: Any) -> tuple[jax.Array, jax.Array]:
        leaves = jax.tree.leaves(state)
        return (
            jnp.stack([checksum(leaf) for leaf in leaves]),
            jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]),
        )

    sharding = jax.tree.leaves(abstract)[0].sharding
    whole = (
        NamedSharding(sharding.mesh, PartitionSpec())
        if isinstance(sharding, NamedSharding)
        else None
    )
    on_cpu = next(iter(sharding.device_set)).platform == "cpu"
    return compile_with(
        jax.jit(facts, out_shardings=whole).lower(abstract),
        # Called once a checkpoint: plain code for a simple sum.
        {"xla_backend_optimization_level": 1} if on_cpu else {},
    )


def checksum(array: jax.Array) -> jax.Array:
    """A checksum, uint32 scalar, of the bits of an array: the same however it is laid out.

    The sum, modulo 2^32, of the bits of every element times an odd number which belongs to its
    place. A change of one element always changes it, since odd numbers can be divided by; other
    changes go unseen with a chance of about 2^-32.
    """
    if array.dtype == jnp.bool:
        array = array.astype(jnp.uint32)
    if array.dtype.itemsize > 4:
        array = jax.lax.bitcast_convert_type(array, jnp.uint32)
    unsigned = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32}[array.dtype.itemsize]
    bits = jax.lax.bitcast_convert_type(array, unsigned).astype(jnp.uint32)
    place = jnp.zeros(bits.shape, jnp.uint32)
    for axis in range(bits.ndim):
        stride = math.prod(bits.shape[axis + 1 :]) % 2**32
        place += jax.lax.broadcasted_iota(jnp.uint32, bits.shape, axis) * jnp.uint32(stride)
    return jnp.sum(bits * (place * jnp.uint32(_FACTOR) | jnp.uint32(1)), dtype=jnp.uint32)


def host_checksum(array: np.ndarray) -> int:
    """The `checksum` of an array of this host."""
    if array.dtype == np.bool:
        array = array.astype(np.uint32)
    bits = np.ascontiguousarray(array).reshape(-1).view(f"u{min(array.dtype.itemsize, 4)}")
    total = 0
    for first in range(0, bits.size, _PART):
        part = bits[first : first + _PART].astype(np.uint32, copy=False)
        odd = _PRODUCTS[: part.size] + np.uint32(first * _FACTOR % 2**32) | np.uint32(1)
        total += int(np.sum(part * odd, dtype=np.uint32))
    return total % 2**32


def text_checksum(value: Any) -> int:
    """A checksum of a value of JSON."""
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())
