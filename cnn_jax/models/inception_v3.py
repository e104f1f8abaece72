"""Inception-v3 with an auxiliary head."""

from __future__ import annotations

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Dense, Dropout, check_images, tap
from cnn_jax.layers.blocks import ConvNorm, NormKind, global_mean
from cnn_jax.layers.options import check_rate
from cnn_jax.layers.pooling import adaptive_avg_pool, avg_pool, max_pool
from cnn_jax.models.inception_mixed import MIXED, Mixed, conv_norm, scaled
from cnn_jax.models.registry import register


class AuxiliaryHead(nn.Module):
    """Logits from the middle of the net: (b, h, w, c) -> (b, k) float32.

    5x5/3 means, 1x1 convolution to 128 maps, unpadded 5x5 convolution to 768, mean, dense.

    Attributes:
      num_classes: number of logits.
      width: factor of the numbers of maps.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.

    Parameters: conv0, conv1, head.
    """

    num_classes: int
    width: float = 1.0
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The auxiliary logits."""
        # From maps of less than 17 pixels the reference's pooling leaves less than the 5 that
        # the next kernel needs.
        x = avg_pool(x, 5, 3) if min(x.shape[1:3]) >= 17 else adaptive_avg_pool(x, 5)
        conv = functools.partial(conv_norm, norm=self.norm, dtype=self.dtype)
        x = conv(scaled(128, self.width), 1, name="conv0")(x, train=train)
        x = conv(scaled(768, self.width), 5, padding=0, name="conv1")(x, train=train)
        head = Dense(
            self.num_classes,
            kernel_init=nn.initializers.normal(0.001),
            bias_init="pytorch",
            dtype=self.dtype,
            name="head",
        )
        return head(global_mean(x)).astype(jnp.float32)


class InceptionV3(nn.Module):
    """Eleven mixed modules of factorised convolutions, with an auxiliary head to train by.

    Szegedy et al. 2015, "Rethinking the Inception architecture for computer vision", table 1,
    as torchvision has it. For 299 pixels:

        conv1a     3x3/2, 32, unpadded                    149x149
        conv2a     3x3, 32, unpadded                      147x147
        conv2b     3x3, 64                                147x147
        pool       3x3/2                                  73x73
        conv3b     1x1, 80                                73x73
        conv4a     3x3, 192, unpadded                     71x71
        pool       3x3/2                                  35x35
        mixed5b-d  figure 5: 256, 288, 288 maps           35x35
        mixed6a    figure 10: 768                         17x17
        mixed6b-e  figure 6, with 128, 160, 160, 192: 768 17x17
        mixed7a    1280                                   8x8
        mixed7b-c  figure 7: 2048                         8x8
        head       global mean, dropout, dense

    27,161,264 parameters for 1000 classes with the auxiliary head, which sees mixed6e, and
    23,834,568 without. torchvision's weights take images normalised with mean 0.5 and
    deviation 0.5.

    The auxiliary logits, (b, k) float32, are the activation `aux_logits`. They are computed in
    training and where activations are asked for; nothing else depends on them, so that a loss
    of the logits alone leaves the auxiliary head as it is. torchvision's loss weighs it with 0.4:

        logits, state = model.apply(
            variables, images, train=True, rngs={"dropout": key},
            mutable=["batch_stats", "intermediates"],
        )
        (aux,) = state["intermediates"]["aux_logits"]
        total = loss(logits, targets) + 0.4 * loss(aux, targets)

    Attributes:
      num_classes: number of logits.
      width: factor of the number of maps of every layer.
      aux_heads: whether there is the auxiliary head.
      stem: "small" for images of about 32 pixels: no stride, no pooling and no unpadded
        convolution before mixed5b.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dropout: rate before the last layer.
      remat: compute the inside of mixed modules a second time for the gradient, instead of
        keeping it.
      dtype: what it computes in.
    """

    num_classes: int
    width: float = 1.0
    aux_heads: bool = True
    stem: Literal["imagenet", "small"] = "imagenet"
    norm: NormKind = "batch"
    dropout: float = 0.5
    remat: bool = False
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise UserError(f"width={self.width} of InceptionV3: must be above zero")
        check_rate(self, "dropout")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws dropout from `dropout`.

        Raises:
          UserError: the images are smaller than 75x75, with the small stem 7x7, pixels.
        """
        smallest = 75 if self.stem == "imagenet" else 7
        check_images(x, smallest=(smallest, smallest), model="inception_v3")
        x = self._stem(x, train)
        # Of the method's arguments (self, x, train), train is no array.
        kind = nn.remat(Mixed, static_argnums=(2,)) if self.remat else Mixed
        for name, (branches, projection) in MIXED.items():
            if name in ("6a", "7a"):
                x = tap(self, "stage3" if name == "6a" else "stage4", x)
            mixed = kind(
                branches, projection, self.width, self.norm, self.dtype, name=f"mixed{name}"
            )
            x = mixed(x, train)
            if name == "6e":
                self._auxiliary(x, train)
        x = tap(self, "features", tap(self, "stage5", x))
        x = tap(self, "embedding", global_mean(x))
        x = Dropout(self.dropout, name="dropout")(x, train=train)
        head = Dense(
            self.num_classes,
            kernel_init=nn.initializers.normal(0.1),
            bias_init="pytorch",
            dtype=self.dtype,
            name="head",
        )
        return head(x).astype(jnp.float32)

    def _stem(self, x: jax.Array, train: bool) -> jax.Array:
        small = self.stem == "small"
        unpadded = None if small else 0

        def layer(maps: int, side: int, strides: int, padding: int | None, name: str) -> ConvNorm:
            return conv_norm(
                scaled(maps, self.width),
                side,
                strides,
                padding,
                norm=self.norm,
                dtype=self.dtype,
                name=name,
            )

        x = layer(32, 3, 1 if small else 2, unpadded, "conv1a")(x, train=train)
        x = layer(32, 3, 1, unpadded, "conv2a")(x, train=train)
        x = layer(64, 3, 1, None, "conv2b")(x, train=train)
        x = tap(self, "stage1", x)
        x = x if small else max_pool(x, 3, 2)
        x = layer(80, 1, 1, None, "conv3b")(x, train=train)
        x = layer(192, 3, 1, unpadded, "conv4a")(x, train=train)
        x = tap(self, "stage2", x)
        return x if small else max_pool(x, 3, 2)

    def _auxiliary(self, x: jax.Array, train: bool) -> None:
        asked = self.is_initializing() or self.is_mutable_collection("intermediates")
        if self.aux_heads and (train or asked):
            head = AuxiliaryHead(self.num_classes, self.width, self.norm, self.dtype, name="aux")
            tap(self, "aux_logits", head(x, train=train))


