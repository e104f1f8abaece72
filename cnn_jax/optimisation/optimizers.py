"""Optimizers of optax by name, with weight decay by parameter path."""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib

from cnn_jax.duration import Duration
from cnn_jax.errors import UserError, unknown
from cnn_jax.optimisation.frozen import frozen_mask
from cnn_jax.optimisation.max_norm import max_norm
from cnn_jax.optimisation.parameter_rules import (
    decay_of,
    durations_of,
    factor_of,
    factors_of,
    first_of,
    last_step_of,
)
from cnn_jax.optimisation.paths import parameter_paths, path_name
from cnn_jax.optimisation.until import until
from cnn_jax.own.values import Own
from cnn_jax.recipe import Optimizer

_NEED_MORE_THAN_GRADIENTS = frozenset({"lbfgs", "momo", "momo_adam", "sophia"})
"""Need the loss or further evaluations of it at every update."""

_NOT_AN_OPTIMIZER = frozenset({"scale_by_learning_rate", "scale_by_rprop", "scale_by_madgrad"})

_TAKE_NO_SCHEDULE = frozenset({"optimistic_adam", "rprop", "sm3"})
"""Only take a learning rate that stays."""

_OWN_TRAINING_LOOP = frozenset(
    {"dpsgd", "noisy_sgd", "schedule_free", "schedule_free_adamw", "schedule_free_sgd"}
)
"""Need gradients of single examples, a random key, or other parameters for evaluation."""


def optimizers() -> dict[str, Callable[..., optax.GradientTransformation]]:
    """Every optimizer of optax and optax.contrib that updates by gradients alone, by name."""
    out = _NEED_MORE_THAN_GRADIENTS | _NOT_AN_OPTIMIZER | _TAKE_NO_SCHEDULE | _OWN_TRAINING_LOOP
    found: dict[str, Callable[..., optax.GradientTransformation]] = {}
    for module in (optax.contrib, optax):  # of two of a name, that of optax itself
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if name in out or name.startswith("_"):
                continue
            if "learning_rate" in inspect.signature(function).parameters:
                found[name] = function
    return found


