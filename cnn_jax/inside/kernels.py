"""The trained kernels of a net."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from cnn_jax.errors import UserError
from cnn_jax.inside.net import Net
from cnn_jax.inside.points import layer_named
from cnn_jax.inside.walk import kernel_of
from cnn_jax.trained import TrainedModel


class Kernels(NamedTuple):
    """The kernels of a layer.

    Attributes:
      layer: its name.
      values: (kh, kw, c, n) of n filters over c maps.
    """

    layer: str
    values: np.ndarray


def shapes_of_input(trained: TrainedModel) -> Any:
    """The shapes of one prepared example (1, ...), as a tree, of which nothing is computed."""
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape), leaf.dtype),
        trained.task.example(evaluation=True),
    )


def kernels(net: Net, example: Any, layer: str | None = None) -> Kernels:
    """The kernels of a convolution.

    Args:
      net: that has it.
      example: as of `shapes_of_input`.
      layer: its name, by default the first one's.

    Raises:
      UserError: there is no such layer, or it is no convolution over places.
    """
    known = net.layers(example)
    found = {
        each.name: kernel
        for each in known
        if each.module is not None
        and (kernel := kernel_of(each, net.variables)) is not None
        and kernel.ndim == 4
    }
    if layer is None:
        if not found:
            raise UserError("the net has no convolution, of which filters could be drawn")
        layer = next(iter(found))
    elif layer not in found:
        layer_named(layer, known)
        raise UserError(
            f"layer {layer} has no kernels of its own; layers that have some: {', '.join(found)}"
        )
    return Kernels(layer, np.asarray(found[layer], np.float32))
