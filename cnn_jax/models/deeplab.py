"""DeepLabv3: a class of every pixel, from maps that are seen at several scales at once."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.layers.basic import Dropout
from cnn_jax.layers.blocks import ConvNorm, NormKind, global_mean
from cnn_jax.layers.options import check_positive
from cnn_jax.models import mobilenet_v3
from cnn_jax.models.fcn import TORCH_AUXILIARY, TORCH_BODY, OnBody, last_conv
from cnn_jax.models.registry import register

_conv = functools.partial(ConvNorm, kernel_init="pytorch")


class ASPP(nn.Module):
    """Maps seen side by side at several scales: "atrous spatial pyramid pooling".

    (b, h, w, c) -> (b, h, w, features): a 1x1 convolution, 3x3 convolutions of several dilations,
    and the mean of all places; all of these through a 1x1 convolution.

    Attributes:
      features: maps of every branch and of the result.
      rates: dilations of the 3x3 convolutions.
      dropout: rate of the result.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.

    Parameters: conv0, conv1, ..., pooled, project.
    """

    features: int = 256
    rates: tuple[int, ...] = (12, 24, 36)
    dropout: float = 0.5
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The maps of all scales."""
        conv = functools.partial(_conv, self.features, norm=self.norm, dtype=self.dtype)
        branches = [conv(1, name="conv0")(x, train=train)]
        for i, rate in enumerate(self.rates, start=1):
            branches.append(conv(3, dilation=rate, name=f"conv{i}")(x, train=train))
        mean = conv(1, name="pooled")(global_mean(x, keep_axes=True), train=train)
        branches.append(jnp.broadcast_to(mean, branches[0].shape))
        x = conv(1, name="project")(jnp.concatenate(branches, axis=-1), train=train)
        return Dropout(self.dropout, name="dropout")(x, train=train)


class DeepLabHead(nn.Module):
    """Logits of maps by ASPP and two convolutions: (b, h, w, c) -> (b, h, w, num_classes) float32.

    Attributes:
      num_classes: number of logits.
      features: maps of the convolutions.
      rates: see `ASPP`.
      dropout: see `ASPP`.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.

    Parameters: aspp, conv, head.
    """

    num_classes: int
    features: int = 256
    rates: tuple[int, ...] = (12, 24, 36)
    dropout: float = 0.5
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The logits of every place of the maps."""
        aspp = ASPP(self.features, self.rates, self.dropout, self.norm, self.dtype, name="aspp")
        x = aspp(x, train=train)
        x = _conv(self.features, 3, norm=self.norm, dtype=self.dtype, name="conv")(x, train=train)
        return last_conv(self.num_classes, dtype=self.dtype)(x).astype(jnp.float32)


class DeepLabV3(OnBody):
    """ASPP on the last maps of a body.

    Chen et al. 2017, https://arxiv.org/abs/1706.05587, as torchvision has it. 42,004,074
    parameters with ResNet-50 and the auxiliary head, for 21 classes. See `OnBody` for the other
    attributes.

    A batch norm in it takes the mean of all places: in training a batch needs two images.

    Attributes:
      features: maps of the head's convolutions.
      rates: dilations of ASPP; of maps that are smaller than a dilation it sees the middle.
      aspp_dropout: rate after ASPP; `dropout` is that of the auxiliary head.
    """

    features: int = 256
    rates: tuple[int, ...] = (12, 24, 36)
    aspp_dropout: float = 0.5

    def __post_init__(self) -> None:
        check_positive(self, "features", "rates")
        super().__post_init__()

    def classifier(self, x: jax.Array, train: bool) -> jax.Array:
        """See `OnBody`."""
        return DeepLabHead(
            self.num_classes,
            self.features,
            self.rates,
            self.aspp_dropout,
            self.norm,
            self.dtype,
            name="classifier",
        )(x, train=train)


_HEAD: tuple[tuple[str, str], ...] = (
    (r"classifier\.0\.convs\.([0-3])\.0", r"classifier/aspp/conv\1/conv"),
    (r"classifier\.0\.convs\.([0-3])\.1", r"classifier/aspp/conv\1/norm"),
    (r"classifier\.0\.convs\.4\.1", "classifier/aspp/pooled/conv"),
    (r"classifier\.0\.convs\.4\.2", "classifier/aspp/pooled/norm"),
    (r"classifier\.0\.project\.0", "classifier/aspp/project/conv"),
    (r"classifier\.0\.project\.1", "classifier/aspp/project/norm"),
    (r"classifier\.1", "classifier/conv/conv"),
    (r"classifier\.2", "classifier/conv/norm"),
    (r"classifier\.4", "classifier/head"),
    *TORCH_AUXILIARY,
)

TORCH_MOBILENET_BODY: tuple[tuple[str, str], ...] = tuple(
    (theirs.replace(r"features\.", r"backbone\.", 1), f"body/{ours}")
    for theirs, ours in mobilenet_v3.TORCH_NAMES
    if ours not in ("dense", "head")
)
"""torchvision's names of the modules of MobileNetV3-large that is a body as ours."""

TORCH_NAMES: dict[str, tuple[tuple[str, str], ...]] = {
    **dict.fromkeys(
        ("deeplabv3", "deeplabv3_resnet50", "deeplabv3_resnet101"), (*TORCH_BODY, *_HEAD)
    ),
    "deeplabv3_mobilenet_v3_large": (*TORCH_MOBILENET_BODY, *_HEAD),
}
"""torchvision's names of modules as ours."""

TORCH_OPTIONAL: tuple[str, ...] = (r"aux_classifier\..*",)
"""Names that need no place in the model: it may do without the auxiliary head."""

_deeplab = functools.partial(
    register,
    module=DeepLabV3,
    input_shape=(520, 520, 3),
    num_classes=21,
    paper="Chen et al. 2017, https://arxiv.org/abs/1706.05587",
    output_kind="pixels",
    aux_head=True,
)
_deeplab("deeplabv3")
_deeplab("deeplabv3_resnet50", body="resnet50", aux_at="stage3")
_deeplab("deeplabv3_resnet101", body="resnet101", aux_at="stage3")
# torchvision takes the maps after the first block of 40 maps for the auxiliary head.
_deeplab(
    "deeplabv3_mobilenet_v3_large",
    body="mobilenet_v3_large",
    output_stride=16,
    aux_at="stage3/block0",
)
