"""How a command is told of a recipe: by an experiment's file, a run folder, or a recipe.json."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from cnn_jax.errors import UserError
from cnn_jax.json_values import from_json, read_json
from cnn_jax.recipe import Recipe
from cnn_jax.run_folder import RunFolder


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
        return RunFolder(path).recipe(code)
    if path.name == "recipe.json" and path.is_file():
        return RunFolder(path.parent).recipe(code)
    if path.suffix == ".json":
        return from_json(read_json(path), Recipe, str(path))
    if path.suffix != ".py" or not path.is_file():
        reason = "is not there" if not path.exists() else "is none of them"
        raise UserError(
            f"RECIPE is an experiment's .py file, a run folder, or a recipe.json; {path} {reason}"
        )
    return _imported(path)


def _imported(path: Path) -> Recipe:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # As when it is run: it finds the modules beside it.
    folder = str(path.parent.resolve())
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path} cannot be imported: {type(error).__name__}: {error}") from None
    finally:
        sys.path.remove(folder)
    recipe = getattr(module, "recipe", None)
    if not isinstance(recipe, Recipe):
        raise UserError(f"{path} defines no `recipe`, a cnn_jax.Recipe, at the top level")
    return recipe