def decay_mask(pattern: str, *, may_miss: bool = False) -> Callable[[Any], Any]:
    """A function from parameters to a tree of booleans: which paths `pattern` is found in.

    Args:
      pattern: a regular expression.
      may_miss: whether it may be found in none: of the parameters that are not frozen.

    Raises:
      UserError: the pattern is no regular expression, or (when called) finds no parameter.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"--optimizer.decay {pattern!r} is no regular expression: {error}"
        ) from None

    def mask(params: Any) -> Any:
        found = jax.tree_util.tree_map_with_path(
            lambda path, _: compiled.search(path_name(path)) is not None, params
        )
        if not (may_miss or any(jax.tree.leaves(found))):
            raise UserError(
                f"--optimizer.decay {pattern!r} finds no parameter; there are: "
                f"{', '.join(parameter_paths(params))}"
            )
        return found

    return mask


def decay_line(config: Optimizer, params: Any, frozen: str | None = None) -> str:
    """Which parameters decay, in a line for a user to check the pattern by.

    Args:
      config: what is asked for.
      params: of the model.
      frozen: pattern of the paths that stay, and so do not decay.
    """
    if not config.weight_decay:
        return "no weight decay"
    names = parameter_paths(params)
    decays = jax.tree.leaves(decay_mask(config.decay)(params))
    found = [
        name
        for name, decay in zip(names, decays, strict=True)
        if decay and not (frozen and re.search(frozen, name))
    ]
    line = (
        f"weight decay {config.weight_decay:g} on {len(found)} of {len(names)} parameter arrays: "
        + _shortened(found)
    )
    if config.decay_factors:
        factors = factors_of("--optimizer.decay-factors", config.decay_factors)
        line += "; times " + _grouped(found, lambda name: first_of(factors, name, 1.0))
    return line


def update_lines(
    config: Optimizer, params: Any, frozen: str | None, parts: Sequence[str]
) -> list[str]:
    """What stays and what has a learning rate of its own, in lines to check the patterns by.

    Args:
      config: what is asked for.
      params: of the model.
      frozen: pattern of the paths that stay.
      parts: of the model in the order of computation.
    """
    names = parameter_paths(params)
    stays = set() if frozen is None else {name for name in names if re.search(frozen, name)}
    lines = []
    if stays:
        lines.append(f"frozen: {len(stays)} of {len(names)} parameter arrays")
    moving = [name for name in names if name not in stays]
    if config.factors or config.layer_decay is not None:
        lines.append("learning rate times " + _grouped(moving, factor_of(config, parts)))
    durations = durations_of(config)
    for duration in dict.fromkeys(duration for _, duration in durations):
        found = [name for name in moving if first_of(durations, name, None) == duration]
        if found:
            lines.append(f"trained for the first {duration} only: {_shortened(found)}")
    return lines


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names if len(names) <= 8 else [*names[:4], "...", *names[-3:]])


def _grouped(names: Sequence[str], factor: Callable[[str], float]) -> str:
    """Which factor is whose, in words."""
    groups: dict[float, list[str]] = {}
    for name in names:
        groups.setdefault(factor(name), []).append(name)
    return ", ".join(
        f"{value:g} for {found[0]}" + (f" and {len(found) - 1} more" * (len(found) > 1))
        for value, found in sorted(groups.items())
    )


def make_optimizer(
    config: Optimizer,
    schedule: optax.Schedule,
    frozen: str | None = None,
    parts: Sequence[str] = (),
    to_steps: Callable[[Duration], int] | None = None,
) -> optax.GradientTransformation:
    """The optimizer that a recipe asks for: clipping, then decay, then the named update.

    Factors of the learning rate come last, so that momentum gathers gradient and decay as they
    are: as in PyTorch, where a group has a learning rate and a weight decay of its own.

    Args:
      config: what is asked for.
      schedule: the learning rate by step.
      frozen: pattern of the paths of parameters that stay, see `cnn_jax.optimisation.frozen`; they
        have no state, do not decay, and do not count for clipping.
      parts: of the model in the order of computation, for the decay by layers.
      to_steps: turns durations into steps, for what is trained for a part of the run only.

    Raises:
      UserError: an unknown optimizer or option, or a value it does not take.
    """
    function = _own(config) or _named(config)
    parameters = inspect.signature(function).parameters
    own = {"learning_rate", *list(parameters)[:1]}
    for option in config.options:
        if option not in parameters or option in own:
            raise unknown(
                f"option of the optimizer {config.name} (--optimizer.options)",
                option,
                set(parameters) - own,
            )
    _check_numbers(config)
    decay_of(config)
    if config.weight_decay and "weight_decay" in config.options:
        raise UserError(
            f"weight decay is given twice: --optimizer.weight-decay {config.weight_decay} and "
            f"--optimizer.options weight_decay={config.options['weight_decay']}; give one of them"
        )
    arguments = dict(config.options)
    steps: list[optax.GradientTransformation] = []
    decay = decay_mask(config.decay, may_miss=frozen is not None)
    if config.clip_norm is not None:
        steps.append(optax.clip_by_global_norm(config.clip_norm))
    built_in = "weight_decay" in parameters
    if built_in:
        if "weight_decay" not in config.options:
            in_parts = config.decay_factors or config.name == "muon"
            mask = decay_mask(config.decay, may_miss=True) if in_parts else decay
            arguments |= _built_in_decay(config, parameters, mask)
    elif config.weight_decay and not config.decay_factors:
        steps.append(optax.add_decayed_weights(config.weight_decay, decay))
    elif config.weight_decay:
        steps.append(_decayed(config, decay))
    if config.name == "muon":
        arguments.setdefault("muon_weight_dimension_numbers", _muon_dimensions)
    try:
        # Some values are only looked at when an update is made.
        if not isinstance(config.name, Own):
            tried = function(learning_rate=schedule, **config.options)
            jax.eval_shape(lambda x: tried.update(x, tried.init(x), x), jnp.zeros((2, 2)))
        if built_in and config.decay_factors:
            named = _by_decay(config, lambda each: function(schedule, **(arguments | each)))
        else:
            named = function(schedule, **arguments)
        if config.name == "muon" and config.weight_decay:
            named = _decayed_by_adam(named, config, schedule, decay)
        steps.append(named)
    except (TypeError, ValueError, AttributeError) as error:
        given = " ".join(f"{name}={value!r}" for name, value in config.options.items())
        raise UserError(f"the optimizer {config.name} does not take {given}: {error}") from None
    if config.factors or config.layer_decay is not None:
        steps.append(optax.stateless(functools.partial(_scaled, factor_of(config, parts))))
    if config.max_norm:
        steps.append(max_norm(config.max_norm))
    optimizer = optax.chain(*steps)
    if config.until:
        assert to_steps is not None
        optimizer = until(optimizer, last_step_of(config, to_steps))
    if frozen is None:
        return optimizer
    stays = frozen_mask(frozen)
    return optax.partition(
        {"trained": optimizer, "frozen": optax.set_to_zero()},
        lambda params: jax.tree.map(lambda stay: "frozen" if stay else "trained", stays(params)),
    )


def _named(config: Optimizer) -> Callable[..., optax.GradientTransformation]:
    known = optimizers()
    if config.name not in known:
        raise unknown("--optimizer.name", config.name, known)
    return known[config.name]


def _own(config: Optimizer) -> Callable[..., optax.GradientTransformation] | None:
    """A user's own function of the learning rate, checked to give an optimizer."""
    if not isinstance(config.name, Own):
        return None
    name, function = config.name, config.name.value
    try:
        inspect.signature(function).bind(None, **config.options)
    except TypeError as error:
        raise UserError(
            f"optimizer {name} is called with the learning rate and --optimizer.options, which "
            f"fails: {error}; write it as a function of the rate"
        ) from None

    @functools.wraps(function)
    def checked(*given: Any, **options: Any) -> optax.GradientTransformation:
        found = function(*given, **options)
        if not isinstance(found, optax.GradientTransformation):
            raise UserError(
                f"optimizer {name} gives a {type(found).__name__}; expected is an "
                "optax.GradientTransformation, such as of optax.chain(...)"
            )
        return found

    return checked


