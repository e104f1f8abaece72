"""What can be wrong in a recipe, found before anything is compiled."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal, get_args, get_origin, get_type_hints

from cnn_jax.data import check_batch
from cnn_jax.data.spec import DataSpec
from cnn_jax.errors import UserError, unknown
from cnn_jax.recipe import Recipe


def check_names(part: Any, path: str = "") -> None:
    """Checks every field of a recipe that has a list of valid values.

    The command line does so itself; a recipe in a file or in code may be misspelt.

    Raises:
      UserError: a value is not on the list.
    """
    hints = get_type_hints(type(part))
    for field in dataclasses.fields(part):
        value, flag = getattr(part, field.name), path + field.name.replace("_", "-")
        if dataclasses.is_dataclass(value):
            check_names(value, f"{flag}.")
        elif get_origin(hints[field.name]) is Literal and value not in get_args(hints[field.name]):
            raise unknown(f"--{flag}", str(value), get_args(hints[field.name]))


def check_recipe(recipe: Recipe, spec: DataSpec, devices: int, *, each_alone: bool = False) -> None:
    """Checks what can be checked before anything is compiled.

    Args:
      recipe: what is to be trained.
      spec: facts of its data.
      devices: how many the batch is spread over.
      each_alone: whether every device has a program of its own, for its part of the batch.

    Raises:
      UserError: a value does not fit the data, the devices or another value.
    """
    check_names(recipe)
    check_batch(spec.examples["train"], recipe.batch_size, devices)
    parts = recipe.optimizer.accumulate
    if parts < 1 or recipe.batch_size % (parts * devices):
        raise UserError(
            f"--optimizer.accumulate {parts}: the batch of {recipe.batch_size} cannot be split "
            f"into so many parts on {devices} device{'s' * (devices > 1)}"
        )
    group, seen = recipe.model.norm_examples, recipe.batch_size // parts
    here = seen // devices if each_alone else seen
    if group is not None and (group < 1 or here % group):
        where = " of a device" if each_alone else ""
        raise UserError(
            f"--model.norm-examples {group}: the {here} examples{where} that are normalised "
            "together cannot be divided into groups of so many"
        )
    for flag, value, valid in (
        ("--ema", recipe.ema, recipe.ema is None or 0 <= recipe.ema < 1),
        (
            "--loss.label-smoothing",
            recipe.loss.label_smoothing,
            0 <= recipe.loss.label_smoothing < 1,
        ),
    ):
        if not valid:
            raise UserError(f"{flag} {value} must be at least 0 and below 1")
    for field in ("keep_latest", "keep_best"):
        if getattr(recipe.checkpoints, field) < 1:
            raise UserError(f"--checkpoints.{field.replace('_', '-')} must be at least 1")
    patience = recipe.early_stopping.patience
    if patience is not None and patience < 1:
        raise UserError(f"--early-stopping.patience {patience} must be at least 1")
    if patience is not None and "validation" not in spec.examples:
        raise UserError(
            f"--early-stopping.patience {patience} needs a validation part: give "
            "--data.validation, which is 0"
        )
    change = recipe.early_stopping.min_change
    if not (math.isfinite(change) and change >= 0):
        raise UserError(
            f"--early-stopping.min-change {change} must be a number that is not negative"
        )
    if not 0 <= recipe.seed < 2**32:
        raise UserError(f"--seed {recipe.seed} must be at least 0 and below 2**32")
