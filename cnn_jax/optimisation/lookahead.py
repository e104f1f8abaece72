"""Lookahead: training is set back, every few steps, to a copy of the state that moves slowly."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from cnn_jax.errors import UserError
from cnn_jax.recipe import Lookahead
from cnn_jax.state import Variables

SetBack = Callable[[jax.Array, Variables, Variables], tuple[Variables, Variables]]
"""(updates made, variables, slow copy) -> (variables, slow copy)."""


def make_lookahead(config: Lookahead, total_steps: int) -> SetBack | None:
    """What is done with the variables and their slow copy after each update; None for nothing.

    After t of T updates, at multiples of `every`,

        slow <- d slow + (1 - d) variables,    d = decay (t / T)^power
        variables <- slow

    and after the last one variables <- slow in any case: what is evaluated then is the copy.
    Before, evaluation sees the variables. Zhang et al. 2019, https://arxiv.org/abs/1907.08610,
    with the batch statistics as in https://arxiv.org/abs/2404.00498. `optax.lookahead` takes
    pairs of parameters, fast and slow, in the place of parameters, knows of no batch statistics,
    and has a constant d.

    Args:
      config: what is asked for.
      total_steps: T.

    Raises:
      UserError: a value is out of range.
    """
    for name, valid, allowed in (
        ("every", config.every is None or config.every >= 1, "at least 1"),
        ("decay", 0 <= config.decay < 1, "at least 0 and below 1"),
        ("power", math.isfinite(config.power) and config.power >= 0, "zero or more"),
    ):
        if not valid:
            raise UserError(f"--lookahead.{name} {getattr(config, name)} must be {allowed}")
    if config.every is None:
        return None
    every = config.every
    if every > total_steps:
        raise UserError(
            f"--lookahead.every {every} is more than the {total_steps} steps of the training: the "
            "slow copy would not move, and the run would end with the parameters it began with"
        )

    def set_back(
        done: jax.Array, variables: Variables, slow: Variables
    ) -> tuple[Variables, Variables]:
        kept = config.decay * (done / total_steps) ** config.power
        due = done % every == 0
        # What both agree on, such as parameters that are frozen, stays so to the bit.
        slow = jax.tree.map(
            lambda now, old: jnp.where(due, now + kept * (old - now), old), variables, slow
        )
        due |= done == total_steps
        return jax.tree.map(lambda now, old: jnp.where(due, old, now), variables, slow), slow

    return set_back
