"""Checkpoints that other programs wrote with Orbax: the parameters of a model, and only these."""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from cnn_jax.checkpoints.plain_path import plain_path
from cnn_jax.data.memory_limit import available_memory
from cnn_jax.errors import UserError, forget_closed_loops
from cnn_jax.pretrained.tensors import Tensors, as_float32, check_names, shown

Key = tuple[str | int, ...]
"""Where an array stands in a tree: keys of dictionaries and places in lists."""

_TREE, _STEP = "_METADATA", "_CHECKPOINT_METADATA"


@dataclass(frozen=True)
class OrbaxWeights:
    """What a checkpoint holds of a model.

    Attributes:
      tensors: arrays by path, such as `params/Conv_0/kernel`.
      left: what else lies there and was not read: a line for each part.
    """

    tensors: Tensors
    left: tuple[str, ...]


def is_orbax(path: Path) -> bool:
    """Whether a folder is a checkpoint that Orbax wrote: a tree, or one step of several items."""
    return any(os.path.exists(path / name) for name in (_TREE, _STEP))  # noqa: PTH110


def read_orbax(path: Path) -> OrbaxWeights:
    """The parameters and batch statistics of a checkpoint; nothing else of it is read.

    `params` and `batch_stats` stand at the top of its tree or one level down, as in
    `state/params`, or are variables as a whole, `params/params`. Where there is no `params`, the
    whole tree is taken for them. The items of one step of a CheckpointManager are a level more.

    Args:
      path: a folder which `is_orbax` holds for.

    Raises:
      UserError: it is damaged, or does not say which arrays are the parameters.
    """
    with _reading(path):
        items = _items(path)
    trees = {item: _metadata(folder) for item, folder in items.items()}
    leaves = {
        (*item, *key): leaf for item, tree in trees.items() for key, leaf in _leaves(tree).items()
    }
    check_names(("/".join(map(str, key)) for key in leaves), len(leaves), path)
    places = _places(path, list(leaves), depth=1 if () in items else 2)
    tensors: Tensors = {}
    taken: set[Key] = set()
    for collection, place in places.items():
        for item, folder in items.items():
            if place[: len(item)] != item:
                continue
            for key, array in _read(folder, trees[item], place[len(item) :]).items():
                tensors["/".join([collection, *map(str, key)])] = array
                taken.add((*place, *key))
    if not tensors:
        raise UserError(f"{path} holds no arrays for a model: {_listed(leaves)}")
    left = _parts((key for key in leaves if key not in taken), places.values())
    return OrbaxWeights(tensors, tuple(left))


def _items(path: Path) -> dict[Key, Path]:
    """The folders of the trees, by their names in a step, or by () where there is but one."""
    if (path / _TREE).exists():
        return {(): path}
    inside = sorted(entry for entry in path.iterdir() if not entry.name.startswith(("_", ".")))
    found: dict[Key, Path] = {(entry.name,): entry for entry in inside if (entry / _TREE).exists()}
    if not found:
        names = ", ".join(entry.name for entry in inside) or "nothing"
        raise UserError(f"{path} is an Orbax checkpoint without a tree of arrays: it holds {names}")
    return found


def _metadata(folder: Path) -> Any:
    """The tree of a folder, with shapes in place of arrays."""
    with _reading(folder), plain_path(folder) as plain:
        tree = ocp.PyTreeCheckpointHandler().metadata(plain).tree
        _leaves(tree)  # of dictionaries and lists
        return tree


