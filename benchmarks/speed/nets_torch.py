"""The nets that PyTorch trains, their modules named as torchvision's where it has them.

The values are those of `cnn_jax.models` with the options of `benchmarks.speed.cases`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from torch import nn

from benchmarks.speed.clips_torch import R2Plus1D
from benchmarks.speed.images_torch import (
    BasicBlock,
    Bottleneck,
    Grouped,
    airbench94,
    mobilenet_v2,
    resnet,
    simple_cnn,
)
from benchmarks.speed.lines_torch import FCN1d, TextCNN, m5

NETS: dict[str, Callable[[int], nn.Module]] = {
    "simple_cnn": simple_cnn,
    "resnet20": functools.partial(
        resnet, block=BasicBlock, depths=(3, 3, 3), width=16, head="linear", padding=True
    ),
    "resnet18": functools.partial(
        resnet, block=BasicBlock, depths=(2, 2, 2, 2), width=64, head="fc"
    ),
    "airbench94": airbench94,
    "mobilenet_v2": mobilenet_v2,
    "resnet50": functools.partial(
        resnet, block=Bottleneck, depths=(3, 4, 6, 3), width=64, head="fc", imagenet=True
    ),
    "resnext50_32x4d": functools.partial(
        resnet, block=Grouped, depths=(3, 4, 6, 3), width=64, head="fc", imagenet=True
    ),
    "fcn1d": FCN1d,
    "text_cnn": TextCNN,
    "m5": m5,
    "r2plus1d_18": R2Plus1D,
}
"""Each makes a module, given its classes."""
