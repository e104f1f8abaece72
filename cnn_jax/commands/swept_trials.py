"""The trials that a command line asks for, each value checked by its field."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cnn_jax.commands.recipe_file import read_recipe
from cnn_jax.commands.swept_fields import full_name, short_name, with_fields
from cnn_jax.errors import UserError
from cnn_jax.recipe import Recipe
from cnn_jax.runs.search_space import Range, Space, Values, all_of, parse_lists, parse_space
from cnn_jax.runs.sweep import Trial
from cnn_jax.tasks import resolved

_LONGEST = 120
"""Signs of the name of a trial's folder at most."""


def base_recipe(file: Path, words: Sequence[str]) -> Recipe:
    """A recipe with the fields that all trials have.

    Args:
      file: as of `read_recipe`.
      words: such as `duration=2`.

    Raises:
      UserError: there is no such recipe or field, or a field has several values.
    """
    recipe = read_recipe(file)
    given = parse_lists("--set", words)
    if several := [name for name, values in given.items() if len(values) > 1]:
        raise UserError(f"--set {several[0]} has several values; those are for --grid")
    values = {full_name("--set", name, recipe): each[0] for name, each in given.items()}
    return with_fields(recipe, values) if values else recipe


def read_space(base: Recipe, words: Sequence[str]) -> Space:
    """What is drawn from, each end and each value tried on the recipe.

    Raises:
      UserError: a field is none, or a value is none that it takes.
    """
    found = {
        full_name("--space", name, base): each
        for name, each in parse_space("--space", words).items()
    }
    for name, each in found.items():
        ends = (each.at(0.0), each.at(1.0)) if isinstance(each, Range) else each
        for value in ends:
            with_fields(base, {name: value})
    return found


def read_grid(base: Recipe, words: Sequence[str]) -> list[Values]:
    """All combinations of the values of some fields.

    Raises:
      UserError: a field is none, or its values are not written as they should be.
    """
    lists = parse_lists("--grid", words)
    return all_of({full_name("--grid", name, base): each for name, each in lists.items()})


def make_trial(base: Recipe, values: Values, top: Path, number: int | None = None) -> Trial:
    """The trial of some values.

    Args:
      base: the recipe without them.
      values: by path.
      top: the folder of the sweep.
      number: as of `Trial`.

    Raises:
      UserError: a value is none that its field takes.
    """
    recipe = resolved(with_fields(base, values))
    return Trial(values, recipe, top / _folder(values), number)


def _folder(values: Mapping[str, str]) -> str:
    """The name of a trial's folder, which tells its values."""
    told = ",".join(f"{short_name(name, list(values))}={value}" for name, value in values.items())
    name = re.sub(r"[^\w.,=+-]+", "_", told)
    if len(name) <= _LONGEST and name == told:
        return name
    # Two values must not be one folder.
    return f"{name[: _LONGEST - 9]}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"
