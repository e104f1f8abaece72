"""The Python files of a user: what they import beside them, and what they hold."""

from __future__ import annotations

import ast
import hashlib
import os
import types
from collections.abc import Iterator
from pathlib import Path

_PACKAGE = f"{Path(__file__).parent.parent}{os.sep}"


def digest(file: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def root_of(file: Path, module: str) -> Path:
    """The folder from which a file is imported as a module."""
    parts = module.split(".")
    path = file.parent if file.name == "__init__.py" else file.with_suffix("")
    fits = list(path.parts[-len(parts) :]) == parts
    return path.parents[len(parts) - 1] if fits else file.parent


def beside(file: Path, module: str) -> dict[str, Path]:
    """The files below the same folder that a file imports, and that these import, by module."""
    root, found = root_of(file, module), {module: file}
    waiting = [(module, file)]
    while waiting:
        name, path = waiting.pop()
        for other in _imports(path, name):
            target = root.joinpath(*other.split("."))
            for candidate in (target.with_suffix(".py"), target / "__init__.py"):
                if other not in found and candidate.is_file() and not installed(candidate):
                    found[other] = candidate.resolve()
                    waiting.append((other, candidate.resolve()))
    return {name: path for name, path in sorted(found.items()) if name != module}


def codes(file: Path) -> set[types.CodeType]:
    """The code of all functions in a file, as it is compiled now."""
    try:
        waiting = [compile(file.read_bytes(), str(file), "exec", dont_inherit=True)]
    except (SyntaxError, ValueError):
        return set()
    found: set[types.CodeType] = set()
    while waiting:
        inner = [each for each in waiting.pop().co_consts if isinstance(each, types.CodeType)]
        found |= set(inner)
        waiting += inner
    return found


def installed(file: Path) -> bool:
    """Whether a file belongs to an installed package, or to this one."""
    return "site-packages" in file.parts or str(file).startswith(_PACKAGE)


def _imports(file: Path, module: str) -> Iterator[str]:
    """The modules that a file may import, packages above them included."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(_parsed(file)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            within = package.split(".") if node.level else []
            above = within[: len(within) - node.level + 1]
            start = ".".join([*above, *filter(None, [node.module])])
            names = [start, *(f"{start}.{alias.name}".lstrip(".") for alias in node.names)]
        for name in filter(None, names):
            parts = name.split(".")
            yield from (".".join(parts[: count + 1]) for count in range(len(parts)))


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return ast.Module([], [])  # whoever imports it hears of it


def under_main_guard(file: Path, line: int | None) -> bool:
    """Whether a line stands under `if __name__ == "__main__"`, which an import leaves out."""
    for node in _parsed(file).body:
        if isinstance(node, ast.If) and line is not None:
            named = any(isinstance(x, ast.Name) and x.id == "__name__" for x in ast.walk(node.test))
            if named and node.lineno <= line <= (node.end_lineno or line):
                return True
    return False
