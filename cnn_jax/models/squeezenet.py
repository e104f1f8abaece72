"""SqueezeNet 1.0 and 1.1."""

from __future__ import annotations

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Conv, Dropout, check_images, tap
from cnn_jax.layers.blocks import ConvNorm, NormKind, global_mean
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.pooling import ceil_max_pool
from cnn_jax.models.registry import register


class Fire(nn.Module):
    """1x1 convolution to few maps, then 1x1 and 3x3 convolutions side by side, with ReLUs.

    (b, h, w, c) -> (b, h, w, 2 expand): Iandola et al. 2016, figure 1.

    Attributes:
      squeeze: maps of the first convolution.
      expand: maps of each of the two others.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.

    Parameters: squeeze, expand1x1, expand3x3.
    """

    squeeze: int
    expand: int
    norm: NormKind = "none"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """The maps of the 1x1 convolution, then those of the 3x3."""
        conv = functools.partial(
            ConvNorm, norm=self.norm, kernel_init="he_uniform", dtype=self.dtype
        )
        x = conv(self.squeeze, 1, name="squeeze")(x, train=train)
        one = conv(self.expand, 1, name="expand1x1")(x, train=train)
        three = conv(self.expand, 3, name="expand3x3")(x, train=train)
        return jnp.concatenate([one, three], axis=-1)


class SqueezeNet(nn.Module):
    """A convolution, eight fire modules, and a convolution whose maps are averaged to logits.

    Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", table 1,
    as torchvision has it; 1.1 is the authors' later form of 2.4 times less computation. For 224
    pixels, where poolings are 3x3/2 and rounded up:

                1.0                             1.1
        stem    7x7/2, 96, unpadded  109x109    3x3/2, 64, unpadded  111x111
        pool                         54x54                           55x55
        fire2   16, 64 + 64                     16, 64 + 64
        fire3   16, 64 + 64                     16, 64 + 64, pool    27x27
        fire4   32, 128 + 128, pool  27x27      32, 128 + 128
        fire5   32, 128 + 128                   32, 128 + 128, pool  13x13
        fire6   48, 192 + 192                   48, 192 + 192
        fire7   48, 192 + 192                   48, 192 + 192
        fire8   64, 256 + 256, pool  13x13      64, 256 + 256
        fire9   64, 256 + 256                   64, 256 + 256
        head    dropout, 1x1 k, ReLU, global mean

    1,248,424 and 1,235,496 parameters for 1000 classes. The logits, means after a ReLU, are
    never below 0. The features are the maps of the last fire module, the embedding their means.

    Attributes:
      num_classes: number of logits.
      stem_width: maps of the stem.
      stem_kernel: side in pixels of the stem's kernel.
      fires: (maps squeezed to, maps expanded to by each of two convolutions) of each module.
      pools: numbers of the layers after which is pooled: 1 for the stem, 2 for fire2, and so on.
      stem: "small" for images of about 32 pixels: 3x3 convolution, no stride, no pooling
        after it.
      norm: see `cnn_jax.layers.blocks.normalise`; before every ReLU but the head's.
      dropout: rate before the head.
      remat: compute the inside of fire modules a second time for the gradient, instead of
        keeping it.
      dtype: what it computes in.
    """

    num_classes: int
    stem_width: int = 96
    stem_kernel: int = 7
    fires: tuple[tuple[int, int], ...] = (
        (16, 64),
        (16, 64),
        (32, 128),
        (32, 128),
        (48, 192),
        (48, 192),
        (64, 256),
        (64, 256),
    )
    pools: tuple[int, ...] = (1, 4, 8)
    stem: Literal["imagenet", "small"] = "imagenet"
    norm: NormKind = "none"
    dropout: float = 0.5
    remat: bool = False
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "stem_width", "stem_kernel", "pools")
        if not self.fires or not all(width > 0 for fire in self.fires for width in fire):
            raise UserError(f"fires={self.fires} of SqueezeNet: pairs of numbers above zero")
        if max(self.pools, default=1) > len(self.fires):
            raise UserError(
                f"pools={self.pools} of SqueezeNet: numbers of layers before the last, which is "
                f"{len(self.fires) + 1}"
            )
        check_rate(self, "dropout")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws dropout from `dropout`.

        Raises:
          UserError: the images are smaller than the stem's kernel, or too small to be pooled
            so often.
        """
        small = self.stem == "small"
        smallest = 1 if small else self.stem_kernel
        check_images(x, smallest=(smallest, smallest), model="squeezenet")
        kernel_size, strides, padding = (3, 1, 1) if small else (self.stem_kernel, 2, 0)
        x = ConvNorm(
            self.stem_width,
            kernel_size,
            strides,
            padding,
            norm=self.norm,
            kernel_init="he_uniform",
            dtype=self.dtype,
            name="stem",
        )(x, train=train)
        # Of the method's arguments (self, x, train), train is no array.
        kind = nn.remat(Fire, static_argnums=(2,)) if self.remat else Fire
        stage = 1
        for number, (squeeze, expand) in enumerate(self.fires, start=2):
            if number - 1 in self.pools:
                x = tap(self, f"stage{stage}", x)
                stage += 1
                if not (small and number == 2):
                    x = ceil_max_pool(x, 3, 2)
            x = kind(squeeze, expand, self.norm, self.dtype, name=f"fire{number}")(x, train)
        x = tap(self, "features", tap(self, f"stage{stage}", x))
        tap(self, "embedding", global_mean(x))
        x = Dropout(self.dropout, name="dropout")(x, train=train)
        x = Conv(self.num_classes, 1, kernel_init="normal", dtype=self.dtype, name="head")(x)
        return global_mean(nn.relu(x)).astype(jnp.float32)


def _torch_names(indices: tuple[int, ...]) -> tuple[tuple[str, str], ...]:
    """The table for a sequence whose fire modules stand at these indices."""
    fires = [
        (rf"features\.{index}\.(squeeze|expand1x1|expand3x3)", rf"fire{number}/\1/conv")
        for number, index in enumerate(indices, start=2)
    ]
    return ((r"features\.0", "stem/conv"), *fires, (r"classifier\.1", "head"))


TORCH_NAMES: dict[str, tuple[tuple[str, str], ...]] = {
    "squeezenet1_0": _torch_names((3, 4, 5, 7, 8, 9, 10, 12)),
    "squeezenet1_1": _torch_names((3, 4, 6, 7, 9, 10, 11, 12)),
}
"""torchvision's names of modules as ours, for each registered model.

torchvision numbers all layers, poolings included, one after the other, so that the same name
stands for another fire module in each of the two.
"""

_squeezenet = functools.partial(
    register,
    module=SqueezeNet,
    input_shape=(224, 224, 3),
    num_classes=1000,
    paper="Iandola et al. 2016, https://arxiv.org/abs/1602.07360",
)
_squeezenet("squeezenet1_0")
_squeezenet("squeezenet1_1", stem_width=64, stem_kernel=3, pools=(1, 3, 5))
