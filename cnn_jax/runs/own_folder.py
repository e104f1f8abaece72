"""The folder of a run that was given none: one for each recipe of a name."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator
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


def own_folder(recipe: Recipe, base: Path, *, members: str | None, allow_change: bool) -> Own:
    """The folder of this very recipe among `base`, `base-2`, ..., or the first that is free.

    Nothing is written: who begins there locks it, and finds out if another was faster.

    Args:
      recipe: what is to be run.
      base: the folder that it would have first.
      members: the folder holds runs of several `seeds` in `seed-S`, or of `folds` in `fold-K`.
      allow_change: a run of another recipe in `base` may be gone on with.
    """
    found = {
        path: _held(path, recipe) if members is None else _MEMBERS[members](path, recipe)
        for path in _like(base)
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
    return _of_members(path, "seed-", lambda seed: dataclasses.replace(recipe, seed=seed))


def _of_folds(path: Path, recipe: Recipe) -> Found:
    """What a folder of runs of the folds of a recipe holds."""

    def of(fold: int) -> Recipe:
        return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, fold=fold))

    return _of_members(path, "fold-", of)


def _of_members(path: Path, prefix: str, of: Callable[[int], Recipe]) -> Found:
    if not path.is_dir():
        return "is a file"
    held: Found = False
    for run in sorted(path.glob(f"{prefix}*/recipe.json")):
        number = run.parent.name.removeprefix(prefix)
        held = _held(run.parent, of(int(number))) if number.isdecimal() else "holds something else"
        if held is not True:
            return held
    return held


_MEMBERS = {"seeds": _of_seeds, "folds": _of_folds}
