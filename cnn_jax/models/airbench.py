"""The nets of airbench, made to reach 94, 95 and 96 % on CIFAR-10 in the shortest time."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import BatchNorm, Conv, Dense, check_images, tap
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.pooling import max_pool
from cnn_jax.layers.whitening import FROZEN, WhiteningConv, with_fitted_whitening
from cnn_jax.models.registry import register

_gelu = functools.partial(nn.gelu, approximate=False)


class ConvGroup(nn.Module):
    """Convolutions of 3x3, each with batch normalisation and GELU, the first with pooling.

    Attributes:
      features: number of output maps.
      depth: number of convolutions.
      residual: add what follows the first GELU to the last normalisation, before its GELU.
      norm_momentum: what running statistics keep at each step.
      dtype: what it computes in.

    Parameters: conv1, norm1, conv2, norm2, ...; the normalisations have a bias but no scale.
    """

    features: int
    depth: int = 2
    residual: bool = False
    norm_momentum: float = 0.6
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(b, h, w, c) -> (b, h/2, w/2, features)."""
        first = x
        for i in range(1, self.depth + 1):
            x = Conv(
                self.features,
                3,
                use_bias=False,
                kernel_init="dirac",
                dtype=self.dtype,
                name=f"conv{i}",
            )(x)
            if i == 1:
                x = max_pool(x, 2)
            x = BatchNorm(
                momentum=self.norm_momentum,
                epsilon=1e-12,
                use_scale=False,
                dtype=self.dtype,
                name=f"norm{i}",
            )(x, use_running_average=not train)
            if self.residual and i == self.depth:
                x = x + first
            x = _gelu(x)
            if i == 1:
                first = x
        return x


class Airbench(nn.Module):
    """A whitening convolution and three groups of convolutions, without padding at the first.

    Jordan 2024, https://arxiv.org/abs/2404.00498, airbench94, for 32 pixels:

        whitening   2x2, 24, kernel fixed, GELU           31x31
        group1      3x3 64, max-pool 2, 3x3 64            15x15
        group2      3x3 256, max-pool 2, 3x3 256          7x7
        group3      3x3 256, max-pool 2, 3x3 256          3x3
        head        largest of each map, dense without bias, times 1/9

    1,971,640 parameters for 10 classes, the fixed kernel's 288 included. The convolutions of the
    groups start as the identity as far as they have inputs (`dirac`). airbench95 is wider;
    airbench96 is wider yet and has three convolutions a group, with a residual connection.

    The whitening kernel is in `params` so that it is saved with the rest, but stays as it is:
    `frozen` keeps weight decay off it too.

    Attributes:
      num_classes: number of logits.
      widths: maps of the groups.
      depth: convolutions of each group.
      residual: see `ConvGroup`; from three convolutions a group.
      whitening_size: side of the whitening kernel in pixels.
      norm_momentum: what running statistics keep at each step.
      logit_scale: factor of the logits.
      dtype: what it computes in.
    """

    num_classes: int
    widths: tuple[int, int, int] = (64, 256, 256)
    depth: int = 2
    residual: bool = False
    whitening_size: int = 2
    norm_momentum: float = 0.6
    logit_scale: float = 1 / 9
    dtype: DTypeLike = "float32"

    frozen: ClassVar[str] = FROZEN

    def __post_init__(self) -> None:
        check_positive(self, "widths", "depth", "whitening_size")
        check_rate(self, "norm_momentum")
        if self.residual and self.depth < 2:
            raise UserError(f"depth={self.depth} of Airbench: residual=True needs two or more")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c).

        Raises:
          UserError: the images are too small to be halved three times.
        """
        side = 7 + self.whitening_size
        check_images(x, smallest=(side, side), model="airbench")
        x = WhiteningConv(self.whitening_size, self.dtype, name="whitening")(x)
        x = _gelu(x)
        for i, width in enumerate(self.widths, start=1):
            x = ConvGroup(
                width,
                self.depth,
                self.residual,
                self.norm_momentum,
                self.dtype,
                name=f"group{i}",
            )(x, train=train)
        x = tap(self, "features", x)
        x = tap(self, "embedding", jnp.max(x, axis=(1, 2)))
        head = Dense(
            self.num_classes,
            use_bias=False,
            kernel_init="pytorch",
            dtype=self.dtype,
            name="head",
        )
        return head(x).astype(jnp.float32) * self.logit_scale

    @nn.nowrap
    def fitted(self, params: Mapping[str, Any], images: jax.Array) -> dict[str, Any]:
        """Parameters with the whitening kernel of images (n, h, w, c), normalised."""
        return with_fitted_whitening(params, images, self.whitening_size)


TORCH_NAMES: tuple[tuple[str, str], ...] = (
    (r"0", r"whitening"),
    *((rf"{i + 1}\.(conv|norm)(\d)", rf"group{i}/\1\2") for i in (1, 2, 3)),
    (r"7", r"head"),
)
"""Names of modules in the author's PyTorch programs as ours."""

_airbench = functools.partial(
    register,
    module=Airbench,
    input_shape=(32, 32, 3),
    num_classes=10,
    paper="Jordan 2024, https://arxiv.org/abs/2404.00498",
)
_airbench("airbench94")
_airbench("airbench95", widths=(128, 384, 384))
_airbench("airbench96", widths=(128, 384, 512), depth=3, residual=True, norm_momentum=0.9)
