"""Names of parameters, as users and patterns see them."""

from __future__ import annotations

from typing import Any

import jax


def path_name(path: tuple[Any, ...]) -> str:
    """A parameter's path as patterns see it, such as `conv1/kernel`."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def parameter_paths(params: Any) -> list[str]:
    """Paths of all parameters, in the order of the tree's leaves."""
    return [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
