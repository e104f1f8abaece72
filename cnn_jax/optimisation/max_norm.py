"""Weights whose norm is held down after every update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from cnn_jax.errors import UserError
from cnn_jax.optimisation.parameter_rules import factors_of, first_of
from cnn_jax.optimisation.paths import path_name


def max_norm(rules: Sequence[str]) -> optax.GradientTransformation:
    """Changes updates so that no weights that lead to one output are longer than a norm.

    Of a kernel (..., outputs) the norm is taken over all but the last axis. It stands last in a
    chain, since it has to know where the parameters come to (Hinton et al. 2012,
    https://arxiv.org/abs/1207.0580).

    Args:
      rules: as `pattern=norm`; of several patterns that are found in a path the first counts.

    Raises:
      UserError: a norm is no number above zero, or a pattern no regular expression.
    """
    norms = factors_of("--optimizer.max-norm", rules)
    if any(norm <= 0 for _, norm in norms):
        raise UserError(f"--optimizer.max-norm {' '.join(rules)} must have norms above zero")

    def update(updates: Any, params: Any) -> Any:
        def held(path: Any, update: jax.Array, param: jax.Array) -> jax.Array:
            norm = first_of(norms, path_name(path), None)
            if norm is None:
                return update
            moved = param + update
            length = jnp.linalg.norm(moved.reshape(-1, moved.shape[-1]), axis=0)
            factor = jnp.where(length > norm, norm / jnp.maximum(length, norm), 1.0)
            return jnp.where(factor < 1, moved * factor - param, update)

        return jax.tree_util.tree_map_with_path(held, updates, params)

    return optax.stateless(update)