TORCH_NAMES: tuple[tuple[str, str], ...] = (
    (r"Conv2d_(1a|2a|2b|4a)_3x3\.conv", r"conv\1/conv"),
    (r"Conv2d_(1a|2a|2b|4a)_3x3\.bn", r"conv\1/norm"),
    (r"Conv2d_3b_1x1\.conv", r"conv3b/conv"),
    (r"Conv2d_3b_1x1\.bn", r"conv3b/norm"),
    (r"Mixed_(\d[a-e])\.(branch\w+)\.conv", r"mixed\1/\2/conv"),
    (r"Mixed_(\d[a-e])\.(branch\w+)\.bn", r"mixed\1/\2/norm"),
    (r"AuxLogits\.(conv[01])\.conv", r"aux/\1/conv"),
    (r"AuxLogits\.(conv[01])\.bn", r"aux/\1/norm"),
    (r"AuxLogits\.fc", r"aux/head"),
    (r"fc", r"head"),
)
"""torchvision's names of modules as ours."""

TORCH_OPTIONAL: tuple[str, ...] = (r"AuxLogits\..*",)
"""Names that need no place in the model: it may do without the auxiliary head."""

register(
    "inception_v3",
    InceptionV3,
    input_shape=(299, 299, 3),
    num_classes=1000,
    paper="Szegedy et al. 2015, https://arxiv.org/abs/1512.00567",
)
