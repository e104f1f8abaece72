"""Small compositions of layers that families of models share."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.layers.basic import Activation, BatchNorm, Conv, Padding
from cnn_jax.layers.batch_axis import bernoulli
from cnn_jax.layers.initialisers import Init

NormKind = Literal["batch", "group", "layer", "none"]


def normalise(
    x: jax.Array,
    kind: NormKind,
    *,
    train: bool,
    dtype: DTypeLike,
    name: str,
    momentum: float = 0.9,
    epsilon: float = 1e-5,
    zero_scale: bool = False,
    activation: Activation | None = None,
) -> jax.Array:
    """A normalisation layer applied to (b, h, w, c), with a scale and a bias per map.

    Called within a module's compact method.

    Args:
      x: (b, h, w, c).
      kind: `batch` over the batch and pixels (https://arxiv.org/abs/1502.03167; the running
        variance is divided by n, PyTorch's by n - 1), `group` over
        pixels and groups of at most 32 maps each example (https://arxiv.org/abs/1803.08494),
        `layer` over the maps of each pixel, or `none`.
      train: whether batch statistics are those of the batch, and the running ones move.
      dtype: what the result is; statistics are float32.
      name: of the layer.
      momentum: what running statistics keep at each step; PyTorch's momentum is 1 - this.
      epsilon: added to the variance.
      zero_scale: whether the scale is 0 at first, so that nothing comes out; of `batch` only.
      activation: applied to what comes out, or None.
    """
    match kind:
        case "batch":
            norm = BatchNorm(
                momentum=momentum,
                epsilon=epsilon,
                scale_init=nn.initializers.zeros if zero_scale else nn.initializers.ones,
                dtype=dtype,
                name=name,
            )
            if train:
                return norm(x, use_running_average=False, activation=activation)
            x = norm(x, use_running_average=True)
        case "group":
            groups = next(n for n in (32, 16, 8, 4, 2, 1) if x.shape[-1] % n == 0)
            x = nn.GroupNorm(num_groups=groups, epsilon=epsilon, dtype=dtype, name=name)(x)
        case "layer":
            x = nn.LayerNorm(epsilon=epsilon, dtype=dtype, name=name)(x)
    return x if activation is None else activation(x)


class ConvNorm(nn.Module):
    """Convolution, normalisation, activation: (b, h, w, c) -> (b, h', w', features).

    Attributes:
      features: number of output maps.
      kernel_size: side of the kernel in pixels, or (height, width).
      strides: step in pixels.
      padding: as many pixels on every side as keep the size at stride 1, where None; else see
        `cnn_jax.layers.basic.Padding`. Symmetric, as PyTorch pads, unlike `"SAME"`, which at
        stride 2 pads more at the bottom and right.
      groups: see `Conv`.
      dilation: see `Conv`.
      norm: see `normalise`; the convolution has a bias where there is none.
      activation: applied last, or None.
      momentum: see `normalise`.
      epsilon: see `normalise`.
      zero_scale: see `normalise`.
      kernel_init: see `cnn_jax.layers.initialisers`.
      dtype: what it computes in.

    Parameters: conv/kernel, norm/scale, norm/bias.
    """

    features: int
    kernel_size: int | tuple[int, int] = 3
    strides: int | tuple[int, int] = 1
    padding: Padding | None = None
    groups: int = 1
    dilation: int = 1
    norm: NormKind = "batch"
    activation: Activation | None = nn.relu
    momentum: float = 0.9
    epsilon: float = 1e-5
    zero_scale: bool = False
    kernel_init: Init = "he_normal"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The activated maps of (b, h, w, c)."""
        padding = self.padding
        if padding is None:
            sides = self.kernel_size
            height, width = (sides, sides) if isinstance(sides, int) else sides
            tall, wide = height // 2 * self.dilation, width // 2 * self.dilation
            padding = ((tall, tall), (wide, wide))
        x = Conv(
            self.features,
            self.kernel_size,
            self.strides,
            padding,
            groups=self.groups,
            dilation=self.dilation,
            use_bias=self.norm == "none",
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            name="conv",
        )(x)
        return normalise(
            x,
            self.norm,
            train=train,
            dtype=self.dtype,
            name="norm",
            momentum=self.momentum,
            epsilon=self.epsilon,
            zero_scale=self.zero_scale,
            activation=self.activation,
        )


class SqueezeExcite(nn.Module):
    """Maps weighted by what all of them hold on average (https://arxiv.org/abs/1709.01507).

    Attributes:
      hidden: units between the two 1x1 convolutions.
      activation: after the first.
      gate: after the second, into 0 to 1.
      kernel_init: of both convolutions, see `cnn_jax.layers.initialisers`.
      bias_init: see there.
      dtype: what it computes in.

    Parameters: reduce/kernel (1, 1, c, hidden), expand/kernel (1, 1, hidden, c), both biases.
    """

    hidden: int
    activation: Activation = nn.relu
    gate: Activation = nn.sigmoid
    kernel_init: Init = "he_normal_fan_out"
    bias_init: Init = "zeros"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(b, h, w, c) -> (b, h, w, c)."""
        y = global_mean(x, keep_axes=True)
        y = self.activation(self._conv(self.hidden, "reduce")(y))
        return x * self.gate(self._conv(x.shape[-1], "expand")(y))

    def _conv(self, features: int, name: str) -> Conv:
        return Conv(
            features,
            1,
            kernel_init=self.kernel_init,
            bias_init=self.bias_init,
            dtype=self.dtype,
            name=name,
        )


class StochasticDepth(nn.Module):
    """In training leaves out the branch of an example at random (arXiv 1603.09382).

    What stays is divided by the probability to stay, so that evaluation changes nothing. Draws
    from the random stream `dropout`.

    Attributes:
      rate: probability to be left out.
    """

    rate: float

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(b, ...) -> (b, ...)."""
        if not train or self.rate == 0:
            return x
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        stays = bernoulli(self.make_rng("dropout"), 1 - self.rate, shape)
        return jnp.where(stays, x / (1 - self.rate), jnp.zeros_like(x))


def global_mean(x: jax.Array, *, keep_axes: bool = False) -> jax.Array:
    """The mean of each map, taken in float32: (b, h, w, c) -> (b, c) or (b, 1, 1, c)."""
    means = jnp.mean(x, axis=(1, 2), keepdims=keep_axes, dtype=jnp.float32)
    return means.astype(x.dtype)


def local_response_norm(
    x: jax.Array, *, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> jax.Array:
    """Division by the neighbouring maps' strength (Krizhevsky et al. 2012, section 3.3).

    x / (k + alpha / size * sum of squares over `size` neighbouring maps)^beta, as PyTorch has
    it; the paper's alpha is not divided by the size: for it give alpha * size, and k = 2.

    Args:
      x: (b, h, w, c).
      size: number of neighbouring maps, the map itself included.
      alpha: weight of their mean square.
      beta: exponent.
      k: what is divided by where they are zero.
    """
    squares = jnp.square(x.astype(jnp.float32))
    before = size // 2
    padded = jnp.pad(squares, ((0, 0), (0, 0), (0, 0), (before, size - 1 - before)))
    total = sum(padded[..., i : i + x.shape[-1]] for i in range(size))
    return (x / (k + alpha / size * total) ** beta).astype(x.dtype)
