"""The nets that the plain flax program trains, named so that our weights fit.

The values are those of `cnn_jax.models` with the options of `benchmarks.speed.cases`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from flax import linen as nn

from benchmarks.speed.clips_flax import R2Plus1D
from benchmarks.speed.images_flax import Airbench94, MobileNetV2, ResNet, SimpleCNN
from benchmarks.speed.lines_flax import M5, FCN1d, TextCNN

NETS: dict[str, Callable[..., nn.Module]] = {
    "simple_cnn": SimpleCNN,
    "resnet20": functools.partial(ResNet, depths=(3, 3, 3), width=16, padding=True),
    "resnet18": functools.partial(ResNet, depths=(2, 2, 2, 2), width=64),
    "airbench94": Airbench94,
    "mobilenet_v2": MobileNetV2,
    "resnet50": functools.partial(
        ResNet, depths=(3, 4, 6, 3), width=64, bottleneck=True, imagenet=True
    ),
    "resnext50_32x4d": functools.partial(
        ResNet,
        depths=(3, 4, 6, 3),
        width=64,
        bottleneck=True,
        groups=32,
        group_width=4,
        imagenet=True,
    ),
    "fcn1d": FCN1d,
    "text_cnn": TextCNN,
    "m5": M5,
    "r2plus1d_18": R2Plus1D,
}
"""Each makes a module, given its classes and dtype."""
