"""A recipe as a flat table of plain values, as other programs compare runs by."""

from __future__ import annotations

from typing import Any

from cnn_jax.json_values import to_json
from cnn_jax.recipe import Recipe, Task
from cnn_jax.tasks import resolved

_ALWAYS = ("batch_size", "data.name", "duration", "model.name", "optimizer.learning_rate", "seed")
"""What runs are compared by also where it is the default."""


def hyperparameters(recipe: Recipe) -> dict[str, str | int | float | bool]:
    """Every field of a recipe that has a value, such as `optimizer.learning_rate`: 0.1."""
    found = _flat(to_json(recipe))
    return {name: value for name, value in found.items() if value is not None}


def chosen(recipe: Recipe) -> dict[str, str | int | float | bool]:
    """The fields of a recipe that differ from the defaults, and the few that always matter."""
    default = hyperparameters(resolved(Recipe(recipe.name, task=recipe.task)))
    default["task.name"] = Task().name
    return {
        name: value
        for name, value in hyperparameters(recipe).items()
        if name in _ALWAYS or default.get(name) != value
    }


def _flat(tree: dict[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{path}{name}.")
        elif isinstance(value, list):
            found[path + name] = " ".join(map(str, value))
        else:
            found[path + name] = value
    return found
