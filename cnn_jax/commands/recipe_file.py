"""How a command is told of a recipe: by an experiment's file, a run folder, or a recipe.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cnn_jax.errors import UserError
from cnn_jax.own.importing import imported
from cnn_jax.recipe import Recipe


def read_recipe(path: Path, code: Sequence[Path] = ()) -> Recipe:
    """The recipe that a path stands for.

    Args:
      path: a Python file that defines `recipe`, which is imported; a run folder; or a
        `recipe.json`.
      code: of a run folder, files to use for code of one's own that has changed since.

    Raises:
      UserError: it is none of them, or cannot be read.
    """
    if path.is_dir():
        from cnn_jax.run_folder import RunFolder

        return RunFolder(path).recipe(code)
    if path.name == "recipe.json" and path.is_file():
        from cnn_jax.run_folder import RunFolder

        return RunFolder(path.parent).recipe(code)
    if path.suffix == ".json":
        from cnn_jax.json_values import from_json, read_json

        return from_json(read_json(path), Recipe, str(path))
    if path.suffix != ".py" or not path.is_file():
        reason = "is not there" if not path.exists() else "is none of them"
        raise UserError(
            f"RECIPE is an experiment's .py file, a run folder, or a recipe.json; {path} {reason}"
        )
    return read_experiment(path)[0]


def read_experiment(path: Path) -> tuple[Recipe, str | None]:
    """The recipe of an experiment's file and its docstring; its main block is not run.

    Args:
      path: a Python file that defines `recipe`, which is imported.

    Raises:
      UserError: it cannot be imported, or defines none.
    """
    if path.suffix != ".py":
        raise UserError(f"{path} is no Python file, whose name would end in .py")
    module = imported(path.resolve(), path.stem)
    recipe = getattr(module, "recipe", None)
    if not isinstance(recipe, Recipe):
        raise UserError(f"{path} defines no `recipe`, a cnn_jax.Recipe, at the top level")
    return recipe, module.__doc__
