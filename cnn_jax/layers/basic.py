"""The layers that models share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers import initialisers
from cnn_jax.layers.batch_axis import bernoulli, group_moments, mean_over_groups, momentum_now
from cnn_jax.layers.initialisers import Init
from cnn_jax.layers.listening import tell

Activation = Callable[[jax.Array], jax.Array]

Padding = str | int | Sequence[tuple[int, int]]
"""`"SAME"`, `"VALID"`, so many pixels on every side, or ((top, bottom), (left, right))."""


class Conv(nn.Module):
    """A convolution (b, h, w, c) -> (b, h', w', features), computed in `dtype`.

    Attributes:
      features: number of output maps.
      kernel_size: side of the kernel in pixels, or (height, width).
      strides: step in pixels, or (vertical, horizontal).
      padding: see `Padding`.
      groups: inputs and outputs are split into so many groups that do not see each other.
      dilation: distance in pixels between neighbouring kernel elements.
      use_bias: add a trainable number per output map.
      kernel_init: see `cnn_jax.layers.initialisers`.
      bias_init: see there.
      dtype: what it computes in; parameters are float32.

    Parameters: kernel (kh, kw, c / groups, features), bias (features,).
    """

    features: int
    kernel_size: int | tuple[int, int] = 3
    strides: int | tuple[int, int] = 1
    padding: Padding = "SAME"
    groups: int = 1
    dilation: int | tuple[int, int] = 1
    use_bias: bool = True
    kernel_init: Init = "he_normal"
    bias_init: Init = "zeros"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """The convolution of images (b, h, w, c)."""
        shape = (*pair(self.kernel_size), x.shape[-1] // self.groups, self.features)
        kernel = self.param("kernel", initialisers.kernel(self.kernel_init), shape, jnp.float32)
        y = self.convolve(x.astype(self.dtype), kernel.astype(self.dtype))
        if self.use_bias:
            init = initialisers.bias(self.bias_init, fan_in=math.prod(shape[:-1]))
            bias = self.param("bias", init, (self.features,), jnp.float32)
            y += bias.astype(self.dtype)
        return y

    @property
    def geometry(self) -> tuple[Any, ...]:
        """Strides, padding, groups and dilation as `convolve` takes them."""
        return pair(self.strides), padded_sides(self.padding), self.groups, pair(self.dilation)

    def convolve(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        """The sums of products alone; a method, so that a platform can have a way of its own."""
        return convolve(x, kernel, *self.geometry)


def convolve(
    x: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, int],
    padding: str | Sequence[tuple[int, int]],
    groups: int,
    dilation: tuple[int, int],
) -> jax.Array:
    """The convolution of x (b, h, w, c) with a kernel (kh, kw, c / groups, f)."""
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=strides,
        padding=padding,
        rhs_dilation=dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


class Dense(nn.Module):
    """A full connection (..., c) -> (..., features), computed in `dtype`.

    Attributes:
      features: number of outputs.
      use_bias: add a trainable number per output.
      kernel_init: see `cnn_jax.layers.initialisers`.
      bias_init: see there.
      dtype: what it computes in; parameters are float32.

    Parameters: kernel (c, features), bias (features,).
    """

    features: int
    use_bias: bool = True
    kernel_init: Init = "he_normal"
    bias_init: Init = "zeros"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """The product of (..., c) with the kernel, plus the bias."""
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", initialisers.kernel(self.kernel_init), shape, jnp.float32)
        y = x.astype(self.dtype) @ kernel.astype(self.dtype)
        if self.use_bias:
            init = initialisers.bias(self.bias_init, fan_in=shape[0])
            bias = self.param("bias", init, (self.features,), jnp.float32)
            y += bias.astype(self.dtype)
        return y


class BatchNorm(nn.BatchNorm):
    """Batch normalisation of (b, ..., c) by statistics of the batch, or by running ones.

    As flax's, with its fields and variables, but for what it takes statistics of: the whole
    batch wherever its parts lie, or groups of examples, as `cnn_jax.layers.batch_axis` says. In
    groups the running statistics move to the mean of the groups'. In the first updates of a run
    they keep less of themselves than `momentum`, see `cnn_jax.layers.batch_axis.rising`.
    """

    @nn.compact
    def __call__(  # type: ignore[override]
        self,
        x: jax.Array,
        use_running_average: bool | None = None,
        activation: Activation | None = None,
        there: jax.Array | None = None,
    ) -> jax.Array:
        """The normalised (b, ..., c) in `dtype`, with an activation of it if there is one.

        The activation is nothing but what could follow; a platform may have a faster way for both
        at once.

        Args:
          x: (b, ..., c).
          use_running_average: whether it is normalised by running statistics.
          activation: what follows, or None.
          there: (b, ...), 1 where a value counts in statistics of the batch; None where all do.
        """
        running = nn.merge_param(
            "use_running_average", self.use_running_average, use_running_average
        )
        shape = (x.shape[-1],)
        mean = self.variable("batch_stats", "mean", lambda: jnp.zeros(shape, jnp.float32))
        variance = self.variable("batch_stats", "var", lambda: jnp.ones(shape, jnp.float32))
        scale = self.param("scale", self.scale_init, shape) if self.use_scale else None
        bias = self.param("bias", self.bias_init, shape) if self.use_bias else None
        if running:
            return self.by_running(x, mean.value, variance.value, scale, bias, activation)
        if there is None:
            y, means, variances = self.by_batch(x, scale, bias, activation)
        else:
            means, variances = group_moments(x, there)
            y = self._normalised(x, means, variances, scale, bias, activation)
        if not self.is_initializing():
            momentum = momentum_now(self.momentum)
            for stored, found in ((mean, means), (variance, variances)):
                moved = (1 - momentum) * mean_over_groups(found)
                stored.value = momentum * stored.value + moved
        return y

    def by_running(
        self,
        x: jax.Array,
        mean: jax.Array,
        variance: jax.Array,
        scale: jax.Array | None,
        bias: jax.Array | None,
        activation: Activation | None,
    ) -> jax.Array:
        """(b, ..., c) normalised by running statistics (c,).

        A method, so that a platform can have a way of its own.
        """
        return self._normalised(x, mean[None], variance[None], scale, bias, activation)

    def by_batch(
        self,
        x: jax.Array,
        scale: jax.Array | None,
        bias: jax.Array | None,
        activation: Activation | None,
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """(b, ..., c) normalised by its own statistics, and these, (g, c) each.

        A method, so that a platform can have a way of its own.
        """
        means, variances = group_moments(x)
        return (
            self._normalised(x, means, variances, scale, bias, activation),
            means,
            variances,
        )

    def _normalised(
        self,
        x: jax.Array,
        means: jax.Array,
        variances: jax.Array,
        scale: jax.Array | None,
        bias: jax.Array | None,
        activation: Activation | None,
    ) -> jax.Array:
        factor, offset = self.line(means, variances, scale, bias)
        grouped = x.reshape(len(means), -1, *x.shape[1:])
        over = (slice(None), *(None,) * (x.ndim - 1), slice(None))
        # A product and a sum a value: nothing between is kept for the gradients, and theirs are a
        # product and a sum as well.
        y = (grouped * factor[over] + offset[over]).reshape(x.shape)
        y = y.astype(self.dtype or x.dtype)
        return y if activation is None else activation(y)

    def line(
        self,
        mean: jax.Array,
        variance: jax.Array,
        scale: jax.Array | None,
        bias: jax.Array | None,
    ) -> tuple[jax.Array, jax.Array]:
        """What values are multiplied by and what is added to them, both as `mean` (..., c)."""
        factor = lax.rsqrt(variance + self.epsilon)
        if scale is not None:
            factor *= scale
        offset = -mean * factor
        return factor, offset if bias is None else offset + bias


class Dropout(nn.Module):
    """Leaves out values of (b, ...) at random in training, and scales up those that stay.

    Attributes:
      rate: probability to be left out.
    """

    rate: float

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(b, ...) -> (b, ...)."""
        if not train or self.rate == 0:
            return x
        stays = bernoulli(self.make_rng("dropout"), 1 - self.rate, x.shape)
        return jnp.where(stays, x / (1 - self.rate), jnp.zeros_like(x))


