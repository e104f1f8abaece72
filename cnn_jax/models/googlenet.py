"""GoogLeNet (Inception v1) with batch normalisation and auxiliary heads."""

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
from cnn_jax.layers.pooling import adaptive_avg_pool, ceil_max_pool, max_pool
from cnn_jax.models.registry import register

Widths = tuple[int, int, int, int, int, int]

INCEPTIONS: dict[str, Widths] = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""Maps of each inception module: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection."""

_conv = functools.partial(ConvNorm, epsilon=1e-3, kernel_init="normal")


class Inception(nn.Module):
    """Four branches side by side: (b, h, w, c) -> (b, h, w, w0 + w2 + w4 + w5).

    1x1; 1x1 then 3x3; 1x1 then 3x3; 3x3 max pooling then 1x1: Szegedy et al. 2014, figure 2b,
    with every convolution normalised. The third branch has the 3x3 kernel of torchvision, whose
    weights were trained so, where the paper has 5x5.

    Attributes:
      widths: maps of 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection.
      factor: of these numbers.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.

    Parameters: branch1, branch2_reduce, branch2, branch3_reduce, branch3, branch4.
    """

    widths: Widths
    factor: float = 1.0
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """The maps of all branches, in their order."""
        conv = functools.partial(_conv, norm=self.norm, dtype=self.dtype)
        widths = [scaled(width, self.factor) for width in self.widths]
        one = conv(widths[0], 1, name="branch1")(x, train=train)
        three = conv(widths[1], 1, name="branch2_reduce")(x, train=train)
        three = conv(widths[2], 3, name="branch2")(three, train=train)
        five = conv(widths[3], 1, name="branch3_reduce")(x, train=train)
        five = conv(widths[4], 3, name="branch3")(five, train=train)
        pooled = max_pool(x, 3, 1, padding=1)
        pooled = conv(widths[5], 1, name="branch4")(pooled, train=train)
        return jnp.concatenate([one, three, five, pooled], axis=-1)


class AuxiliaryHead(nn.Module):
    """Logits from the middle of the net: (b, h, w, c) -> (b, k) float32.

    4x4 means, 1x1 convolution, dense, ReLU, dropout, dense.

    Attributes:
      num_classes: number of logits.
      features: maps of the convolution.
      hidden: units of the first dense layer.
      dropout: rate before the last layer.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.

    Parameters: conv, dense1, head.
    """

    num_classes: int
    features: int = 128
    hidden: int = 1024
    dropout: float = 0.7
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The auxiliary logits."""
        x = adaptive_avg_pool(x, 4)
        conv = _conv(self.features, 1, norm=self.norm, dtype=self.dtype, name="conv")
        x = conv(x, train=train)
        x = x.reshape(x.shape[0], -1)
        dense = functools.partial(
            Dense, kernel_init="normal", bias_init="pytorch", dtype=self.dtype
        )
        x = nn.relu(dense(self.hidden, name="dense1")(x))
        x = Dropout(self.dropout, name="dropout")(x, train=train)
        return dense(self.num_classes, name="head")(x).astype(jnp.float32)


