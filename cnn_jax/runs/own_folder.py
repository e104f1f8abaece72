"""The folder of a run that was given none: one for each recipe of a name."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cnn_jax.errors import UserError
from cnn_jax.recipe import Recipe
from cnn_jax.run_folder import RunFolder

_MOST = 3
"""Differences that are told."""

Found = str | bool
"""Whether a folder holds a recipe, True, or nothing, False; or in words what else it holds."""


class Own(NamedTuple):
    """A run's own folder.

    Attributes:
      path: it need not be there.
      why: it is not the first of its name; empty where it is.
    """

    path: Path
    why: str


def own_folder(recipe: Recipe, base: Path, *, seeds: bool, allow_change: bool) -> Own:
    """The folder of this very recipe among `base`, `base-2`, ..., or the first that is free.

    Nothing is written: who begins there locks it, and finds out if another was faster.

    Args:
      recipe: what is to be run.
      base: the folder that it would have first.
      seeds: the folder holds runs of several seeds, in `seed-S`.
      allow_change: a run of another recipe in `base` may be gone on with.
    """
    found = {
        path: _of_seeds(path, recipe) if seeds else _held(path, recipe) for path in _like(base)
    }
    for path, held in found.items():
        if held is True:
            return Own(path, "" if path == base else f"{path} holds this recipe: going on there")
    first = found.get(base, False)
    if first is False or allow_change:
        return Own(base, "")
    path = next(path for path in _names(base) if found.get(path, False) is False)
    return Own(path, f"{base} {first}; this run goes to {path} (--workdir names another)")


def _names(base: Path) -> Iterator[Path]:
    yield base
    for number in itertools.count(2):
        yield base.with_name(f"{base.name}-{number}")


def _like(base: Path) -> list[Path]:
    """What there is of these names, by number."""
    number = re.compile(re.escape(base.name) + r"(?:-([2-9]|[1-9]\d+))?")
    try:
        matches = [number.fullmatch(path.name) for path in base.parent.iterdir()]
    except OSError:
        return []  # a start there says why it cannot be used
    found = sorted((int(match[1] or 1), match[0]) for match in matches if match)
    return [base.with_name(name) for _, name in found]


def _held(path: Path, recipe: Recipe) -> Found:
    """What a run folder holds."""
    folder = RunFolder(path)
    try:
        if not (path / "recipe.json").exists():
            folder.check(recipe)
            return False
        lines = folder.changes(recipe) or []
    except UserError:
        return "holds something else"
    more = f"; and {len(lines) - _MOST} more" if len(lines) > _MOST else ""
    return not lines or f"holds a run of another recipe ({'; '.join(lines[:_MOST])}{more})"


def _of_seeds(path: Path, recipe: Recipe) -> Found:
    """What a folder of runs of several seeds holds, whatever their seeds are."""
    if not path.is_dir():
        return "is a file"
    runs = sorted(path.glob("seed-*/recipe.json"))
    held: Found = False
    for run in runs:
        seed = run.parent.name.removeprefix("seed-")
        each = dataclasses.replace(recipe, seed=int(seed)) if seed.isdecimal() else recipe
        held = _held(run.parent, each)
        if held is not True:
            return held
    return held