def check_images(x: jax.Array, *, smallest: tuple[int, int], model: str) -> None:
    """Checks that `x` are images (b, h, w, c) of a float type and at least `smallest` pixels.

    Raises:
      UserError: they are not; raised while tracing, since shapes are known then.
    """
    if x.ndim != 4:
        raise UserError(f"{model} takes images (b, h, w, c), not an array of shape {x.shape}")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise UserError(f"{model} takes normalised images of a float type, not {x.dtype}")
    height, width = x.shape[1:3]
    if height < smallest[0] or width < smallest[1]:
        raise UserError(
            f"images of {height}x{width} pixels are too small for {model}: it needs at least "
            f"{smallest[0]}x{smallest[1]}; resize or pad them (preprocess.size) or take away stages"
        )


def tap(module: nn.Module, name: str, x: jax.Array) -> jax.Array:
    """`x`, which `activations` then finds under `name`; where nobody asks it does nothing.

    Who listens may put something else in its place, see `cnn_jax.layers.listening`.

    For points that are no submodule's output, such as what follows a ReLU or a pooling. The
    name must differ from those of the submodules.
    """
    module.sow("intermediates", name, x)
    return tell(module, name, x)


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """The same for both axes, where one value is given."""
    return (value, value) if isinstance(value, int) else value


def padded_sides(padding: Padding) -> str | Sequence[tuple[int, int]]:
    """Padding as XLA has it: one number is that of all four sides."""
    return [(padding, padding)] * 2 if isinstance(padding, int) else padding
