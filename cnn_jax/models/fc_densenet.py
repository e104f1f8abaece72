"""FC-DenseNet, "the hundred layers tiramisu", and FC-HarDNet, with fewer links."""

from __future__ import annotations

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers import harmonic
from cnn_jax.layers.basic import Conv, Dropout, check_images, tap
from cnn_jax.layers.blocks import NormKind, normalise
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.pooling import max_pool
from cnn_jax.layers.upsampling import TransposedConv, cropped
from cnn_jax.models.registry import register

BlockKind = Literal["dense", "harmonic"]


class NormConv(nn.Module):
    """Norm, ReLU, convolution, dropout: (b, h, w, c) -> (b, h, w, features).

    Attributes:
      features: number of output maps.
      kernel_size: side of the kernel in pixels.
      dropout: rate of what comes out.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.

    Parameters: norm, conv.
    """

    features: int
    kernel_size: int = 3
    dropout: float = 0.2
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """The maps of the convolution."""
        x = normalise(x, self.norm, train=train, dtype=self.dtype, name="norm", activation=nn.relu)
        x = Conv(
            self.features,
            self.kernel_size,
            kernel_init="he_uniform",
            dtype=self.dtype,
            name="conv",
        )(x)
        return Dropout(self.dropout, name="dropout")(x, train=train)


