"""LR-ASPP: a class of every pixel, for phones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.layers.basic import Conv, check_images
from cnn_jax.layers.blocks import ConvNorm, NormKind, global_mean
from cnn_jax.layers.options import check_positive
from cnn_jax.layers.upsampling import bilinear
from cnn_jax.models.body import FEATURES, At
from cnn_jax.models.deeplab import TORCH_MOBILENET_BODY
from cnn_jax.models.fcn import body_of, last_conv
from cnn_jax.models.registry import register


class PixelClassifier(nn.Module):
    """Logits of maps by one 1x1 convolution: (b, h, w, c) -> (b, h, w, num_classes).

    Parameters: head.
    """

    num_classes: int
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """The logits, float32."""
        return last_conv(self.num_classes, dtype=self.dtype)(x).astype(jnp.float32)


class LRASPP(nn.Module):
    """The last maps of a body, weighed by their means, and finer ones: a 1x1 convolution each.

    Howard et al. 2019, https://arxiv.org/abs/1905.02244, figure 10, as torchvision has it:
    3,221,538 parameters with MobileNetV3-large for 21 classes. Logits are interpolated linearly to
    the size of the image.

    Attributes:
      num_classes: number of logits.
      body: a net that classifies images, by its name, see `cnn_jax.models.body`.
      body_options: of the body.
      output_stride: of the last maps, see `cnn_jax.models.fcn.OnBody`.
      low_at: which the finer maps are: a stride of the body, or the name of an activation.
      features: maps of the convolution of the last ones.
      norm: see `cnn_jax.layers.blocks.normalise`; of the body too, where it has a choice.
      dtype: what it computes in.
    """

    num_classes: int
    body: str = "mobilenet_v3_large"
    body_options: Mapping[str, Any] | None = None
    output_stride: int | None = 16
    low_at: At = 8
    features: int = 128
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "features")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, h, w, k) float32 of images (b, h, w, c).

        Raises:
          UserError: the body cannot be one, or cannot take images so small.
        """
        check_images(x, smallest=(1, 1), model="lraspp")
        low, high = body_of(self, (self.low_at, FEATURES))(x, train=train)
        y = ConvNorm(
            self.features,
            1,
            norm=self.norm,
            kernel_init="pytorch",
            dtype=self.dtype,
            name="conv",
        )(high, train=train)
        gate = Conv(
            self.features,
            1,
            use_bias=False,
            kernel_init="pytorch",
            dtype=self.dtype,
            name="scale",
        )(global_mean(high, keep_axes=True))
        y = bilinear(y * nn.sigmoid(gate), low.shape[1:3])
        logits = PixelClassifier(self.num_classes, self.dtype, name="low")(low)
        logits += PixelClassifier(self.num_classes, self.dtype, name="high")(y)
        return bilinear(logits, x.shape[1:3])


TORCH_NAMES: tuple[tuple[str, str], ...] = (
    *TORCH_MOBILENET_BODY,
    (r"classifier\.cbr\.0", "conv/conv"),
    (r"classifier\.cbr\.1", "conv/norm"),
    (r"classifier\.scale\.1", "scale"),
    (r"classifier\.low_classifier", "low/head"),
    (r"classifier\.high_classifier", "high/head"),
)
"""torchvision's names of modules as ours."""

# torchvision takes the maps after the first block of 40 maps.
register(
    "lraspp_mobilenet_v3_large",
    LRASPP,
    input_shape=(520, 520, 3),
    num_classes=21,
    paper="Howard et al. 2019, https://arxiv.org/abs/1905.02244",
    output_kind="pixels",
    low_at="stage3/block0",
)
