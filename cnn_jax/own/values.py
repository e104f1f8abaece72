"""Code of a user's own that is given to a recipe as a value: its name, and where it stands.

A recipe holds only names. That of a value, such as `my_net:MyNet`, carries the value with it, and
knows the file in which it is found again. What has no name of its own, such as a lambda, is found
by importing the file that gave it to a recipe: it then gives it to a recipe once more.
"""

from __future__ import annotations

import functools
import hashlib
import os
import secrets
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnn_jax.errors import UserError
from cnn_jax.own.files import beside, codes, digest, under_main_guard

SESSION = secrets.token_hex(8)
"""Of this process: what has no file lives as long as it."""

LIBRARIES = ("optax.", "flax.linen.", "jax._src.nn.")
"""Modules whose functions are values like others, but nobody's own: no file of theirs is kept."""

_PACKAGE = f"{Path(__file__).parent.parent}{os.sep}"
_LONGEST = 160

_here: list[Any] = []
"""Values that recipes of this process were given, by number."""
_by_file: dict[tuple[str, str, str], Any] = {}
"""The same by file, role and name."""


@dataclass(frozen=True)
class Place:
    """Where a value stands.

    Attributes:
      role: the part of a recipe that it was given to, such as model.
      name: of the value.
      module: that its file is imported as.
      qualname: by which the module holds it; None where it is found by its role and name.
      file: the whole path; None of what was typed into a session, or is of a library.
      sha256: of the file, or of the value's code where there is no file.
      beside: of the files beside it that it imports, by module.
      again: whether importing the file gives it again.
      edited: whether the file was edited after this process had imported it.
      session: the process that it was given in.
      number: among the values of that process; None of one that is not kept.
    """

    role: str
    name: str
    module: str
    qualname: str | None
    file: str | None
    sha256: str
    beside: Mapping[str, str] = field(default_factory=dict)
    again: bool = True
    edited: bool = False
    session: str = SESSION
    number: int | None = None


class Own(str):
    """The name of a value of a user's own, which carries it; equal to any text that is the same."""

    place: Place
    _get: Callable[[], Any]

    @classmethod
    def of(cls, name: str, place: Place, get: Callable[[], Any]) -> Own:
        """A name, where its value stands, and what gives the value or says why there is none."""
        made = cls(name)
        made.place, made._get = place, get
        return made

    @property
    def value(self) -> Any:
        """What is named.

        Raises:
          UserError: it stands in a file that is gone or has changed.
        """
        return self._get()


def given(value: Any, role: str, *, name: str | None = None) -> Own:
    """The name of a value that a recipe is given.

    Args:
      value: a class, a function, or with a `name` anything.
      role: the part of a recipe that it is given to.
      name: by default its module and its name there.

    Raises:
      UserError: it is no class and no function, or holds what cannot be written down.
    """
    if name is None and not callable(value):
        raise UserError(
            f"{role}: {type(value).__name__} is neither a name, nor a class or function of your own"
        )
    giver = _giver()
    owner, qualname = _owner(value), getattr(value, "__qualname__", None)
    found = name is None and held_by(owner, qualname) is value
    label = _label(owner) if found else _label(giver.f_globals)
    file = (owner if found else giver.f_globals).get("__file__")
    line = _line(value) if found else giver.f_lineno
    whole = name or _short(_written(value, ()))
    number = None
    if callable(value) or role != "data":  # data that nobody else holds may take much memory
        number = len(_here)
        _here.append(value)
    if found and label.startswith(LIBRARIES):
        return Own.of(whole, Place(role, whole, label, qualname, None, ""), lambda: value)
    if file is None or not Path(file).is_file():
        place = Place(role, whole, label, qualname if found else None, None, _code_digest(value),
                      again=False, number=number)  # fmt: skip
        return Own.of(whole, place, lambda: value)
    path = Path(file).resolve()
    at_top = found or giver.f_code.co_name == "<module>"
    place = Place(
        role,
        whole,
        label,
        qualname if found else None,
        str(path),
        digest(path),
        {module: digest(each) for module, each in beside(path, label).items()},
        again=at_top and not under_main_guard(path, line),
        edited=not set(_codes_in(value, file)) <= codes(path),
        number=number,
    )
    if at_top:
        _by_file[str(path), role, whole] = value
    return Own.of(whole, place, lambda: value)


def of_session(place: Place) -> Any:
    """The value of a place, if this very process gave it; else None."""
    there = place.session == SESSION and place.number is not None
    return _here[place.number] if there and place.number is not None else None


def given_by(file: Path, role: str) -> dict[str, Any]:
    """What a file that was imported gave to recipes, by name."""
    return {
        name: value
        for (path, of, name), value in _by_file.items()
        if (path, of) == (str(file), role)
    }


def _giver() -> types.FrameType:
    """Where this package was called from."""
    frame = sys._getframe(1)
    while frame.f_back is not None and (
        frame.f_code.co_filename.startswith(_PACKAGE) or frame.f_code.co_filename == "<string>"
    ):
        frame = frame.f_back
    return frame