def _scaled(factor: Callable[[str], float], updates: Any, params: Any) -> Any:
    return jax.tree_util.tree_map_with_path(
        lambda path, update: update * factor(path_name(path)), updates
    )


def _decayed(config: Optimizer, mask: Callable[[Any], Any]) -> optax.GradientTransformation:
    """Adds the decay of each parameter to its gradient."""
    decay = decay_of(config)

    def add(updates: Any, params: Any) -> Any:
        return jax.tree_util.tree_map_with_path(
            lambda path, update, decays, param: (
                update + decay(path_name(path)) * param if decays else update
            ),
            updates,
            mask(params),
            params,
        )

    return optax.stateless(add)


def _by_decay(
    config: Optimizer, build: Callable[[dict[str, Any]], optax.GradientTransformation]
) -> optax.GradientTransformation:
    """An optimizer that has the decay built in, once for each decay that there is."""
    decay = decay_of(config)
    factors = (1.0, *(number for _, number in factors_of("", config.decay_factors)))
    values = {config.weight_decay * factor for factor in factors}
    return optax.partition(
        {str(value): build({"weight_decay": value}) for value in sorted(values)},
        lambda params: jax.tree_util.tree_map_with_path(
            lambda path, _: str(decay(path_name(path))), params
        ),
    )


def _check_numbers(config: Optimizer) -> None:
    for field in ("learning_rate", "weight_decay"):
        value = getattr(config, field)
        if not (math.isfinite(value) and value >= 0):
            flag = field.replace("_", "-")
            raise UserError(f"--optimizer.{flag} {value} must be a number that is not negative")
    if config.clip_norm is not None and not config.clip_norm > 0:
        raise UserError(f"--optimizer.clip-norm {config.clip_norm} must be positive")


def _built_in_decay(config: Optimizer, parameters: Any, mask: Any) -> dict[str, Any]:
    """Arguments that hand the decay, zero included, to an optimizer that has it built in."""
    masks = [name for name in ("weight_decay_mask", "mask") if name in parameters]
    if not masks:
        if config.weight_decay:
            raise UserError(
                f"{config.name} applies its weight decay to all parameters alike: give it as "
                "--optimizer.options weight_decay=..., not as --optimizer.weight-decay"
            )
        return {"weight_decay": 0.0}
    return {"weight_decay": config.weight_decay, masks[0]: mask}


def _decayed_by_adam(
    muon: optax.GradientTransformation,
    config: Optimizer,
    schedule: optax.Schedule,
    mask: Callable[[Any], Any],
) -> optax.GradientTransformation:
    """Muon with the decay of those parameters too which it leaves to Adam.

    optax gives these one decay for all, or none. The state is muon's own.
    """
    decay, options = decay_of(config), config.options
    rate = options.get("adam_learning_rate")
    dimensions = options.get("muon_weight_dimension_numbers", _muon_dimensions)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        # All counts of the state are the number of updates made.
        made = optax.tree.get_all_with_path(state, "count")[0][1]
        now = schedule(made) if rate is None else rate(made) if callable(rate) else rate

        def add(path: Any, update: Any, decays: bool, dimension: Any, param: Any) -> Any:
            if not decays or dimension is not None:
                return update
            if "adam_weight_decay" in options:
                raise UserError(
                    f"the weight decay of {path_name(path)} is given twice: by "
                    f"--optimizer.weight-decay with --optimizer.decay {config.decay!r}, and as "
                    "adam_weight_decay in --optimizer.options; give one of them"
                )
            return update - now * decay(path_name(path)) * param

        updates, changed = muon.update(updates, state, params)
        each = dimensions(params) if callable(dimensions) else dimensions
        return jax.tree_util.tree_map_with_path(add, updates, mask(params), each, params), changed

    def init(params: Any) -> Any:
        mask(params)  # which must be found in some
        return muon.init(params)

    return optax.GradientTransformation(init, update)


def _muon_dimensions(params: Any) -> Any:
    """Which axes of a kernel muon takes for rows and columns: all but the last, the last.

    Parameters of fewer than two axes are left to Adam, as muon does.
    """
    return jax.tree.map(
        lambda leaf: (
            optax.contrib.MuonDimensionNumbers(tuple(range(leaf.ndim - 1)), (leaf.ndim - 1,))
            if leaf.ndim >= 2
            else None
        ),
        params,
    )
