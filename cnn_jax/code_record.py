"""What a run folder remembers of its user's own code, and how that is found again.

`code.json` says for each field of the recipe that names own code where it stands, and `code/` holds
the files as they were. Importing is running: by itself only a file is imported that lies where it
was, unchanged, and that this user has trained with on this machine. Anything else, the copy in a
run folder above all, is used where it is asked for by name: `--code FILE`.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import shutil
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnn_jax import models
from cnn_jax.devices.user_cache import user_cache
from cnn_jax.errors import UserError
from cnn_jax.json_values import from_json, read_json, to_json, write_json
from cnn_jax.own.files import beside, digest, installed, root_of
from cnn_jax.own.importing import imported
from cnn_jax.own.names import own_names
from cnn_jax.own.values import LIBRARIES, Own, Place, given_by, held_by, of_session
from cnn_jax.recipe import Recipe

_RECORD = "code.json"
_COPIES = "code"


def own_code(recipe: Recipe) -> dict[str, Own]:
    """The names of own code in a recipe, by field, such as `model.name`."""
    found = dict(own_names(recipe))
    name = recipe.model.name
    if "model.name" not in found and name in models.names():
        registered = models.entry(name).own
        if registered is not None:
            found["model.name"] = registered
    return found


def code_notes(recipe: Recipe) -> list[str]:
    """Lines for own code that was edited while this process ran, or that no import would give."""
    edited = {own.place.file for own in own_code(recipe).values() if own.place.edited}
    lost = {path: own for path, own in own_code(recipe).items() if not own.place.again}
    data = lost.pop("data.name", None)
    lines = [
        f"{file} was edited after this program had imported it: what is trained is the code as it "
        "was imported. Start anew to use the file as it is now"
        for file in sorted(map(str, edited))
    ]
    if lost:
        names = ", ".join(f"{path} {own}" for path, own in lost.items())
        lines.append(
            f"{names}: not found again by other programs, since it stands in no file, inside a "
            "function or under a main guard. What made it can go on with this run; evaluate, "
            "predict and export ask for --code FILE"
        )
    if data is not None:
        lines.append("data that Python gives are not found again; evaluate asks for --dataset")
    return lines


def write_record(run: Path, recipe: Recipe) -> None:
    """Stores where the own code of a recipe stands, and the files as they are."""
    places = {path: own.place for path, own in own_code(recipe).items()}
    if not places and not (run / _RECORD).exists():
        return
    write_json(run / _RECORD, {path: to_json(place) for path, place in places.items()})
    shutil.rmtree(run / _COPIES, ignore_errors=True)
    for place in places.values():
        if place.file is None:
            continue
        file = Path(place.file)
        for each in () if installed(file) else (file, *beside(file, place.module).values()):
            if not each.is_file():
                continue  # deleted since it was imported
            copy = _copy(run, place, each)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(each, copy)
        with contextlib.suppress(OSError):  # then `--code FILE` is asked for
            _mark(place).parent.mkdir(parents=True, exist_ok=True)
            _mark(place).touch()


def _copy(run: Path, place: Place, file: Path) -> Path:
    root = root_of(Path(str(place.file)), place.module)
    return run / _COPIES / (file.relative_to(root) if file.is_relative_to(root) else file.name)


def _mark(place: Place) -> Path:
    """A file that is there if this user has trained with this very code on this machine."""
    facts = [place.file, place.sha256, *sorted(place.beside.items())]
    return user_cache() / _COPIES / hashlib.sha256(repr(facts).encode()).hexdigest()


def code_changes(run: Path, recipe: Recipe) -> list[str]:
    """One line for each file of own code that is another than when the run began."""
    stored, lines = _places(run), []
    for path, own in own_code(recipe).items():
        then, now = stored.get(path), own.place
        if then is None or then.name != now.name:
            continue  # the recipes differ
        if then.sha256 != now.sha256:
            lines.append(f"code: {now.file or own} has changed since")
        for module, sha256 in now.beside.items():
            if then.beside.get(module) != sha256:
                lines.append(f"code: {module}, which {now.file} imports, has changed since")
    return list(dict.fromkeys(lines))


def _places(run: Path) -> dict[str, Place]:
    file = run / _RECORD
    if not file.exists():
        return {}
    return {path: from_json(each, Place, str(file)) for path, each in read_json(file).items()}


def recorded_code(run: Path, code: Sequence[Path] = ()) -> dict[str, Own]:
    """The own code of a run by field, each found when it is asked for.

    Args:
      run: a run folder.
      code: files that the user says to use.

    Raises:
      UserError: one of `code` is not there, or has nothing that the run names.
    """
    places = _places(run)
    for file in code:
        if not file.is_file():
            raise UserError(f"--code {file} is not there")
        if all(_held_in(file.resolve(), each, asked=True) is None for each in places.values()):
            names = ", ".join(f"{path} {place.name}" for path, place in places.items())
            raise UserError(
                f"--code {file} has nothing that the run in {run} names of your own, which is: "
                f"{names or 'nothing; leave it out'}"
            )
    files = [file.resolve() for file in code]
    return {
        path: Own.of(
            place.name, place, functools.cache(functools.partial(_value, run, path, place, files))
        )
        for path, place in places.items()
    }


def _value(run: Path, path: str, place: Place, code: Sequence[Path]) -> Any:
    for file in sorted(code, key=lambda file: file.name != Path(place.file or "").name):
        if (value := _held_in(file, place, asked=True)) is not None:
            return value
    what = f"the run in {run} has the {path} {place.name}"
    wanted = place.qualname or f"a {place.role} of your own"
    instead = f"give --code FILE, the file that defines {wanted}"
    if place.role == "data":
        instead = "give --dataset, such as npz:FILE, or " + instead
    if (value := of_session(place)) is not None:
        return value
    if place.file is None and place.module.startswith(LIBRARIES):
        return _of_library(place, what)
    if place.file is None:
        raise UserError(f"{what}, which was typed into a session that has ended; {instead}")
    file = Path(place.file)
    if not place.again:
        raise UserError(
            f"{what}, which only the program that made it has: {file} gives it inside a function "
            f"or under its main guard; {instead}"
        )
    copy = _copy(run, place, file)
    kept = f", or --code {copy}, the copy of then (if the folder is not yours, read it first)"
    kept = kept * copy.is_file()
    if not file.is_file():
        raise UserError(f"{what} of {file}, which is gone; {instead}{kept}")
    if not _mark(place).exists():
        raise UserError(
            f"{what} of {file}. The file is there, but you have not trained with it on this "
            f"machine, and importing it runs it: read it, then give --code {file}"
        )
    changed = _changed(place)
    if changed:
        raise UserError(
            f"{what}, and {changed} has changed since; give --code {file} to use it as it is now"
            + kept
        )
    value = _held_in(file, place)
    if value is None:
        raise UserError(f"{what}, which {file} no longer gives when it is imported; {instead}")
    return value


def _of_library(place: Place, what: str) -> Any:
    try:
        value = _defined(importlib.import_module(place.module), place.qualname)
    except ImportError:
        value = None
    if value is None:
        raise UserError(f"{what}, which the version of {place.module} that is here does not have")
    return value


def _defined(module: types.ModuleType, qualname: str | None, *, here: bool = True) -> Any:
    """What a module holds by a name that is the value's own: no way through what it imports.

    Args:
      module: already imported.
      qualname: of a class or function.
      here: the module must also be where it was defined.
    """
    value = held_by(vars(module), qualname)
    own = getattr(value, "__qualname__", None) == qualname
    there = getattr(value, "__module__", None) == module.__name__
    return value if own and (there or not here) else None


def _changed(place: Place) -> str | None:
    """The file of a place that is another than then, if any is."""
    file = Path(str(place.file))
    if digest(file) != place.sha256:
        return str(file)
    now = beside(file, place.module)
    for module, sha256 in place.beside.items():
        if module not in now or digest(now[module]) != sha256:
            return f"{module}, which {file} imports,"
    return None


def _held_in(file: Path, place: Place, *, asked: bool = False) -> Any:
    """What a file has in the place of a value; None where it has nothing."""
    module = imported(file, place.module)
    if place.qualname is not None:
        return _defined(module, place.qualname, here=not asked)
    found = given_by(file, place.role)
    if asked and len(found) == 1:
        return next(iter(found.values()))
    return found.get(place.name)
