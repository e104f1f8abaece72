"""Normalisation by running statistics as part of the convolution before it, on a CPU.

By running statistics it is a product and a sum a map. The product goes into the kernel. What is
left is a convolution with a bias, which oneDNN does at once with the sum and the ReLU that follow.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from cnn_jax.layers.basic import Activation, BatchNorm, Conv

Convolve = Callable[[jax.Array, jax.Array, Conv], jax.Array]
"""The convolution of x (b, h, w, c) with a kernel, as a layer asks for it."""

FEW = 16
"""Maps up to which convolutions are oneDNN's in programs that have many of them, see
`cnn_jax.devices.compilation.compiler_options`. Other programs gain nothing: there the product is
part of a pass that is made anyway."""

LARGEST = 1 / 8
"""Of the output's numbers: to multiply kernels of more takes longer than it saves."""

MANY_IMAGES = 16
"""From so many on depthwise convolutions are left to oneDNN. Programs that call it are compiled at
every start, which takes longer than it saves of a few images."""


def has_onednn() -> bool:
    """Whether XLA's convolutions on this CPU can be oneDNN's."""
    version = tuple(int(part) for part in importlib.metadata.version("jaxlib").split(".")[:2])
    return version >= (0, 12) and platform.machine() in ("x86_64", "AMD64")


class _Convolved(NamedTuple):
    layer: Conv
    x: jax.Array
    kernel: jax.Array
    y: jax.Array


class Folding:
    """Puts convolutions and the normalisation after them together while a model is traced.

    A convolution within a block that is evaluated is traced as it stands. Nothing of it is computed
    where its output is only normalised: it is then traced anew, with the kernel times what each
    map is multiplied by.

    Args:
      ours: convolutions by our own ways.
      plain: as XLA has them.
    """

    def __init__(self, ours: Convolve, plain: Convolve) -> None:
        self._ours, self._plain = ours, plain
        self._blocks: list[object] = []
        self._last: _Convolved | None = None
        self._onednn, self._all_plain, self._few = has_onednn(), False, False

    def within(self, block: object, called: Callable[[], Any]) -> Any:
        """Calls a block of a convolution and a normalisation that is evaluated."""
        self._blocks.append(block)
        try:
            return called()
        finally:
            self._blocks.pop()
            self._last = None

    def takes(self, layer: Conv) -> bool:
        """Whether a convolution is that of such a block."""
        return bool(self._blocks) and layer.parent is self._blocks[-1]

    def convolved(self, layer: Conv, x: jax.Array, kernel: jax.Array) -> jax.Array:
        """The convolution as it stands, remembered for the normalisation."""
        y = self._plain(x, kernel, layer)
        self._last = _Convolved(layer, x, kernel, y)
        return y

    def normalised(
        self,
        norm: BatchNorm,
        y: jax.Array,
        statistics: tuple[jax.Array, jax.Array, jax.Array | None, jax.Array | None],
        activation: Activation | None,
    ) -> jax.Array | None:
        """What `BatchNorm.by_running` gives; None where `y` is not the convolution's."""
        last = self._last
        if last is None or last.y is not y:
            return None
        # A program with a plain depthwise convolution is compiled with oneDNN, which then does
        # the others as well.
        depthwise = last.kernel.shape[2] == 1 < last.layer.groups
        self._all_plain |= self._onednn and depthwise and len(y) >= MANY_IMAGES
        self._few |= y.shape[-1] <= FEW
        pays = last.kernel.size <= LARGEST * y.size and (self._all_plain or self._few)
        if not pays:
            again = self._ours(last.x, last.kernel, last.layer)
            return norm.by_running(again, *statistics, activation)
        factor, offset = norm.line(*statistics)
        found = self._best(last.x, last.kernel * factor, last.layer) + offset
        return found if activation is None else activation(found)

    def _best(self, x: jax.Array, kernel: jax.Array, layer: Conv) -> jax.Array:
        if not self._all_plain:
            return self._ours(x, kernel, layer)

        def by_ours(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, Any]:
            return jax.vjp(lambda x, kernel: self._ours(x, kernel, layer), x, kernel)

        # Of gradients oneDNN does nothing: where they are asked for, ours are faster.
        either = jax.custom_vjp(lambda x, kernel: self._plain(x, kernel, layer))
        either.defvjp(by_ours, lambda backward, change: backward(change))
        return either(x, kernel)