class Block(nn.Module):
    """3x3 convolutions that take maps of those before: (b, h, w, c) -> (b, h, w, new).

    In a dense block each takes the input and all maps before, and all new maps are put out; in a
    harmonic one `cnn_jax.layers.harmonic` says which.

    Attributes:
      depth: number of convolutions.
      growth: maps of each, in a harmonic block of the odd ones.
      kind: which.
      multiplier: how many times more maps a harmonic block has for each power of two.
      dropout: rate of the maps of each.
      remat: compute the inside of convolutions a second time for the gradient.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.

    Parameters: layer1, layer2, ...
    """

    depth: int
    growth: int
    kind: BlockKind = "dense"
    multiplier: float = 1.7
    dropout: float = 0.2
    remat: bool = False
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The new maps alone, in the order of computation."""
        # Of the method's arguments (self, x, train), train is no array.
        make = nn.remat(NormConv, static_argnums=(2,)) if self.remat else NormConv
        maps = [x]
        for i in range(1, self.depth + 1):
            if self.kind == "dense":
                taken, width = maps, self.growth
            else:
                taken = [maps[j] for j in harmonic.links(i)]
                width = harmonic.width_of(i, self.growth, self.multiplier)
            layer = make(width, 3, self.dropout, self.norm, self.dtype, name=f"layer{i}")
            maps.append(layer(jnp.concatenate(taken, axis=-1), train))
        out = range(1, self.depth + 1) if self.kind == "dense" else harmonic.put_out(self.depth)
        return jnp.concatenate([maps[i] for i in out], axis=-1)


class FCDenseNet(nn.Module):
    """Dense blocks with poolings between them, and as many on the way up.

    Jégou et al. 2016, https://arxiv.org/abs/1611.09326, with the maps of FC-DenseNet103, for
    224 pixels; every block but those on the way up and the last puts out its input as well:

        stem      3x3, 48                                                224x224
        down1     4 layers: 112 maps    up1    4 layers on 64 + 80 + ...   224x224
        down2     5: 192                up2    5                         112x112
        down3     7: 304                up3    7                         56x56
        down4     10: 464               up4    10                        28x28
        down5     12: 656               up5    12                        14x14
        bottom    15: 240 new maps                                       7x7
        head      1x1 convolution

    Between blocks on the way down: norm, ReLU, 1x1 convolution, dropout, 2x2 max pooling; on the
    way up: a transposed 3x3 convolution of the new maps alone, cut at the bottom and right to the
    size of the maps that it is joined with.

    1,376,795, 3,463,243 and 9,322,091 parameters of FC-DenseNet56, 67 and 103 for 11 classes. In
    FC-HarDNet68 (Chao et al. 2019, https://arxiv.org/abs/1909.00948, tables 2 and 3) the blocks are
    harmonic. The GMACs of that table are multiplications and additions, twice what is counted here.

    Attributes:
      num_classes: number of logits.
      stem_width: maps of the first convolution.
      depths: layers of the blocks on the way down and, last, at the bottom.
      growth: new maps of the layers, of each of these blocks, or one number for all.
      block: see `Block`.
      multiplier: see `Block`.
      dropout: rate of the maps of every layer.
      norm: see `cnn_jax.layers.blocks.normalise`.
      remat: compute the inside of layers a second time for the gradient, instead of keeping it.
      dtype: what it computes in.
    """

    num_classes: int
    stem_width: int = 48
    depths: tuple[int, ...] = (4, 5, 7, 10, 12, 15)
    growth: tuple[int, ...] = (16,)
    block: BlockKind = "dense"
    multiplier: float = 1.7
    dropout: float = 0.2
    norm: NormKind = "batch"
    remat: bool = False
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "stem_width", "depths", "growth")
        check_rate(self, "dropout")
        if len(self.depths) < 2 or len(self.growth) not in (1, len(self.depths)):
            raise UserError(
                f"depths={self.depths!r}, growth={self.growth!r} of FCDenseNet: must be at least "
                "two blocks, and one growth for all or one for each"
            )
        if not self.multiplier >= 1:
            raise UserError(f"multiplier={self.multiplier} of FCDenseNet: must be at least 1")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, h, w, k) float32 of images (b, h, w, c); training draws from `dropout`.

        Raises:
          UserError: the images are too small to be halved between all blocks.
        """
        side = 2 ** (len(self.depths) - 1)
        check_images(x, smallest=(side, side), model=f"fc_densenet with depths={self.depths}")
        plain = functools.partial(Conv, kernel_init="he_uniform", dtype=self.dtype)
        x = plain(self.stem_width, 3, name="stem")(x)
        joined, levels = [], len(self.depths) - 1
        for level in range(1, levels + 1):
            new = self._block(level, f"down{level}")(x, train=train)
            x = tap(self, f"stage{level}", jnp.concatenate([x, new], axis=-1))
            joined.append(x)
            down = NormConv(
                x.shape[-1], 1, self.dropout, self.norm, self.dtype, name=f"smaller{level}"
            )
            x = max_pool(down(x, train), 2)
        new = tap(self, "features", self._block(levels + 1, "bottom")(x, train=train))
        for level in range(levels, 0, -1):
            before = joined[level - 1]
            larger = TransposedConv(
                new.shape[-1],
                3,
                2,
                kernel_init="he_uniform",
                dtype=self.dtype,
                name=f"larger{level}",
            )
            x = jnp.concatenate([cropped(larger(new), before.shape[1:3]), before], axis=-1)
            new = self._block(level, f"up{level}")(x, train=train)
        x = jnp.concatenate([x, new], axis=-1)
        return plain(self.num_classes, 1, name="head")(x).astype(jnp.float32)

    def _block(self, level: int, name: str) -> Block:
        return Block(
            self.depths[level - 1],
            self.growth[level - 1 if len(self.growth) > 1 else 0],
            self.block,
            self.multiplier,
            self.dropout,
            self.remat,
            self.norm,
            self.dtype,
            name=name,
        )


_densenet = functools.partial(
    register,
    module=FCDenseNet,
    input_shape=(360, 480, 3),
    num_classes=11,
    paper="Jegou et al. 2016, https://arxiv.org/abs/1611.09326",
    output_kind="pixels",
)
_densenet("fc_densenet56", depths=(4,) * 6, growth=(12,))
_densenet("fc_densenet67", depths=(5,) * 6)
_densenet("fc_densenet103")
_densenet(
    "fc_hardnet68",
    paper="Chao et al. 2019, https://arxiv.org/abs/1909.00948",
    stem_width=8,
    depths=(4, 4, 4, 4, 8, 8),
    growth=(4, 6, 8, 8, 10, 10),
    block="harmonic",
)
