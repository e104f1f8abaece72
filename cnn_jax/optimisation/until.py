"""An optimizer that trains some parameters for the first part of a run only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from cnn_jax.optimisation.paths import path_name


class UntilState(NamedTuple):
    """State of `until`: the number of updates made, and the state of what it wraps."""

    made: jax.Array
    inner: Any


def until(
    inner: optax.GradientTransformation, last: Callable[[str], int | None]
) -> optax.GradientTransformation:
    """An optimizer that updates some parameters a number of times only.

    After that they have neither gradient nor update, whatever momentum and decay would add.

    Args:
      inner: the optimizer.
      last: the number of updates by the path of a parameter; None where there is no end to them.
    """

    def kept(made: jax.Array, tree: Any) -> Any:
        def keep(path: Any, leaf: jax.Array) -> jax.Array:
            end = last(path_name(path))
            return leaf if end is None else jnp.where(made < end, leaf, jnp.zeros_like(leaf))

        return jax.tree_util.tree_map_with_path(keep, tree)

    def init(params: Any) -> UntilState:
        return UntilState(jnp.zeros((), jnp.int32), inner.init(params))

    def update(updates: Any, state: UntilState, params: Any = None) -> tuple[Any, UntilState]:
        updates, changed = inner.update(kept(state.made, updates), state.inner, params)
        return kept(state.made, updates), UntilState(state.made + 1, changed)

    return optax.GradientTransformation(init, update)
