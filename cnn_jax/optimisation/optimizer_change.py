"""What goes with an optimizer's name: a learning rate and a weight decay that suit it."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence

from cnn_jax.optimisation.optimizers import optimizers
from cnn_jax.recipe import Optimizer, Recipe

RATES = {
    **dict.fromkeys(("sgd", "optimistic_gradient_descent"), 0.1),
    **dict.fromkeys(
        (
            *("adam", "adamw", "adabelief", "adamax", "adamaxw", "adan", "ademamix", "adopt"),
            *("acprop", "amsgrad", "optimistic_adam_v2", "radam", "rmsprop"),
        ),
        1e-3,
    ),
    **dict.fromkeys(("lion", "sign_sgd", "signum"), 1e-4),
    **dict.fromkeys(("adagrad", "fromage", "madgrad", "novograd", "yogi"), 1e-2),
    **dict.fromkeys(("adadelta", "cocob", "dadapt_adamw", "dog", "dowg", "prodigy"), 1.0),
    "lamb": 2e-3,
    "muon": 2e-2,
}
"""Peak learning rates that an optimizer is tried with first, as its paper or framework has them.
Those that are missing have none that would do for most nets."""


def with_own_rate(default: Recipe, given: Recipe, words: Sequence[str]) -> tuple[Recipe, list[str]]:
    """A recipe whose optimizer was changed, with a rate and a decay that suit the new one.

    Only what the command line does not give is changed. The decay keeps what it takes of a
    parameter in a step, rate times decay, where it is decoupled before or after.

    Args:
      default: the recipe of the experiment's file.
      given: as the command line changes it.
      words: of the command line.

    Returns:
      The recipe, and what is to be said of it.
    """
    old, new = default.optimizer, given.optimizer
    if old.name == new.name or new.name not in optimizers():
        return given, []
    instead = f"--optimizer.name {new.name} instead of {old.name}"
    told: list[str] = []
    if not _given("learning-rate", words):
        rate = RATES.get(new.name)
        if rate is None:
            told.append(
                f"it keeps the learning rate {old.learning_rate:g} of {old.name}, and none is "
                "known that suits it; give --optimizer.learning-rate"
            )
        elif rate != RATES.get(old.name):
            new = dataclasses.replace(new, learning_rate=rate)
            told.append(f"learning rate {rate:g} instead of {old.learning_rate:g}")
    moved = new.learning_rate != given.optimizer.learning_rate
    if (
        moved
        and old.weight_decay
        and not _given("weight-decay", words)
        and (_decoupled(old) or _decoupled(new))
    ):
        decay = float(f"{old.weight_decay * old.learning_rate / new.learning_rate:.4g}")
        told.append(f"weight decay {decay:g} instead of {old.weight_decay:g}")
        new = dataclasses.replace(new, weight_decay=decay)
    left = [f"{name}={value}" for name, value in old.options.items() if name not in new.options]
    if left:
        told.append(f"without {', '.join(left)}, given for {old.name}")
    return dataclasses.replace(given, optimizer=new), [f"{instead}: {'; '.join(told)}"] * bool(told)


def _given(field: str, words: Sequence[str]) -> bool:
    flags = {word.partition("=")[0].replace("_", "-") for word in words}
    return f"--optimizer.{field}" in flags or (field == "learning-rate" and "--lr" in flags)


def _decoupled(config: Optimizer) -> bool:
    """Whether the decay is applied to parameters, and not added to gradients."""
    function = optimizers().get(config.name)
    return function is not None and "weight_decay" in inspect.signature(function).parameters
