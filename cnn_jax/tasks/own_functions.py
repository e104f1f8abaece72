"""Losses and metrics of a user's own: functions that give a value of each example."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from cnn_jax.errors import UserError
from cnn_jax.own.values import Own
from cnn_jax.recipe import Recipe
from cnn_jax.tasks.contract import Metric


def by_example(
    role: str, name: Own, taken: int = 2, options: Mapping[str, Any] | None = None
) -> Callable[..., jax.Array]:
    """A function of a user's own that is checked to give one value an example.

    Args:
      role: what it is, for messages.
      name: carries the function.
      taken: how many arrays (b, ...) it is given.
      options: further arguments by name.

    Raises:
      UserError: it does not take them, or (when called) gives something else.
    """
    function, options = name.value, options or {}
    if not callable(function):
        raise UserError(f"{role} {name} is no function")
    check_takes(role, name, function, ("outputs", "targets", "known")[:taken], options)

    def checked(outputs: Any, *others: Any) -> jax.Array:
        found = function(outputs, *others, **options)
        examples = len(jax.tree.leaves(outputs)[0])
        shape = getattr(found, "shape", None)
        if shape != (examples,):
            got = "something that is no array" if shape is None else f"the shape {shape}"
            raise UserError(
                f"{role} {name} gives {got} for a batch of {examples} examples; expected is one "
                f"value an example, ({examples},): sum or average over all axes but the first, "
                "and leave the mean over the batch to the step"
            )
        return found

    return checked


def check_takes(
    role: str, name: str, function: Any, arguments: tuple[str, ...], options: Mapping[str, Any]
) -> None:
    """Checks that a function can be called so.

    Raises:
      UserError: it cannot.
    """
    try:
        inspect.signature(function).bind(*arguments, **options)
    except TypeError as error:
        given = ", ".join([*arguments, *(f"{key}={value!r}" for key, value in options.items())])
        raise UserError(f"{role} {name} is called with ({given}), which fails: {error}") from None
    except ValueError:
        return  # of what is built in nothing is known before it is called


def metric_name(name: str) -> str:
    """What the values of a metric of one's own stand under: its function's name."""
    return name.rpartition(":")[2].rpartition(".")[2]


def own_metric(name: str) -> Metric:
    """A metric of one's own as one by which a checkpoint may be the best."""
    higher = isinstance(name, Own) and bool(getattr(name.value, "higher", False))
    return Metric(metric_name(name), higher=higher, short=metric_name(name))


def own_metrics(recipe: Recipe) -> dict[str, Callable[[Any, Any], jax.Array]]:
    """The metrics of one's own by name: (outputs, targets as the loss has them) -> (b,) float32.

    Raises:
      UserError: one is unknown, has no name, or has that of another.
    """
    found: dict[str, Callable[[Any, Any], jax.Array]] = {}
    for each in recipe.metrics:
        if not isinstance(each, Own):
            raise UserError(f"metric {each!r}: give the function itself, in Python")
        name = metric_name(each)
        if not name.isidentifier() or name in found:
            why = "has the name of another" if name in found else "has no name"
            raise UserError(f"metric {each} {why}; write it as a function of its own: def NAME")
        function = by_example("metric", each)
        found[name] = lambda *given, function=function: jnp.asarray(function(*given), jnp.float32)
    return found
