"""The learning rate as a function of the step."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from cnn_jax.duration import Duration
from cnn_jax.errors import UserError
from cnn_jax.own.values import Own
from cnn_jax.recipe import Optimizer, Schedule


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
    if config.name == "own":
        return _own(config, peak, total_steps)
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


def _own(config: Schedule, peak: float, total_steps: int) -> optax.Schedule:
    """A user's own function of the step, or what makes one of the peak and the length."""
    if not isinstance(config.own, Own):
        raise UserError(
            "--schedule.name own needs a function: give --schedule.own FILE.py:NAME, or in Python "
            "Schedule(FUNCTION)"
        )
    if (plain := dataclasses.replace(Schedule(), name="own", own=config.own)) != config:
        fields = [each.name for each in dataclasses.fields(config)]
        changed = [name for name in fields if getattr(plain, name) != getattr(config, name)]
        raise UserError(
            f"schedule {config.own} is the learning rate at every step, so that --schedule."
            f"{changed[0]} has no place; leave it out"
        )
    function = config.own.value
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    taken = inspect.signature(function).parameters.values()
    asked = [each for each in taken if each.default is each.empty and each.kind in by_place]
    found = function(peak, total_steps) if len(asked) == 2 else function
    if len(asked) not in (1, 2) or not callable(found):
        raise UserError(
            f"schedule {config.own} must be a function of the step, or a function of the peak "
            "learning rate and the number of steps that gives such a function"
        )
    if len(asked) == 1 and peak != Optimizer.learning_rate:
        raise UserError(
            f"schedule {config.own} is the learning rate itself, so that "
            f"--optimizer.learning-rate {peak} has no place: leave it out, or write a function of "
            "the peak learning rate and the number of steps"
        )
    return found


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
