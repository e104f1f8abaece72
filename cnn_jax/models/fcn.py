"""FCN: a class of every pixel, from the last maps of any net for images."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.layers.basic import Conv, Dropout, check_images, tap
from cnn_jax.layers.blocks import ConvNorm, NormKind
from cnn_jax.layers.options import check_rate
from cnn_jax.layers.upsampling import bilinear
from cnn_jax.models import registry, resnet
from cnn_jax.models.body import FEATURES, At, Body, can_dilate
from cnn_jax.models.registry import register


class FCNHead(nn.Module):
    """Logits of maps: 3x3 convolution to a fourth of them, dropout, 1x1 convolution.

    (b, h, w, c) -> (b, h, w, num_classes) float32.

    Attributes:
      num_classes: number of logits.
      dropout: rate before the last convolution.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.

    Parameters: conv, head.
    """

    num_classes: int
    dropout: float = 0.1
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The logits of every place of the maps."""
        conv = ConvNorm(
            max(1, x.shape[-1] // 4),
            3,
            norm=self.norm,
            kernel_init="pytorch",
            dtype=self.dtype,
            name="conv",
        )
        x = Dropout(self.dropout, name="dropout")(conv(x, train=train), train=train)
        return last_conv(self.num_classes, dtype=self.dtype)(x).astype(jnp.float32)


last_conv = functools.partial(
    Conv, kernel_size=1, kernel_init="pytorch", bias_init="pytorch", name="head"
)
"""The convolution that gives logits."""


class OnBody(nn.Module):
    """A net that tells a class of every pixel, from maps of a body.

    The logits, of fewer places than there are pixels, are interpolated linearly. Those of the
    auxiliary head, which sees maps from the middle of the body, (b, h, w, k) float32, are the
    activation `aux_logits`. They are computed in training and where activations are asked for,
    and nothing else depends on them; torchvision's recipe adds half of their loss to that of the
    logits. See `cnn_jax.models.googlenet` for how to get at them.

    Attributes:
      num_classes: number of logits.
      body: a net that classifies images, by its name, see `cnn_jax.models.body`.
      body_options: of the body, such as a width.
      output_stride: how many pixels of an image there are for a place of the last maps, along
        each side; the body is dilated for it. None is 8 for a body that can be dilated, and
        else whatever the body has.
      aux_head: whether there is an auxiliary head.
      aux_at: which maps it sees: a stride of the body where it is not dilated, or the name of an
        activation.
      dropout: rate before the last layer.
      norm: see `cnn_jax.layers.blocks.normalise`; of the body too, where it has a choice.
      dtype: what it computes in.
    """

    num_classes: int
    body: str = "resnet18"
    body_options: Mapping[str, Any] | None = None
    output_stride: int | None = None
    aux_head: bool = False
    aux_at: At = 16
    dropout: float = 0.1
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_rate(self, "dropout")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, h, w, k) float32 of images (b, h, w, c).

        Raises:
          UserError: the body cannot be one, or cannot take images so small.
        """
        check_images(x, smallest=(1, 1), model=type(self).__name__)
        asked = self.is_initializing() or self.is_mutable_collection("intermediates")
        auxiliary = self.aux_head and (train or asked)
        at = (FEATURES, self.aux_at) if auxiliary else (FEATURES,)
        maps = body_of(self, at)(x, train=train)
        if auxiliary:
            head = FCNHead(self.num_classes, self.dropout, self.norm, self.dtype, name="aux")
            logits = head(maps[1], train=train)
            tap(self, "aux_logits", bilinear(logits, x.shape[1:3]))
        y = self.classifier(maps[0], train)
        return bilinear(y, x.shape[1:3])

    def classifier(self, x: jax.Array, train: bool) -> jax.Array:
        """The logits of every place of the last maps; called within the compact method."""
        raise NotImplementedError


class FCN(OnBody):
    """Two convolutions on the last maps of a body.

    Long, Shelhamer, Darrell 2015, https://arxiv.org/abs/1411.4038, in the form of torchvision: the
    body is dilated, and nothing but its last maps is asked. 35,322,218 parameters with ResNet-50
    and the auxiliary head, for 21 classes, 32,957,013 without. See `OnBody` for the attributes.
    """

    aux_head: bool = True

    def classifier(self, x: jax.Array, train: bool) -> jax.Array:
        """See `OnBody`."""
        head = FCNHead(self.num_classes, self.dropout, self.norm, self.dtype, name="classifier")
        return head(x, train=train)


def body_of(net: Any, at: tuple[At, ...]) -> Body:
    """The body of a net with the fields of `OnBody`."""
    options = dict(net.body_options or {})
    if net.norm != "batch" and "norm" in registry.entry(net.body).options:
        options.setdefault("norm", net.norm)
    stride = net.output_stride
    if stride is None and can_dilate(net.body):
        stride = options.pop("output_stride", 8)
    return Body(net.body, at, options, stride, net.dtype, name="body")


TORCH_BODY: tuple[tuple[str, str], ...] = tuple(
    (rf"backbone\.{theirs}", f"body/{ours}")
    for theirs, ours in resnet.TORCH_NAMES
    if ours != "head"
)
"""torchvision's names of the modules of a ResNet that is a body as ours."""

TORCH_AUXILIARY: tuple[tuple[str, str], ...] = (
    (r"aux_classifier\.0", "aux/conv/conv"),
    (r"aux_classifier\.1", "aux/conv/norm"),
    (r"aux_classifier\.4", "aux/head"),
)

TORCH_NAMES: tuple[tuple[str, str], ...] = (
    *TORCH_BODY,
    (r"classifier\.0", "classifier/conv/conv"),
    (r"classifier\.1", "classifier/conv/norm"),
    (r"classifier\.4", "classifier/head"),
    *TORCH_AUXILIARY,
)
"""torchvision's names of modules as ours."""

TORCH_OPTIONAL: tuple[str, ...] = (r"aux_classifier\..*",)
"""Names that need no place in the model: it may do without the auxiliary head."""

_fcn = functools.partial(
    register,
    module=FCN,
    input_shape=(520, 520, 3),
    num_classes=21,
    paper="Long et al. 2015, https://arxiv.org/abs/1411.4038",
    output_kind="pixels",
)
_fcn("fcn")
_fcn("fcn_resnet50", body="resnet50", aux_at="stage3")
_fcn("fcn_resnet101", body="resnet101", aux_at="stage3")
