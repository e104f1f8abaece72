"""Wide residual networks: few layers of many maps."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Dense, check_images, tap
from cnn_jax.layers.blocks import NormKind, global_mean, normalise
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.residual import Stage, rematerialised, rising_rates
from cnn_jax.models.preact_resnet import PreActBasicBlock, preact_conv
from cnn_jax.models.registry import register


class WideResNet(nn.Module):
    """WRN-depth-width of Zagoruyko and Komodakis 2016, table 1, of n = (depth - 4)/6 blocks.

        stem     3x3, 16                     32x32
        stage1   n blocks of 16 width maps   32x32
        stage2   n blocks of 32 width maps   16x16
        stage3   n blocks of 64 width maps   8x8
        norm, ReLU
        head     global mean, dense

    The nets of this name that torchvision has for ImageNet are of another kind, see
    `cnn_jax.models.resnet`.

    Attributes:
      num_classes: number of logits.
      depth: number of convolutions on the way, the projections counted as one each; 6n + 4.
      width: factor by which the stages are wider than those of He et al.
      dropout: rate between the two convolutions of every block (section 2.4).
      stochastic_depth: rate at which the last block leaves out its branch; it rises linearly
        over the blocks (https://arxiv.org/abs/1603.09382).
      norm: see `cnn_jax.layers.blocks.normalise`.
      remat: compute the inside of blocks a second time for the gradient, instead of keeping it.
      dtype: what it computes in.
    """

    num_classes: int
    depth: int = 28
    width: int = 10
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    norm: NormKind = "batch"
    remat: bool = False
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "depth", "width")
        check_rate(self, "dropout", "stochastic_depth")
        if self.depth < 10 or self.depth % 6 != 4:
            raise UserError(
                f"depth={self.depth} of WideResNet: must be 6n + 4, such as 10, 16, 22, 28, 40"
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws from `dropout`."""
        check_images(x, smallest=(1, 1), model="wide_resnet")
        x = preact_conv(16, 3, norm=self.norm, dtype=self.dtype, name="stem")(x)
        depth = (self.depth - 4) // 6
        rates = rising_rates(self.stochastic_depth, [depth] * 3)
        for stage in range(3):
            block = functools.partial(
                rematerialised(PreActBasicBlock, self.remat),
                16 * self.width * 2**stage,
                dropout=self.dropout,
                norm=self.norm,
                dtype=self.dtype,
            )
            x = Stage(
                block,
                depth,
                strides=1 if stage == 0 else 2,
                rates=rates[stage],
                name=f"stage{stage + 1}",
            )(x, train=train)
        x = normalise(x, self.norm, train=train, dtype=self.dtype, name="norm", activation=nn.relu)
        x = tap(self, "features", x)
        x = tap(self, "embedding", global_mean(x))
        x = Dense(self.num_classes, dtype=self.dtype, name="head")(x)
        return x.astype(jnp.float32)


TORCH_NAMES: tuple[tuple[str, str], ...] = (
    (r"conv1", r"stem"),
    (r"block(\d)\.layer\.(\d+)\.bn(\d)", r"stage\1/block\2/norm\3"),
    (r"block(\d)\.layer\.(\d+)\.conv(\d)", r"stage\1/block\2/conv\3"),
    (r"block(\d)\.layer\.(\d+)\.convShortcut", r"stage\1/block\2/shortcut"),
    (r"bn1", r"norm"),
    (r"fc", r"head"),
)
"""Names of modules as ours: as in the usual PyTorch version of these nets, of which torchvision
and timm have none."""

_wrn = functools.partial(
    register,
    module=WideResNet,
    input_shape=(32, 32, 3),
    num_classes=10,
    paper="Zagoruyko and Komodakis 2016, https://arxiv.org/abs/1605.07146",
)
_wrn("wide_resnet28_10")
_wrn("wide_resnet40_4", depth=40, width=4)
