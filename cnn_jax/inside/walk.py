"""The way of one example through a net, step by step."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import linen as nn

from cnn_jax.inside.net import Net
from cnn_jax.inside.points import Layer, layer_named, values
from cnn_jax.models.activations import LOGITS

MOST = 16
"""So many steps are shown by default at most."""


class Step(NamedTuple):
    """A step on the way.

    Attributes:
      name: of the layer.
      what: is done, in words.
      value: what comes of it: maps (h, w, c), or numbers (c,).
    """

    name: str
    what: str
    value: np.ndarray

    @property
    def shape(self) -> str:
        """Of what comes of it, in words."""
        return "x".join(map(str, self.value.shape))


class Walk(NamedTuple):
    """A way through a net.

    Attributes:
      steps: in the order of computation.
      outputs: (k,) of the net.
      left_out: how many layers are not among the steps.
    """

    steps: tuple[Step, ...]
    outputs: np.ndarray
    left_out: int


def walk(net: Net, inputs: Any, names: Sequence[str] = ()) -> Walk:
    """The way of a single example (1, ...) through a net.

    Args:
      net: that it goes through.
      inputs: as the net takes them.
      names: the layers that are steps; by default all of a short net, of others the larger parts.

    Raises:
      UserError: there is no such layer.
    """
    known = net.layers(inputs)
    chosen = [layer_named(name, known) for name in names] or _chosen(known)
    before = {each.name: earlier.name for earlier, each in itertools.pairwise(known)}
    asked = {each.name for each in chosen} | {LOGITS}
    asked |= {before[each.name] for each in chosen if each.module is None and each.name in before}
    ordered = tuple(each.name for each in known if each.name in asked)

    @jax.jit
    def computed(variables: Any, x: Any) -> Any:
        return values(net.module, variables, x, ordered)

    found = {
        name: np.asarray(value[0], np.float32)
        for name, value in jax.device_get(computed(net.variables, inputs)).items()
    }
    steps: list[Step] = []
    for layer in sorted(chosen, key=known.index):
        value = found[layer.name]
        last = steps[-1].value if steps else None
        if last is not None and not names and np.array_equal(last, value):
            continue  # the same under another name
        if last is not None and (flat := _flattened(last, layer, net.variables)) is not None:
            steps.append(flat)
        earlier = found.get(before.get(layer.name, ""))
        steps.append(Step(layer.name, _what(layer, value, earlier), value))
    shown = {layer.name for layer in chosen}
    inner = [each for each in known if each.name != LOGITS and not each.is_dropout]
    return Walk(tuple(steps), found[LOGITS], sum(each.name not in shown for each in inner))


def _chosen(known: Sequence[Layer]) -> list[Layer]:
    """All layers of a short net, the large parts of a longer, of others the last of each size."""
    every = [each for each in known if each.name != LOGITS and not each.is_dropout]
    if len(every) <= MOST:
        return every
    large = [each for each in every if "/" not in each.name]
    if len(large) <= MOST:
        return large
    last = {each.shape[:2]: each for each in large if each.is_map}
    kept = {large[0].name, *(each.name for each in last.values())}
    return [each for each in large if each.name in kept or len(each.shape) == 1][-MOST:]


def _flattened(last: np.ndarray, layer: Layer, variables: Any) -> Step | None:
    """What lies between maps and a full connection, which no layer is called for."""
    if last.ndim != 3 or layer.module is None or len(layer.shape) != 1:
        return None
    kernel = kernel_of(layer, variables)
    if kernel is None or kernel.ndim != 2:
        return None
    places = f"{last.shape[0]}x{last.shape[1]}"
    if len(kernel) == last.size:
        return Step("flatten", f"all values of {last.shape[2]} maps of {places} in one row",
                    last.reshape(-1))  # fmt: skip
    if len(kernel) == last.shape[2]:
        return Step("mean", f"of each map over its {places} places", last.mean((0, 1)))
    return None


def kernel_of(layer: Layer, variables: Any) -> np.ndarray | None:
    """The trained kernel of a layer; None of one that has none of its own."""
    found = variables["params"]
    for name in layer.name.partition(":")[0].split("/"):
        found = found.get(name, {}) if hasattr(found, "get") else {}
    kernel = found.get("kernel") if hasattr(found, "get") else None
    return None if kernel is None or hasattr(kernel, "get") else np.asarray(kernel)


def _what(layer: Layer, value: np.ndarray, before: np.ndarray | None) -> str:
    """What a layer does, in words."""
    if layer.module is not None:
        return module_words(layer.module)
    if before is None:
        return "marked by the model"
    if before.shape == value.shape and np.array_equal(np.maximum(before, 0), value):
        return f"ReLU: {np.mean(before < 0):.0%} of the values are below 0 and become 0"
    if before.ndim == value.ndim == 3 and value[..., 0].size < before[..., 0].size:
        sizes = [f"{each.shape[0]}x{each.shape[1]}" for each in (before, value)]
        return f"pooling: {sizes[0]} to {sizes[1]} places"
    if before.ndim == 3 and value.ndim == 1 and before.shape[2] == len(value):
        return f"one number for each map of {before.shape[0]}x{before.shape[1]}"
    return f"activation, from {before.min():.2g}..{before.max():.2g} to " + (
        f"{value.min():.2g}..{value.max():.2g}"
    )


def module_words(module: nn.Module) -> str:
    """What a module does, in words."""
    kind = type(module).__name__
    features: Any = getattr(module, "features", None)
    size: Any = getattr(module, "kernel_size", None)
    if kind in ("Conv", "SeriesConv") and size is not None:
        sides = (size, size) if isinstance(size, int) else tuple(size)
        strides: Any = getattr(module, "strides", 1) or 1
        steps = (strides,) if isinstance(strides, int) else tuple(strides)
        moved = f", every {steps[0]} pixels" if math.prod(steps) > 1 else ""
        return f"convolution with {features} kernels of {sides[0]}x{sides[1]}{moved}"
    if kind == "Dense":
        return f"dense: {features} weighted sums of all numbers"
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()
    return f"{words} with {features} maps" if isinstance(features, int) else words
