"""Values that parameters have of their own, by patterns of their paths."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from cnn_jax.duration import Duration
from cnn_jax.errors import UserError
from cnn_jax.optimisation.paths import parameter_paths
from cnn_jax.recipe import Optimizer

T = TypeVar("T")


def factor_of(config: Optimizer, parts: Sequence[str]) -> Callable[[str], float]:
    """The factor of the learning rate by the path of a parameter.

    Raises:
      UserError: a factor is no number of zero or more, or a pattern no regular expression.
    """
    rules = factors_of("--optimizer.factors", config.factors)
    decay = config.layer_decay
    if decay is not None and not 0 < decay <= 1:
        raise UserError(f"--optimizer.layer-decay {decay} must be above 0 and at most 1")

    def factor(path: str) -> float:
        found = first_of(rules, path, 1.0)
        part = path.split("/")[0]
        if decay is not None and part in parts:
            found *= decay ** (len(parts) - 1 - parts.index(part))
        return found

    return factor


def decay_of(config: Optimizer) -> Callable[[str], float]:
    """The weight decay by the path of a parameter that decays.

    Raises:
      UserError: a factor is no number of zero or more, or a pattern no regular expression.
    """
    rules = factors_of("--optimizer.decay-factors", config.decay_factors)
    if rules and not config.weight_decay:
        raise UserError(
            f"--optimizer.decay-factors {' '.join(config.decay_factors)} multiply "
            "--optimizer.weight-decay, which is 0"
        )
    return lambda path: config.weight_decay * first_of(rules, path, 1.0)


def last_step_of(
    config: Optimizer, to_steps: Callable[[Duration], int]
) -> Callable[[str], int | None]:
    """The number of updates by the path of a parameter; None where there is no end to them.

    Raises:
      UserError: a duration is none, or a pattern no regular expression.
    """
    rules = [(pattern, to_steps(duration)) for pattern, duration in durations_of(config)]
    return lambda path: first_of(rules, path, None)


def durations_of(config: Optimizer) -> list[tuple[re.Pattern[str], Duration]]:
    """Patterns of paths of parameters, and how long these are trained.

    Raises:
      UserError: a duration is none, or a pattern no regular expression.
    """
    return _rules(
        "--optimizer.until",
        config.until,
        Duration.parse,
        "pattern=duration, such as ^stem/=3epochs",
    )


def check_factors(config: Optimizer, params: Any) -> None:
    """Checks that every pattern with a value of its own is found in a path that it counts for.

    Raises:
      UserError: one is not.
    """
    names = parameter_paths(params)
    decaying = [name for name in names if re.search(config.decay, name)]
    for flag in ("factors", "decay_factors", "until", "max_norm"):
        decay = flag == "decay_factors"
        there = decaying if decay else names
        for rule in getattr(config, flag):
            pattern = rule.rpartition("=")[0]
            if not any(re.search(pattern, name) for name in there):
                which = f" that decays (--optimizer.decay {config.decay!r})" * decay
                raise UserError(
                    f"--optimizer.{flag.replace('_', '-')} {rule!r} finds no parameter{which}; "
                    f"there are: {', '.join(there)}"
                )


def _rules(
    flag: str, rules: Sequence[str], value: Callable[[str], T], example: str
) -> list[tuple[re.Pattern[str], T]]:
    """Options `pattern=value` taken apart."""
    found = []
    for rule in rules:
        pattern, _, text = rule.rpartition("=")
        try:
            found.append((re.compile(pattern), value(text)))
        except (re.error, ValueError, UserError) as error:
            raise UserError(f"{flag} {rule!r} is not {example}: {error}") from None
        if not pattern:
            raise UserError(f"{flag} {rule!r} has no pattern; it must be {example}")
    return found


def factors_of(flag: str, rules: Sequence[str]) -> list[tuple[re.Pattern[str], float]]:
    """Options `pattern=factor` taken apart.

    Args:
      flag: how the option is called in messages.
      rules: its values.

    Raises:
      UserError: a factor is no number of zero or more, or a pattern no regular expression.
    """
    found = _rules(flag, rules, float, "pattern=factor, such as ^head/=10")
    for rule, (_, number) in zip(rules, found, strict=True):
        if not (math.isfinite(number) and number >= 0):
            raise UserError(f"{flag} {rule!r} must have a factor of zero or more")
    return found


def first_of(rules: Sequence[tuple[re.Pattern[str], T]], path: str, otherwise: T) -> T:
    """The value of the first pattern that is found in a path."""
    return next((value for pattern, value in rules if pattern.search(path)), otherwise)