def _owner(value: Any) -> dict[str, Any]:
    """The globals of the module that a value was defined in."""
    # A file that was imported for its recipe only need not be among the modules of the process.
    for function in _functions(value):
        made = function.__code__.co_filename == "<string>"  # by a dataclass, in no module
        if function.__module__ == getattr(value, "__module__", None) and not made:
            return function.__globals__
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    return {} if module is None else vars(module)


def label_of(value: Any) -> str:
    """The name of the module that a value was defined in, also of one that is run."""
    return _label(_owner(value))


def _label(owner: Mapping[str, Any]) -> str:
    """The name of a module, also of one that is run."""
    name = str(owner.get("__name__", "__main__"))
    if name != "__main__":
        return name
    if (spec := owner.get("__spec__")) is not None:
        return str(spec.name)
    file = Path(owner.get("__file__") or "")
    return file.stem if file.is_file() else name


def held_by(owner: Mapping[str, Any], qualname: str | None) -> Any:
    """What a module holds by a qualified name; None where it holds nothing."""
    first, *rest = (qualname or "").split(".")
    return functools.reduce(lambda held, name: getattr(held, name, None), rest, owner.get(first))


def _line(value: Any) -> int | None:
    """Where a value begins in its file; of a class before Python 3.13 its first method does."""
    first = [function.__code__.co_firstlineno for function in _functions(value)]
    found: int | None = getattr(value, "__firstlineno__", min(first, default=None))
    return found


def _short(name: str) -> str:
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 12]}...{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _written(value: Any, within: tuple[int, ...]) -> str:
    """A value as text that is the same whenever it is made again."""
    if id(value) in within:
        return "..."  # a function that calls itself
    inner = functools.partial(_written, within=(*within, id(value)))
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"({', '.join(map(inner, value))})"
    if isinstance(value, dict):
        return f"({', '.join(f'{key}={inner(entry)}' for key, entry in value.items())})"
    if isinstance(value, functools.partial):
        return (
            inner(value.func)
            + f"({', '.join([*map(inner, value.args), *_pairs(value.keywords, inner)])})"
        )
    if isinstance(value, types.ModuleType):
        return value.__name__
    if hasattr(value, "__array__") and not isinstance(value, type):
        import numpy as np

        array = np.asarray(value)
        code = hashlib.sha256(array.tobytes()).hexdigest()[:8]
        return f"{array.dtype}{list(array.shape)}:{code}"
    qualname = getattr(value, "__qualname__", None)
    if qualname is not None:
        owner = _owner(value)
        name = f"{_label(owner)}:{qualname}"
        if held_by(owner, qualname) is value:
            return name
        if isinstance(value, types.FunctionType) and value.__name__ == "<lambda>":
            name += f":{_line(value)}"
        held = _pairs(_enclosed(value), inner)
        return name + f"({', '.join(held)})" * bool(held)
    text = repr(value)
    if " at 0x" in text:
        raise UserError(
            f"a function that is given to a recipe holds a {type(value).__name__}, which cannot be "
            "written down, so that runs could not be told apart; define it at the top of its file"
        )
    return text


def _pairs(held: Mapping[str, Any], inner: Callable[[Any], str]) -> list[str]:
    return [f"{name}={inner(value)}" for name, value in sorted(held.items())]


def _enclosed(value: Any) -> dict[str, Any]:
    """What tells functions of the same text apart: variables around them, and plain globals."""
    found: dict[str, Any] = {}
    for function in _functions(value):
        code = function.__code__
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                if name != "__class__":
                    found[name] = cell.cell_contents
            except ValueError:
                continue  # not yet there
        plain = {name: function.__globals__.get(name) for name in code.co_names}
        found |= {k: v for k, v in plain.items() if isinstance(v, bool | int | float | str)}
    return {name: held for name, held in found.items() if held is not value}


def _functions(value: Any) -> list[types.FunctionType]:
    """The functions that a value is made of: itself, or the methods of a class."""
    held = vars(value).values() if isinstance(value, type) else (value,)
    inner = [getattr(each, "__wrapped__", each) for each in held]
    return [each for each in inner if isinstance(each, types.FunctionType)]


def _codes_in(value: Any, file: str) -> list[types.CodeType]:
    """The code of a value's functions that comes from a file."""
    found = [function.__code__ for function in _functions(value)]
    return [code for code in found if code.co_filename == file]


def _code_digest(value: Any) -> str:
    """The SHA-256 of what a value's functions do, for one version of Python."""

    def parts(code: types.CodeType) -> Iterator[bytes]:
        yield code.co_code + repr((code.co_names, code.co_varnames)).encode()
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                yield from parts(constant)
            else:
                yield repr(constant).encode()

    whole = hashlib.sha256()
    for function in _functions(value):
        for part in parts(function.__code__):
            whole.update(part)
    return whole.hexdigest()
