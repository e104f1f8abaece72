"""DenseNet with bottlenecks and compression (DenseNet-BC), for ImageNet and for CIFAR."""

from __future__ import annotations

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Conv, Dense, Dropout, check_images, tap
from cnn_jax.layers.blocks import ConvNorm, NormKind, global_mean, normalise
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.pooling import avg_pool, max_pool
from cnn_jax.models.registry import register

# The variance 2/fan_in of the reference, and not cut off as that of "he_normal" is.
_he_normal = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


class DenseLayer(nn.Module):
    """New maps of all maps before: norm, ReLU, 1x1, norm, ReLU, 3x3, dropout.

    (b, h, w, c) -> (b, h, w, growth).

    Attributes:
      growth: number of new maps.
      bottleneck: maps of the 1x1 convolution, in multiples of growth.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dropout: rate of the new maps.
      dtype: what it computes in.

    Parameters: norm1, conv1, norm2, conv2.
    """

    growth: int
    bottleneck: int = 4
    norm: NormKind = "batch"
    dropout: float = 0.0
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """The new maps alone."""
        norm = functools.partial(normalise, kind=self.norm, train=train, dtype=self.dtype)
        x = norm(x, name="norm1", activation=nn.relu)
        x = _conv(self, self.bottleneck * self.growth, 1, name="conv1")(x)
        x = norm(x, name="norm2", activation=nn.relu)
        x = _conv(self, self.growth, 3, padding=1, name="conv2")(x)
        return Dropout(self.dropout, name="dropout")(x, train=train)


class DenseBlock(nn.Module):
    """Layers each of which takes the block's input and the new maps of all layers before it.

    (b, h, w, c) -> (b, h, w, c + depth growth).

    Attributes:
      depth: number of layers.
      growth: see `DenseLayer`, as what follows.
      bottleneck: see there.
      norm: see there.
      dropout: see there.
      remat: compute the inside of layers a second time for the gradient, instead of keeping it
        (https://arxiv.org/abs/1707.06990).
      dtype: what it computes in.

    Parameters: layer1, layer2, ...
    """

    depth: int
    growth: int
    bottleneck: int = 4
    norm: NormKind = "batch"
    dropout: float = 0.0
    remat: bool = False
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The input's maps and the new maps, in the order of computation."""
        # Of the method's arguments (self, x, train), train is no array.
        kind = nn.remat(DenseLayer, static_argnums=(2,)) if self.remat else DenseLayer
        for i in range(1, self.depth + 1):
            layer = kind(
                self.growth,
                self.bottleneck,
                self.norm,
                self.dropout,
                self.dtype,
                name=f"layer{i}",
            )
            x = jnp.concatenate([x, layer(x, train)], axis=-1)
        return x


