"""Images some rows at a time, so that what is read or written twice is still in the caches."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import lax

PART = 2**22
"""Bytes of a part: caches hold so many."""

MOST_PARTS = 32
"""More are not worth the time that compiling them takes."""

_LOOPED = 5
"""Equal parts from which on a loop is compiled in less time than they are one by one."""

Sums = TypeVar("Sums")


def in_parts(rows: int, size: int, most_rows: int | None = None) -> list[tuple[int, int]]:
    """Rows, in parts of about `PART` bytes, but no more than `MOST_PARTS`.

    Args:
      rows: how many there are.
      size: bytes of all of them.
      most_rows: of a part, where there are not more than so many times `MOST_PARTS`.

    Returns:
      (first row, number of rows) of each part.
    """
    parts = max(1, -(-size // PART), -(-rows // (most_rows or max(1, rows))))
    count = -(-rows // min(parts, MOST_PARTS))
    return [(first, min(count, rows - first)) for first in range(0, rows, count)]


def summed_in_parts(
    parts: list[tuple[int, int]],
    images: tuple[jax.Array, ...],
    sums: Callable[[tuple[jax.Array, ...], jax.Array | int, int], Sums],
) -> Sums:
    """The sum over parts, one after the other.

    Equal parts are a loop, which is compiled once for all. XLA runs a loop on one core unless
    something in it is done by a library, as sums of large arrays are: `sums` is to have one.

    Args:
      parts: of `in_parts`.
      images: (b, h, w, c) each.
      sums: (images, first row, number of rows) -> a tree of arrays.
    """
    equal = [*itertools.takewhile(lambda part: part[1] == parts[0][1], parts)]
    total = None
    # Held fast: what gives the images would be computed anew in each part.
    images = lax.optimization_barrier(images)
    if len(equal) >= _LOOPED:
        rows = equal[0][1]
        found = lax.map(lambda i: sums(images, i * rows, rows), jnp.arange(len(equal)))
        total = jax.tree.map(lambda each: jnp.sum(each, 0), found)
        parts = parts[len(equal) :]
    for first, rows in parts:
        # Else one sum would be done for all parts before the next.
        images, total = lax.optimization_barrier((images, total))
        part = sums(images, first, rows)
        total = part if total is None else jax.tree.map(jnp.add, total, part)
    assert total is not None
    return total
