"""Layers written as what a platform does fast, for programs that run there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnn_jax.layers.basic import BatchNorm, Conv, convolve
from cnn_jax.layers.blocks import ConvNorm
from cnn_jax.layers.cpu.convolution import cpu_convolve, cpu_spread
from cnn_jax.layers.cpu.folding import Folding
from cnn_jax.layers.cpu.norm import cpu_normalise
from cnn_jax.layers.cpu.regions import cpu_cut
from cnn_jax.layers.cpu.volumes import cpu_convolve3d
from cnn_jax.layers.cpu.words import convolve_words
from cnn_jax.layers.roi_align import RoiAlign
from cnn_jax.layers.text import WordConv
from cnn_jax.layers.upsampling import TransposedConv
from cnn_jax.layers.volumes import Conv3d


def layers_for(
    platform: str,
    devices: int = 1,
    *,
    convolutions: bool = True,
    winograd: bool = True,
    normalisation: bool = True,
    folding: bool = True,
    words: bool = True,
) -> AbstractContextManager[Any]:
    """Within it models are traced with the layers that are fast on a platform.

    Values are the same but for rounding. Only the reverse mode of differentiation is there for
    those of a CPU.

    Args:
      platform: of the devices, such as `cpu`.
      devices: among how many the batch is divided.
      convolutions: whether convolutions are among them.
      winograd: whether those of `winograd` are.
      normalisation: whether batch normalisation is.
      folding: whether normalisation by running statistics is part of the convolution before it,
        in float32; needs `convolutions`.
      words: whether convolutions over words are; only where one device has the whole batch.
    """

    def convolved(x: jax.Array, kernel: jax.Array, layer: Conv) -> jax.Array:
        return cpu_convolve(x, kernel, *layer.geometry, winograd=winograd, alone=devices == 1)

    folded = Folding(convolved, lambda x, kernel, layer: convolve(x, kernel, *layer.geometry))

    def replace(
        method: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
    ) -> Any:
        module, name, alone = context.module, context.method_name, devices == 1
        if convolutions and folding and isinstance(module, ConvNorm) and name == "__call__":
            evaluated = module.norm == "batch" and not kwargs.get("train", False)
            if evaluated and jnp.dtype(module.dtype) == jnp.float32:
                return folded.within(module, lambda: method(*args, **kwargs))
        if convolutions and isinstance(module, Conv) and name == "convolve":
            if folding and folded.takes(module):
                return folded.convolved(module, *args)
            x, kernel = args
            return convolved(x, kernel, module)
        if folding and isinstance(module, BatchNorm) and name == "by_running":
            y, *statistics, activation = args
            together = folded.normalised(module, y, statistics, activation)
            return method(*args, **kwargs) if together is None else together
        if convolutions and isinstance(module, TransposedConv) and name == "spread":
            x, kernel = args
            return cpu_spread(x, kernel, module.strides, winograd=winograd, alone=alone)
        if convolutions and isinstance(module, Conv3d) and name == "convolve":
            x, kernel = args
            return cpu_convolve3d(x, kernel, module.strides, winograd=winograd, alone=alone)
        if normalisation and isinstance(module, BatchNorm) and name == "by_batch":
            found = cpu_normalise(*args, epsilon=module.epsilon, dtype=module.dtype)
            return method(*args, **kwargs) if found is None else found
        if alone and isinstance(module, RoiAlign) and name == "cut":
            return cpu_cut(*args, side=module.side)
        if words and isinstance(module, WordConv) and name == "convolve" and devices == 1:
            of_words = convolve_words(*args, **kwargs)
            return method(*args, **kwargs) if of_words is None else of_words
        return method(*args, **kwargs)

    return nn.intercept_methods(replace) if platform == "cpu" else nullcontext()