class Transition(nn.Module):
    """Norm, ReLU, 1x1 convolution and 2x2 mean pooling: (b, h, w, c) -> (b, h/2, w/2, features).

    Attributes:
      features: number of output maps.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dtype: what it computes in.
    """

    features: int
    norm: NormKind = "batch"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The pooled maps."""
        x = normalise(x, self.norm, train=train, dtype=self.dtype, name="norm", activation=nn.relu)
        return avg_pool(_conv(self, self.features, 1, name="conv")(x), 2)


class DenseNet(nn.Module):
    """Dense blocks with transitions between them that halve height, width and maps.

    Huang, Liu, van der Maaten, Weinberger 2016, "Densely connected convolutional networks",
    table 1. For 224 pixels, with the layers of DenseNet-121 / 169 / 201:

        stem         7x7/2, 64, norm, ReLU, max-pool 3x3/2   56x56
        block1       6 / 6 / 6 layers                        56x56
        transition1                                          28x28
        block2       12 / 12 / 12                            28x28
        transition2                                          14x14
        block3       24 / 32 / 48                            14x14
        transition3                                          7x7
        block4       16 / 32 / 32                            7x7
        norm, ReLU                                           7x7
        head         global mean, dense

    7,978,856 / 14,149,480 / 20,013,928 parameters for 1000 classes. The form for CIFAR, of depth
    100 and growth 12, has a stem of one 3x3 convolution without a norm and three blocks of 16
    layers at 32, 16 and 8 pixels: 769,162 parameters for 10 classes.

    Attributes:
      num_classes: number of logits.
      depths: layers of each block.
      growth: maps that every layer adds.
      stem_width: maps of the stem.
      bottleneck: maps of the 1x1 convolutions, in multiples of growth.
      reduction: part of the maps that transitions keep, the paper's theta.
      stem: "small" for images of about 32 pixels: the stem of the form for CIFAR.
      norm: see `cnn_jax.layers.blocks.normalise`.
      dropout: rate of every layer's new maps; the paper's is 0.2 where data are not augmented.
      remat: compute the inside of layers a second time for the gradient, instead of keeping it.
      dtype: what it computes in.
    """

    num_classes: int
    depths: tuple[int, ...] = (6, 12, 24, 16)
    growth: int = 32
    stem_width: int = 64
    bottleneck: int = 4
    reduction: float = 0.5
    stem: Literal["imagenet", "small"] = "imagenet"
    norm: NormKind = "batch"
    dropout: float = 0.0
    remat: bool = False
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        if not self.depths:
            raise UserError("depths=() of DenseNet: at least one block is needed")
        check_positive(self, "depths", "growth", "stem_width", "bottleneck")
        if not 0 < self.reduction <= 1:
            raise UserError(
                f"reduction={self.reduction} of DenseNet: must be above 0 and at most 1"
            )
        check_rate(self, "dropout")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, h, w, c); training draws dropout from `dropout`.

        Raises:
          UserError: the images are too small to be halved in every transition.
        """
        side = 2 ** (len(self.depths) - 1)
        # Strides of 2 round up, those of transitions down.
        side = 4 * side - 3 if self.stem == "imagenet" else side
        check_images(x, smallest=(side, side), model=f"densenet with depths={self.depths}")
        x = self._stem(x, train)
        for i, depth in enumerate(self.depths, start=1):
            x = DenseBlock(
                depth,
                self.growth,
                self.bottleneck,
                self.norm,
                self.dropout,
                self.remat,
                self.dtype,
                name=f"block{i}",
            )(x, train=train)
            x = tap(self, f"stage{i}", x)
            if i < len(self.depths):
                features = max(1, int(x.shape[-1] * self.reduction))
                transition = Transition(features, self.norm, self.dtype, name=f"transition{i}")
                x = transition(x, train=train)
        x = normalise(x, self.norm, train=train, dtype=self.dtype, name="norm", activation=nn.relu)
        x = tap(self, "embedding", global_mean(tap(self, "features", x)))
        head = Dense(self.num_classes, kernel_init="pytorch", dtype=self.dtype, name="head")
        return head(x).astype(jnp.float32)

    def _stem(self, x: jax.Array, train: bool) -> jax.Array:
        if self.stem == "small":
            return _conv(self, self.stem_width, 3, padding=1, name="stem")(x)
        stem = ConvNorm(
            self.stem_width,
            7,
            2,
            norm=self.norm,
            kernel_init=_he_normal,
            dtype=self.dtype,
            name="stem",
        )
        return max_pool(stem(x, train=train), 3, 2, padding=1)


def _conv(
    module: DenseLayer | Transition | DenseNet,
    features: int,
    kernel_size: int,
    strides: int = 1,
    *,
    padding: int = 0,
    name: str,
) -> Conv:
    """A convolution of a module; the biases are those of the normalisation, where there is one."""
    return Conv(
        features,
        kernel_size,
        strides,
        padding,
        use_bias=module.norm == "none",
        kernel_init=_he_normal,
        dtype=module.dtype,
        name=name,
    )


_BLOCKS = (
    # Files of before 2018 write norm.1 for norm1.
    (
        r"features\.denseblock(\d)\.denselayer(\d+)\.(norm|conv)\.?(\d)",
        r"block\1/layer\2/\3\4",
    ),
    (r"features\.transition(\d)\.(norm|conv)", r"transition\1/\2"),
    (r"classifier", r"head"),
)
_TORCHVISION = (
    (r"features\.conv0", r"stem/conv"),
    (r"features\.norm0", r"stem/norm"),
    (r"features\.norm5", r"norm"),
    *_BLOCKS,
)
TORCH_NAMES: dict[str, tuple[tuple[str, str], ...]] = {
    **dict.fromkeys(("densenet121", "densenet169", "densenet201"), _TORCHVISION),
    "densenet_bc100_12": (
        (r"features\.conv0", r"stem"),
        (r"features\.norm_final", r"norm"),
        *_BLOCKS,
    ),
}
"""torchvision's names of modules as ours; for small images, which it has no net for, those of
the public PyTorch version by Pleiss et al. (https://arxiv.org/abs/1707.06990)."""

_densenet = functools.partial(
    register,
    module=DenseNet,
    input_shape=(224, 224, 3),
    num_classes=1000,
    paper="Huang et al. 2016, https://arxiv.org/abs/1608.06993",
)
_densenet("densenet121")
_densenet("densenet169", depths=(6, 12, 32, 32))
_densenet("densenet201", depths=(6, 12, 48, 32))
_densenet(
    "densenet_bc100_12",
    input_shape=(32, 32, 3),
    num_classes=10,
    depths=(16, 16, 16),
    growth=12,
    stem_width=24,
    stem="small",
)