class GoogLeNet(nn.Module):
    """Nine inception modules, with two auxiliary heads to train by.

    Szegedy et al. 2014, "Going deeper with convolutions", table 1, as torchvision has it: with
    batch normalisation (https://arxiv.org/abs/1502.03167) in place of local response
    normalisation, and 3x3 kernels in place of 5x5. For 224 pixels, where poolings are rounded up:

        conv1            7x7/2, 64                      112x112
        pool             3x3/2                          56x56
        conv2, conv3     1x1 64, 3x3 192                56x56
        pool             3x3/2                          28x28
        inception3a, b   256, 480 maps                  28x28
        pool             3x3/2                          14x14
        inception4a..e   512, 512, 512, 528, 832        14x14
        pool             2x2/2                          7x7
        inception5a, b   832, 1024                      7x7
        head             global mean, dropout, dense

    13,004,888 parameters for 1000 classes with the auxiliary heads, which see inception4a and
    inception4d, and 6,624,904 without. torchvision's weights take images normalised with mean
    0.5 and deviation 0.5.

    The auxiliary logits, (b, k) float32, are the activations `aux1_logits` and `aux2_logits`.
    They are computed in training and where activations are asked for; nothing else depends on
    them, so that a loss of the logits alone leaves the auxiliary heads as they are. The paper's
    loss weighs each with 0.3:

        logits, state = model.apply(
            variables, images, train=True, rngs={"dropout": key},
            mutable=["batch_stats", "intermediates"],
        )
        (aux1,), (aux2,) = (state["intermediates"][f"aux{i}_logits"] for i in (1, 2))
        total = loss(logits, targets) + 0.3 * (loss(aux1, targets) + loss(aux2, targets))

    Attributes:
      num_classes: number of logits.
      width: factor of the number of maps of every layer.
      aux_heads: whether there are auxiliary heads.
      stem: "small" for images of about 32 pixels: conv1 is 3x3 with stride 1, and nothing is
        pooled before inception3a.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dropout: rate before the last layer.
      aux_dropout: rate before the last layer of the auxiliary heads.
      remat: compute the inside of inception modules a second time for the gradient, instead of
        keeping it.
      dtype: what it computes in.
    """

    num_classes: int
    width: float = 1.0
    aux_heads: bool = True
    stem: Literal["imagenet", "small"] = "imagenet"
    norm: NormKind = "batch"
    dropout: float = 0.2
    aux_dropout: float = 0.7
    remat: bool = False
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise UserError(f"width={self.width} of GoogLeNet: must be above zero")
        check_rate(self, "dropout", "aux_dropout")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws dropout from `dropout`.

        Raises:
          UserError: the images are smaller than 15x15, with the small stem 2x2, pixels.
        """
        smallest = 15 if self.stem == "imagenet" else 2
        check_images(x, smallest=(smallest, smallest), model="googlenet")
        x = self._stem(x, train)
        # Of the method's arguments (self, x, train), train is no array.
        kind = nn.remat(Inception, static_argnums=(2,)) if self.remat else Inception
        for name, widths in INCEPTIONS.items():
            if name == "4a":
                x = ceil_max_pool(tap(self, "stage3", x), 3, 2)
            if name == "5a":
                x = ceil_max_pool(tap(self, "stage4", x), 2, 2)
            module = kind(widths, self.width, self.norm, self.dtype, name=f"inception{name}")
            x = module(x, train)
            if name in ("4a", "4d"):
                self._auxiliary(x, "aux1" if name == "4a" else "aux2", train)
        x = tap(self, "features", tap(self, "stage5", x))
        x = tap(self, "embedding", global_mean(x))
        x = Dropout(self.dropout, name="dropout")(x, train=train)
        head = Dense(
            self.num_classes,
            kernel_init="normal",
            bias_init="pytorch",
            dtype=self.dtype,
            name="head",
        )
        return head(x).astype(jnp.float32)

    def _stem(self, x: jax.Array, train: bool) -> jax.Array:
        conv = functools.partial(_conv, norm=self.norm, dtype=self.dtype)
        small = self.stem == "small"
        kernel_size, strides = (3, 1) if small else (7, 2)
        x = conv(self._scaled(64), kernel_size, strides, name="conv1")(x, train=train)
        x = tap(self, "stage1", x)
        x = x if small else ceil_max_pool(x, 3, 2)
        x = conv(self._scaled(64), 1, name="conv2")(x, train=train)
        x = conv(self._scaled(192), 3, name="conv3")(x, train=train)
        x = tap(self, "stage2", x)
        return x if small else ceil_max_pool(x, 3, 2)

    def _auxiliary(self, x: jax.Array, name: str, train: bool) -> None:
        asked = self.is_initializing() or self.is_mutable_collection("intermediates")
        if not self.aux_heads or not (train or asked):
            return
        head = AuxiliaryHead(
            self.num_classes,
            self._scaled(128),
            self._scaled(1024),
            self.aux_dropout,
            self.norm,
            self.dtype,
            name=name,
        )
        tap(self, f"{name}_logits", head(x, train=train))

    def _scaled(self, maps: int) -> int:
        return scaled(maps, self.width)


def scaled(maps: int, factor: float) -> int:
    """The number of maps times the factor, at least 1."""
    return max(1, round(maps * factor))


TORCH_NAMES: tuple[tuple[str, str], ...] = (
    (r"(conv[123])\.conv", r"\1/conv"),
    (r"(conv[123])\.bn", r"\1/norm"),
    (r"(inception\d[a-e])\.branch1\.conv", r"\1/branch1/conv"),
    (r"(inception\d[a-e])\.branch1\.bn", r"\1/branch1/norm"),
    (r"(inception\d[a-e])\.branch([23])\.0\.conv", r"\1/branch\2_reduce/conv"),
    (r"(inception\d[a-e])\.branch([23])\.0\.bn", r"\1/branch\2_reduce/norm"),
    (r"(inception\d[a-e])\.branch([234])\.1\.conv", r"\1/branch\2/conv"),
    (r"(inception\d[a-e])\.branch([234])\.1\.bn", r"\1/branch\2/norm"),
    (r"(aux[12])\.conv\.conv", r"\1/conv/conv"),
    (r"(aux[12])\.conv\.bn", r"\1/conv/norm"),
    (r"(aux[12])\.fc1", r"\1/dense1"),
    (r"(aux[12])\.fc2", r"\1/head"),
    (r"fc", r"head"),
)
"""torchvision's names of modules as ours."""

TORCH_FLATTENED: dict[str, tuple[int, int, int]] = {
    "aux1/dense1": (128, 4, 4),
    "aux2/dense1": (128, 4, 4),
}
"""Dense layers that take flattened maps: the (c, h, w) of these in PyTorch."""

TORCH_OPTIONAL: tuple[str, ...] = (r"aux[12]\..*",)
"""Names that need no place in the model: it may do without the auxiliary heads."""

register(
    "googlenet",
    GoogLeNet,
    input_shape=(224, 224, 3),
    num_classes=1000,
    paper="Szegedy et al. 2014, https://arxiv.org/abs/1409.4842",
)
