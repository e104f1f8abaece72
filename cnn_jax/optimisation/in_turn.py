"""An optimizer for several losses, each of which moves its own part of the parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from cnn_jax.errors import UserError
from cnn_jax.optimisation.frozen import frozen_mask
from cnn_jax.optimisation.paths import parameter_paths


def part_of(tree: Any, pattern: str) -> Any:
    """A tree like the parameters, with zeros where `pattern` is not found in the path."""
    return jax.tree.map(
        lambda leaf, there: leaf if there else jnp.zeros_like(leaf),
        tree,
        frozen_mask(pattern)(tree),
    )


def in_turn(
    optimizer: optax.GradientTransformation, patterns: Sequence[str]
) -> optax.GradientTransformationExtraArgs:
    """An optimizer that keeps a state for each part of the parameters.

    Its `update` takes `turn`, the place of the part that is moved; the other parts, and their
    states, stay as they are. A part is moved as if it were all there is: clipping to a norm, and
    whatever else looks at all gradients, sees its own alone.

    Args:
      optimizer: what each part is moved by.
      patterns: the parts, as found in the paths of parameters.

    Raises:
      UserError: when its state is made, if a pattern finds nothing or a parameter is in two parts.
    """
    parts = [optax.masked(optimizer, frozen_mask(pattern)) for pattern in patterns]

    def init(params: Any) -> Any:
        paths = parameter_paths(params)
        found = [{path for path in paths if re.search(each, path)} for each in patterns]
        for pattern, there in zip(patterns, found, strict=True):
            if not there:
                raise UserError(
                    f"a turn of the task moves {pattern!r}, which finds no parameter; there are: "
                    f"{', '.join(paths)}"
                )
        twice = [path for path in paths if sum(path in there for there in found) > 1]
        if twice:
            raise UserError(
                f"two turns of the task move {twice[0]}; the parts of adversaries share nothing"
            )
        return tuple(part.init(params) for part in parts)

    def update(
        grads: Any, state: Any, params: Any = None, *, turn: int, **_: Any
    ) -> tuple[Any, Any]:
        own = part_of(grads, patterns[turn])
        updates, new = parts[turn].update(own, state[turn], params)
        return updates, (*state[:turn], new, *state[turn + 1 :])

    return optax.GradientTransformationExtraArgs(init, update)
