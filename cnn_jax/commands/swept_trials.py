"""The trials that a command line asks for, each value checked by its field."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from cnn_jax.commands.flags import flags
from cnn_jax.commands.recipe_file import read_recipe
from cnn_jax.commands.swept_fields import full_name, short_name, with_fields
from cnn_jax.errors import UserError
from cnn_jax.json_values import to_json
from cnn_jax.recipe import Recipe
from cnn_jax.runs.search_space import Range, Space, Values, all_of, parse_lists, parse_space
from cnn_jax.runs.sweep import Trial
from cnn_jax.tasks import resolved

T = TypeVar("T")

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
    values = {name: each[0] for name, each in _by_path("--set", given, recipe).items()}
    return with_fields(recipe, values) if values else recipe


def check_apart(recipe: Recipe, given: Sequence[str], flag: str, swept: Sequence[str]) -> None:
    """Checks that no field is both given to all trials and tried.

    Args:
      recipe: whose fields they are.
      given: words of --set.
      flag: of what is tried.
      swept: its words.

    Raises:
      UserError: a field is.
    """
    all_have = _by_path("--set", parse_lists("--set", given), recipe)
    for word in swept:
        name = full_name(flag, word.partition("=")[0], recipe)
        if name in all_have:
            raise UserError(f"{name} is in --set and in {flag}; give it in one of them")


def _by_path(flag: str, given: Mapping[str, T], recipe: Recipe) -> dict[str, T]:
    """What is given of fields, by their paths; each is given once, by whichever of its names."""
    found: dict[str, T] = {}
    names: dict[str, str] = {}
    for name, each in given.items():
        path = full_name(flag, name, recipe)
        if path in found:
            raise UserError(f"{flag} {names[path]} and {name} are one field; give it once")
        found[path], names[path] = each, name
    return found


def check_differ(trials: Sequence[Trial]) -> None:
    """Checks that no two trials are of one recipe, whose values are only written differently.

    Raises:
      UserError: two are.
    """
    known: dict[str, Trial] = {}
    for trial in trials:
        same = known.setdefault(json.dumps(to_json(trial.recipe)), trial)
        if same is not trial:
            raise UserError(f"{same.words} and {trial.words} are one recipe; give one of them")


def read_space(base: Recipe, words: Sequence[str]) -> Space:
    """What is drawn from, each end and each value tried on the recipe.

    Raises:
      UserError: a field is none, or a value is none that it takes.
    """
    found = _by_path("--space", parse_space("--space", words), base)
    # A fraction's range may have whole ends, as 0..1.
    broken = {each.path for each in flags(Recipe, base) if _is_fraction(each.value)}
    found = {
        name: dataclasses.replace(each, whole=False)
        if isinstance(each, Range) and name in broken
        else each
        for name, each in found.items()
    }
    for name, each in found.items():
        ends = (each.at(0.0), each.at(1.0)) if isinstance(each, Range) else each
        for value in ends:
            with_fields(base, {name: value})
    return found


def _is_fraction(value: str) -> bool:
    """Whether a flag with such a value takes fractions, and not perhaps whole numbers."""
    return "FLOAT" in value and "INT" not in value


def read_grid(base: Recipe, words: Sequence[str]) -> list[Values]:
    """All combinations of the values of some fields.

    Raises:
      UserError: a field is none, or its values are not written as they should be.
    """
    return all_of(_by_path("--grid", parse_lists("--grid", words), base))


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
