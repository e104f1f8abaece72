"""A state as a checkpoint has it: its fields, and whether another state fits in their place."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from cnn_jax.optimisation.paths import path_name
from cnn_jax.state import TrainState


def fields_of(state: TrainState) -> dict[str, Any]:
    """A state by field, without the slow copy where there is none.

    Orbax takes an empty field for one that is missing in the checkpoints of runs that began
    before there was such a copy.
    """
    fields = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    return {name: value for name, value in fields.items() if name != "slow" or value is not None}


def shapes_of(tree: Any) -> dict[str, str]:
    """Type and shape of every array of a tree, in words and by path."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        path_name(path): f"{np.dtype(leaf.dtype).name} {tuple(leaf.shape)}"
        for path, leaf in leaves
        if hasattr(leaf, "shape")
    }


def unlike(stored: dict[str, str], wanted: dict[str, str]) -> str:
    """In which arrays two states differ, a line each; empty where they do not."""
    lines = [
        f"  {path}: {stored.get(path, 'missing')} in the checkpoint, "
        f"{wanted.get(path, 'not there')} in the recipe"
        for path in sorted(stored.keys() | wanted.keys())
        if stored.get(path) != wanted.get(path)
    ]
    more = f"\n  and {len(lines) - 8} more" if len(lines) > 8 else ""
    return "\n".join(lines[:8]) + more
