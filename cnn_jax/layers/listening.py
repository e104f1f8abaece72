"""Who is told of the points that models mark on their way, see `cnn_jax.layers.basic.tap`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax
from flax import linen as nn

Listener = Callable[[nn.Module, str, jax.Array], jax.Array | None]
"""Is told (module, name, value); what it gives, if anything, goes on in the place of the value."""

_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("listeners", default=())


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Within it the listener is told of every point that is marked, as it is computed."""
    before = _listeners.set((*_listeners.get(), listener))
    try:
        yield
    finally:
        _listeners.reset(before)


def tell(module: nn.Module, name: str, value: jax.Array) -> jax.Array:
    """Tells all who listen of a point of a module, and gives what goes on from there."""
    for listener in _listeners.get():
        changed = listener(module, name, value)
        value = value if changed is None else changed
    return value
