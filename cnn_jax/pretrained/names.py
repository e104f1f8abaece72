"""Weights under PyTorch's names and in its layout, from and to the variables of our models."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cnn_jax.errors import UserError
from cnn_jax.pretrained.matching import Found, Report, assemble, paths
from cnn_jax.pretrained.patterns import NameTable, Rows
from cnn_jax.state import Variables

Flattened = Mapping[str, tuple[int, int, int]]
"""(c, h, w) of the maps that a dense layer takes flattened, by the layer's path: PyTorch
flattens them in this order, we as (h, w, c)."""

_OURS = {
    "weight": ("params/{}/kernel", "params/{}/scale"),
    "bias": ("params/{}/bias",),
    "running_mean": ("batch_stats/{}/mean",),
    "running_var": ("batch_stats/{}/var",),
}
_THEIRS = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


def import_weights(
    tensors: Mapping[str, np.ndarray],
    template: Variables,
    names: Rows,
    flattened: Flattened | None = None,
    *,
    optional: Sequence[str] = (),
    new_head: bool = False,
    matching: bool = False,
    source: str = "the file",
) -> tuple[Variables, Report]:
    """The variables of a model, with the values of a PyTorch state dict.

    A table names modules; what their tensors are follows from what our module has: kernels of
    convolutions are turned from (o, i, h, w) to (h, w, i, o), those of dense layers from (o, i)
    to (i, o), `weight` of a normalisation is `scale`, and its running statistics are `mean` and
    `var`. A parameter of any other name, such as ConvNeXt's `gamma`, stands in the table as a
    whole, or has the same name in our module.

    Args:
      tensors: the state dict.
      template: variables of the model: initial values, or shapes if there is no new head.
      names: patterns of PyTorch's module names, each with our path.
      flattened: dense layers that follow flattened maps.
      optional: patterns of names that need no place in the model, such as auxiliary heads.
      new_head: leave the layers that give the logits at their initial values.
      matching: leave all that is missing or of another shape at its initial values.
      source: the file, for messages.

    Returns:
      Variables of NumPy arrays, of the template's structure, shapes and types.

    Raises:
      UserError: anything is missing, unexpected or of another shape; all of it is listed.
    """
    table = NameTable(names)
    wanted = paths(template)
    found: dict[str, Found] = {}
    unexpected: list[str] = []
    left_out: list[str] = []
    for name, tensor in tensors.items():
        if name.rpartition(".")[2] == "num_batches_tracked":
            continue
        path = place(name, table, wanted)
        if path is None:
            droppable = any(re.fullmatch(pattern, name) for pattern in optional)
            (left_out if droppable else unexpected).append(name)
            continue
        if path in found:
            raise UserError(f"{name} and {found[path].name} of {source} are both {path}")
        shape = tuple(wanted[path].shape)
        array = _ours(tensor, path, shape, flattened or {})
        found[path] = Found(name, _without_ones(array, shape))
    return assemble(
        found,
        template,
        unexpected,
        left_out=left_out,
        new_head=new_head,
        matching=matching,
        source=source,
    )


def renamed(tensors: Mapping[str, np.ndarray], names: Rows, source: str) -> dict[str, Found]:
    """Arrays in our layout and collections by our paths, where the table has one for them.

    Args:
      tensors: by paths such as `params/Conv_0/kernel`.
      names: patterns of modules such as `Conv_0`, or of parameters, each with our path.
      source: where they come from, for messages.

    Raises:
      UserError: two arrays have the same path.
    """
    table = NameTable(names)
    found: dict[str, Found] = {}
    for name, tensor in tensors.items():
        collection, _, whole = name.partition("/")
        module, _, leaf = whole.rpartition("/")
        ours = table.ours(module)
        path = table.ours(whole) if ours is None else f"{ours}/{leaf}"
        path = name if path is None else f"{collection}/{path}"
        if path in found:
            raise UserError(f"{name} and {found[path].name} of {source} are both {path}")
        found[path] = Found(name, tensor)
    return found


def export_weights(
    variables: Variables,
    names: Rows,
    flattened: Flattened | None = None,
    *,
    ones: Mapping[str, int] | None = None,
) -> dict[str, np.ndarray]:
    """The variables of a model as a PyTorch state dict: the inverse of `import_weights`.

    Args:
      variables: of the model.
      names: see `import_weights`.
      flattened: see there.
      ones: how many axes of one element tensors have at their end in PyTorch and not here, by
        patterns of their names.

    Raises:
      UserError: the table has no name for a module, or the same for two.
    """
    table = NameTable(names)
    found: dict[str, np.ndarray] = {}
    for path, value in paths(variables).items():
        name = their_name(path, table)
        if name is None:
            raise UserError(f"the table of names has none for {path}")
        if name in found:
            raise UserError(f"the table of names has {name} twice, once for {path}")
        array = _theirs(np.asarray(value), path, flattened or {})
        more = next((n for pattern, n in (ones or {}).items() if re.fullmatch(pattern, name)), 0)
        found[name] = np.asarray(array.reshape(*array.shape, *(1,) * more), order="C")
    return found


def place(name: str, table: NameTable, wanted: Mapping[str, Any]) -> str | None:
    """The path among `wanted` of what PyTorch calls `name`, if there is one."""
    return next((path for path in _candidates(name, table) if path in wanted), None)


def _candidates(name: str, table: NameTable) -> Iterator[str]:
    module, _, leaf = name.rpartition(".")
    ours = table.ours(module)
    if ours is not None:
        for form in _OURS.get(leaf, (f"params/{{}}/{leaf}",)):
            yield form.format(ours)
    whole = table.ours(name)
    if whole is not None:
        yield f"params/{whole}"


def their_name(path: str, table: NameTable) -> str | None:
    """What PyTorch calls the array of a path, if the table says so."""
    whole = table.theirs(path.partition("/")[2])
    if whole is not None:
        return whole
    module, leaf = _module(path)
    theirs = table.theirs(module)
    return None if theirs is None else f"{theirs}.{_THEIRS.get(leaf, leaf)}"


def _ours(
    tensor: np.ndarray, path: str, shape: tuple[int, ...], flattened: Flattened
) -> np.ndarray:
    """A tensor in our layout, for an array of a shape."""
    module, leaf = _module(path)
    if leaf != "kernel":
        return tensor
    if module in flattened and tensor.ndim == 2:
        maps = _maps(module, shape[0], flattened)
        if tensor.shape[1] == shape[0]:
            return tensor.reshape(-1, *maps).transpose(2, 3, 1, 0).reshape(-1, len(tensor))
    # Maps out and in come first there and last here; a kernel over frames has five axes.
    return np.moveaxis(tensor, (1, 0), (-2, -1)) if tensor.ndim >= 4 else tensor.T


def _theirs(array: np.ndarray, path: str, flattened: Flattened) -> np.ndarray:
    """An array in PyTorch's layout."""
    module, leaf = _module(path)
    if leaf != "kernel":
        return array
    if module in flattened:
        channels, height, width = _maps(module, len(array), flattened)
        maps = array.reshape(height, width, channels, -1)
        return maps.transpose(3, 2, 0, 1).reshape(array.shape[1], -1)
    return np.moveaxis(array, (-2, -1), (1, 0)) if array.ndim >= 4 else array.T


def _module(path: str) -> tuple[str, str]:
    """The module of an array and the array's name in it."""
    module, _, leaf = path.partition("/")[2].rpartition("/")
    return module, leaf


def _maps(module: str, inputs: int, flattened: Flattened) -> tuple[int, int, int]:
    maps = flattened[module]
    if math.prod(maps) != inputs:
        raise UserError(
            f"{module} takes {inputs} inputs here, but the table of names has maps of {maps} "
            "(c, h, w) for it, so that their order in PyTorch is not known"
        )
    return maps


def _without_ones(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """An array in a shape with fewer or more axes of one element at its ends, else as it is.

    A dense layer may be a 1x1 convolution on the other side, a factor for each map a (c, 1, 1).
    """
    if array.ndim == len(shape) or _core(array.shape) != _core(shape):
        return array
    return array.reshape(shape)


def _core(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without the ones at its ends."""
    long = [axis for axis, n in enumerate(shape) if n != 1]
    return shape[long[0] : long[-1] + 1] if long else ()
