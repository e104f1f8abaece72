"""The learning rate as a function of the step."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from cnn_jax.duration import Duration
from cnn_jax.errors import UserError
from cnn_jax.recipe import Schedule


def make_schedule(
    config: Schedule, peak: float, total_steps: int, to_steps: Callable[[Duration], int]
) -> optax.Schedule:
    """The learning rate that a recipe asks for.

    Args:
      config: shape of the schedule.
      peak: the learning rate where the factor is 1.
      total_steps: length of the training.
      to_steps: turns a duration into steps.

    Returns:
      A function from the step (0 for the first update) to the learning rate.

    Raises:
      UserError: the warm-up is longer than the training, or boundaries do not rise.
    """
    warmup = to_steps(config.warmup)
    if warmup >= total_steps and warmup > 0:
        raise UserError(
            f"--schedule.warmup {config.warmup} is {warmup} steps, but the whole training has "
            f"only {total_steps}"
        )
    start, end = config.initial * peak, config.final * peak
    rest = total_steps - warmup
    match config.name:
        case "constant":
            main = optax.constant_schedule(peak)
        case "step":
            main = _falling(config, peak, warmup, to_steps)
        case "cosine":
            main = optax.cosine_decay_schedule(peak, rest, alpha=config.final)
        case "linear":
            main = optax.linear_schedule(peak, end, rest)
        case "one_cycle":
            if warmup == 0:
                raise UserError("--schedule.name one_cycle needs --schedule.warmup, its rise")
            return optax.join_schedules(
                [_cosine(start, peak, warmup), _cosine(peak, end, rest)], [warmup]
            )
    if warmup == 0:
        return main
    return optax.join_schedules([optax.linear_schedule(start, peak, warmup), main], [warmup])


def _falling(
    config: Schedule, peak: float, warmup: int, to_steps: Callable[[Duration], int]
) -> optax.Schedule:
    falls = [to_steps(boundary) for boundary in config.boundaries]
    if falls != sorted(set(falls)) or (falls and falls[0] < warmup):
        listed = ", ".join(map(str, config.boundaries))
        raise UserError(
            f"--schedule.boundaries {listed} are the steps {falls}: they must rise and come "
            f"after the warm-up of {warmup} steps"
        )
    # `join_schedules` restarts the count after the warm-up.
    return optax.piecewise_constant_schedule(peak, {fall - warmup: config.factor for fall in falls})


def _cosine(start: float, end: float, length: int) -> optax.Schedule:
    """Half a cosine from one value to another."""
    shape = optax.cosine_decay_schedule(1.0, length)
    return lambda count: end + (start - end) * shape(count)


def rates(schedule: optax.Schedule, steps: int) -> np.ndarray:
    """The learning rate (steps,) of every step, looked up: a schedule computes on a device."""
    computed = jax.jit(jax.vmap(lambda step: jnp.asarray(schedule(step), jnp.float32)))
    return np.asarray(computed(jnp.arange(steps)))