def _leaves(tree: Any) -> dict[Key, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {tuple(_part(entry) for entry in path): leaf for path, leaf in leaves}


def _part(entry: Any) -> str | int:
    return entry.idx if isinstance(entry, jax.tree_util.SequenceKey) else str(entry.key)


def _places(path: Path, keys: list[Key], depth: int) -> dict[str, Key]:
    """Where the collections stand, at most so many levels down."""
    above = {key[:end] for key in keys for end in range(1, len(key))}
    above = {key for key in above if all(isinstance(part, str) for part in key)}

    def only(found: list[Key], name: str) -> Key:
        nearest = [key for key in found if len(key) == min(map(len, found))]
        if len(nearest) > 1:
            where = ", ".join("/".join(map(str, key)) for key in sorted(nearest, key=str))
            raise UserError(f"{path} holds {name} more than once: {where}")
        return nearest[0]

    def named(name: str, depth: int) -> list[Key]:
        return [key for key in above if key[-1] == name and len(key) <= depth + 1]

    found = named("params", depth)
    if not found:
        top = {key[0] for key in keys}
        if depth > 1 and len(top) > 1:
            raise UserError(f"{path} holds no params: {_listed(keys)}")
        return {"params": tuple(top) if depth > 1 else ()}
    params = only(found, "params")
    while (*params, "params") in above:
        params = (*params, "params")
    beside = [(*params[:end], "batch_stats") for end in range(len(params) - 1, -1, -1)]
    nearest = [key for key in beside if key in above][:1] or named("batch_stats", depth)
    if not nearest:
        return {"params": params}
    statistics = only(nearest, "batch_stats")
    while (*statistics, "batch_stats") in above:
        statistics = (*statistics, "batch_stats")
    return {"params": params, "batch_stats": statistics}


def _read(folder: Path, tree: Any, place: Key) -> dict[Key, np.ndarray]:
    """The arrays at a place of a tree; floats of any width as float32."""
    for part in place:
        tree = tree[part]
    wanted = _arrays(tree)
    if not wanted:
        return {}
    with _reading(folder):
        _check_size(wanted, folder)
    arguments = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), wanted)
    item = jax.tree.map(lambda _: 0, wanted)
    for part in reversed(place):
        item, arguments = {part: item}, {part: arguments}
    with (
        _reading(folder),
        plain_path(folder) as plain,
        ocp.PyTreeCheckpointer() as checkpointer,
    ):
        found = checkpointer.restore(
            plain,
            args=ocp.args.PyTreeRestore(item=item, restore_args=arguments, partial_restore=True),
        )
        for part in place:
            found = found[part]
        return {key: _as_float32(np.asarray(array)) for key, array in _leaves(found).items()}


def _check_size(tree: Any, folder: Path) -> None:
    """Checks that the arrays fit in memory: where they do not, the reader ends the process."""
    need = sum(
        math.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize
        for leaf in _leaves(tree).values()
        if _is_array(leaf)
    )
    if need > (limit := available_memory()):
        raise UserError(
            f"{folder} says that its arrays take {need / 1e9:,.1f} GB, more than the "
            f"{limit / 1e9:,.1f} GB of memory that are available: it is damaged, or too large"
        )


def _arrays(tree: Any) -> Any:
    """A tree without the texts and numbers that are no arrays, where they stand by name."""
    if not isinstance(tree, Mapping):
        return tree
    inside = {name: _arrays(value) for name, value in tree.items()}
    return {
        name: value
        for name, value in inside.items()
        if any(map(_is_array, _leaves(value).values()))
    }


def _is_array(leaf: Any) -> bool:
    return getattr(leaf, "storage", None) is not None


def _as_float32(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind != "f" and jax.numpy.issubdtype(array.dtype, np.floating):
        return array.astype(np.float32)  # bfloat16 and the like
    return as_float32(array)


def _parts(keys: Iterable[Key], places: Iterable[Key] = ()) -> list[str]:
    """The largest parts of a tree that no place stands in, with how many arrays each has."""
    above = {place[:end] for place in places for end in range(len(place) + 1)}
    counts: Counter[str] = Counter()
    for key in keys:
        end = next((end for end in range(1, len(key)) if key[:end] not in above), len(key))
        counts["/".join(map(str, key[:end]))] += 1
    return [f"{part} ({count} arrays)" if count > 1 else part for part, count in counts.items()]


def _listed(keys: Iterable[Key]) -> str:
    parts = _parts(keys)
    return "it has " + ((", ".join(parts[:8]) + ", ..." * (len(parts) > 8)) or "nothing in it")


@contextlib.contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Within it what the libraries raise at a damaged folder is a `UserError`."""
    forget_closed_loops()
    # Of several that fail at once the others are not awaited either.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    try:
        yield
    except UserError:
        raise
    # There is no end of what the libraries raise at files that are missing, cut short or changed.
    except Exception as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        first = (reason.strip().splitlines() or [type(error).__name__])[0]
        if isinstance(error, LookupError):
            first = f"{first} is missing in it"
        raise UserError(f"{folder} is damaged, or no checkpoint of Orbax: {shown(first)}") from None
