"""U-Net whose way down is any net for images, so that it can begin with that net's weights."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Dropout, check_images, tap
from cnn_jax.layers.blocks import ConvNorm, NormKind
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.upsampling import doubled, fitted
from cnn_jax.models import registry
from cnn_jax.models.body import At, Body, points
from cnn_jax.models.fcn import last_conv
from cnn_jax.models.registry import register
from cnn_jax.models.unet import DoubleConv, as_patches, as_pixels

COARSEST = 32
"""Maps of larger strides are not asked for."""
_WIDEST = 16
"""No level has more than so many times `width` maps."""


class UNetOnBody(nn.Module):
    """The way up of a U-Net, on the maps that a body has of each stride.

    Ronneberger, Fischer, Brox 2015, https://arxiv.org/abs/1505.04597, with another net for the way
    down, as many have done since (TernausNet, https://arxiv.org/abs/1801.05746). From the coarsest
    maps on, at each level: a 1x1 convolution, every place four times, joined with the body's maps
    of that size, two 3x3 convolutions. The finest level is also joined with the image itself.

    Attributes:
      num_classes: number of logits.
      body: a net that classifies images, by its name, see `cnn_jax.models.body`.
      body_options: of the body, such as a width.
      width: maps of a level of every pixel; one of stride s has s times as many, up to 16.
      finest: stride of the last level, a power of two. From 2 on it takes squares of pixels of the
        image as one place, and gives the logits of a square at once, as `cnn_jax.models.unet` does
        with `patch`.
      dropout: rate of the coarsest maps.
      norm: see `cnn_jax.layers.blocks.normalise`; of the body too, where it has a choice.
      dtype: what it computes in.

    Parameters: body; smaller16, up16, ..., smaller1, up1, called by their strides; head.
    """

    num_classes: int
    body: str = "resnet18"
    body_options: Mapping[str, Any] | None = None
    width: int = 16
    finest: int = 1
    dropout: float = 0.0
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "width", "finest")
        check_rate(self, "dropout")
        if self.finest.bit_count() != 1:
            raise UserError(f"finest={self.finest} of unet_on_body: must be a power of two")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, h, w, k) float32 of images (b, h, w, c).

        Raises:
          UserError: the body cannot be one, has no maps so coarse as the finest level, or cannot
            take images so small.
        """
        check_images(x, smallest=(1, 1), model="unet_on_body")
        options = dict(self.body_options or {})
        if self.norm != "batch" and "norm" in registry.entry(self.body).options:
            options.setdefault("norm", self.norm)
        known = sorted(points(self.body, options))
        strides = [stride for stride in known if self.finest <= stride <= COARSEST]
        if not strides:
            raise UserError(
                f"finest={self.finest}: {self.body} has maps of stride {', '.join(map(str, known))}"
            )
        at: tuple[At, ...] = tuple(strides)
        maps = Body(self.body, at, options, dtype=self.dtype, name="body")(x, train=train)
        levels = dict(zip(strides, maps, strict=True))
        image = as_patches(x.astype(self.dtype), self.finest)
        if self.finest in levels:
            own = fitted(levels[self.finest], image.shape[1:3])
            image = jnp.concatenate([own, image], axis=-1)
        levels[self.finest] = image
        *finer, coarsest = sorted(levels)
        y = Dropout(self.dropout, name="dropout")(
            tap(self, "features", levels[coarsest]), train=train
        )
        conv = functools.partial(ConvNorm, norm=self.norm, dtype=self.dtype)
        for stride in reversed(finer):
            features = self.width * min(stride, _WIDEST)
            y = conv(features, 1, name=f"smaller{stride}")(y, train=train)
            y = jnp.concatenate([levels[stride], doubled(y, levels[stride].shape[1:3])], axis=-1)
            y = DoubleConv(features, self.norm, self.dtype, name=f"up{stride}")(y, train)
        logits = last_conv(self.num_classes * self.finest**2, dtype=self.dtype)(y)
        logits = as_pixels(logits, self.finest)[:, : x.shape[1], : x.shape[2]]
        return logits.astype(jnp.float32)


register(
    "unet_on_body",
    UNetOnBody,
    input_shape=(360, 480, 3),
    num_classes=11,
    paper="Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597",
    output_kind="pixels",
)
