"""Importing a file of a user's own for what stands in it, without running what it trains."""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnn_jax.errors import UserError
from cnn_jax.own.files import beside, digest, installed, root_of

_imported: dict[tuple[str, str], types.ModuleType] = {}
_depth = 0


class TrainsOnImport(BaseException):
    """Raised where a file that is imported for its code begins to train."""


def stop_if_importing() -> None:
    """Ends the import of a file that trains without a guard: what stands above it is there."""
    if _depth:
        raise TrainsOnImport


def imported(file: Path, module: str) -> types.ModuleType:
    """A file as a module, up to the first line that trains; again only where it has changed.

    What is run is the text of the file and of those beside it: never bytecode that lies there.

    Args:
      file: the whole path.
      module: its name; that of the file alone where the folders above are called otherwise.

    Raises:
      UserError: it cannot be imported.
    """
    if installed(file):
        found = importlib.import_module(module)
        if getattr(found, "__file__", None) == str(file):
            return found
    key = str(file), digest(file)
    if key not in _imported:
        _imported[key] = _run(file, module)
    return _imported[key]


def _run(file: Path, module: str) -> types.ModuleType:
    root = root_of(file, module)
    if root.joinpath(*module.split(".")) not in (file.with_suffix(""), file.parent):
        module = file.stem
    files = {module: file, **beside(file, module)}
    with _found_first(module, files, root):
        spec = _Finder(files).find_spec(module)
        assert spec is not None and spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        sys.modules[module] = made
        try:
            spec.loader.exec_module(made)
        except TrainsOnImport:
            pass
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{file} cannot be imported: {type(error).__name__}: {error}") from None
    return made


@contextlib.contextmanager
def _found_first(module: str, files: Mapping[str, Path], root: Path) -> Iterator[None]:
    """Within it these modules are imported from these files, whatever else has their names.

    The module itself is run again, and does not stay if there was one.
    """
    global _depth
    before = {
        name: held
        for name, held in sys.modules.items()
        if name == module or (name in files and getattr(held, "__file__", None) != str(files[name]))
    }
    for name in before:
        del sys.modules[name]
    finder = _Finder(files)
    sys.meta_path.insert(0, finder)
    sys.path.insert(0, str(root))
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        sys.path.remove(str(root))
        sys.meta_path.remove(finder)
        sys.modules.update(before)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        file = self._files.get(name)
        if file is None:
            return None
        inside = [str(file.parent)] if file.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(
            name, file, loader=_Source(name, str(file)), submodule_search_locations=inside
        )


class _Source(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> types.CodeType:
        return compile(self.get_data(self.path), self.path, "exec", dont_inherit=True)
