"""What a layer has to know of the batch beyond the examples that it is given.

Most layers see one example at a time. Batch normalisation takes statistics of many, and layers
that draw random numbers draw for each of the whole batch; both have to know where a program that
is mapped over devices gives them a part of the batch only, and over how many examples statistics
are taken.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from cnn_jax.errors import UserError


@dataclass(frozen=True)
class BatchAxis:
    """How the examples that layers see make up the batch.

    Attributes:
      group: examples that batch statistics are taken over, neighbours in the batch (ghost batch
        normalisation, https://arxiv.org/abs/1705.08741); None takes them over the whole batch.
      name: the mapped axis (of `jax.pmap`) whose devices hold the parts of the batch; None where
        the whole batch is seen.
    """

    group: int | None = None
    name: str | None = None


WHOLE = BatchAxis()
"""Layers see the whole batch, and take statistics over it."""

_current: ContextVar[BatchAxis] = ContextVar("batch_axis", default=WHOLE)


@contextlib.contextmanager
def batch_axis(axis: BatchAxis) -> Iterator[None]:
    """Within it layers are traced for batches as `axis` says.

    Raises:
      UserError: a layer of flax itself, which does not know of it, would compute otherwise.
    """
    token = _current.set(axis)
    try:
        with contextlib.nullcontext() if axis == WHOLE else nn.intercept_methods(_refuse):
            yield
    finally:
        _current.reset(token)


def current_axis() -> BatchAxis:
    """How the batch is made up for the layers that are traced now."""
    return _current.get()


_made: ContextVar[jax.Array | None] = ContextVar("updates_made", default=None)


@contextlib.contextmanager
def updates_made(count: jax.Array | None) -> Iterator[None]:
    """Within it running averages know how often they were moved: int32 scalar, None for often."""
    token = _made.set(count)
    try:
        yield
    finally:
        _made.reset(token)


def rising(decay: float, made: jax.Array | None) -> jax.Array | float:
    """What a running average keeps of itself: a decay that rises to its value.

    min(decay, (1 + n) / (10 + n)) after n updates, as TensorFlow's `ExponentialMovingAverage` has
    it with `num_updates`. With a decay that is the same from the start, an average over more steps
    than were made is mostly what it began with: random parameters, a mean of 0, a variance of 1.

    Args:
      decay: its value.
      made: n, an int32 scalar; None for many.
    """
    return decay if made is None else jnp.minimum(decay, (1 + made) / (10 + made))


def momentum_now(momentum: float) -> jax.Array | float:
    """The momentum of running statistics in the update that is traced now."""
    return rising(momentum, _made.get())


def _refuse(
    method: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
) -> Any:
    if type(context.module) in (nn.BatchNorm, nn.Dropout):
        name = type(context.module).__name__
        raise UserError(
            f"the model has flax's own {name}, which can neither take statistics of groups "
            f"(--model.norm-examples) nor be mapped (--parallel.compile pmap); use "
            f"cnn_jax.layers.basic.{name}"
        )
    return method(*args, **kwargs)


def group_moments(x: jax.Array, there: jax.Array | None = None) -> tuple[jax.Array, jax.Array]:
    """Mean and variance (g, c) of each group of examples, taken in float32.

    The variance is the mean of the squares less the square of the mean, in one pass.

    Args:
      x: (b, ..., c).
      there: (b, ...), 1 where a value counts and 0 where not; None where all do.
    """
    axis = current_axis()
    size = len(x) if axis.group is None else min(axis.group, len(x))
    grouped = x.reshape(-1, size, *x.shape[1:]).astype(jnp.float32)
    over = tuple(range(1, grouped.ndim - 1))
    if there is not None:
        counts = there.reshape(-1, size, *there.shape[1:], 1).astype(jnp.float32)
        sums = jnp.sum(counts * grouped, over), jnp.sum(counts * jnp.square(grouped), over)
        count = jnp.sum(counts, over)
        if axis.name is not None and axis.group is None:
            sums, count = lax.psum((sums, count), axis.name)
        mean, square = (each / jnp.maximum(count, 1) for each in sums)
        return mean, jnp.maximum(square - jnp.square(mean), 0)
    mean, square = jnp.mean(grouped, over), jnp.mean(jnp.square(grouped), over)
    if axis.name is not None and axis.group is None:
        mean, square = lax.pmean((mean, square), axis.name)
    return mean, jnp.maximum(square - jnp.square(mean), 0)


def mean_over_groups(moment: jax.Array) -> jax.Array:
    """The mean (c,) of moments (g, c) over all groups of the batch."""
    axis = current_axis()
    mean = moment[0] if len(moment) == 1 else jnp.mean(moment, axis=0)
    if axis.name is not None and axis.group is not None:
        mean = lax.pmean(mean, axis.name)
    return mean


def bernoulli(key: jax.Array, probability: float, shape: tuple[int, ...]) -> jax.Array:
    """Draws booleans (b, ...) for the examples at hand: those of the whole batch do not differ
    by how many devices share it.

    Args:
      key: a PRNG key, the same on all devices.
      probability: of true.
      shape: (b, ...) of the part that is seen.
    """
    name = current_axis().name
    if name is None:
        return jax.random.bernoulli(key, probability, shape)
    whole = (shape[0] * lax.axis_size(name), *shape[1:])
    drawn = jax.random.bernoulli(key, probability, whole)
    return lax.dynamic_slice_in_dim(drawn, lax.axis_index(name) * shape[0], shape[0])


def example_keys(key: jax.Array, count: int) -> jax.Array:
    """A key (count,) for each of the examples at hand, the same however many devices share a batch.

    Args:
      key: a PRNG key, the same on all devices.
      count: examples of the part that is seen.
    """
    name = current_axis().name
    first = 0 if name is None else lax.axis_index(name) * count
    return jax.vmap(lambda place: jax.random.fold_in(key, place))(first + jnp.arange(count))
