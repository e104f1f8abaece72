"""LeNet-5 as published: trainable subsampling, the table of connections, outputs by distance.

LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document
recognition", section II.B and appendix A.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers import initialisers
from cnn_jax.layers.basic import Conv, Dense, check_images, tap
from cnn_jax.models.digit_codes import codes
from cnn_jax.models.registry import register

C3_INPUTS: tuple[tuple[int, ...], ...] = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)
"""Table I of the paper: the maps of S2 that each of the sixteen maps of C3 is connected to."""


def squash(x: jax.Array) -> jax.Array:
    """The scaled hyperbolic tangent 1.7159 tanh(2x/3), for which f(1) = 1 and f(-1) = -1."""
    return 1.7159 * jnp.tanh(2 / 3 * x)


class Subsample(nn.Module):
    """Sums of 2x2 windows, times a coefficient plus a bias for each map: (b, 2h, 2w, c) ->
    (b, h, w, c).

    Parameters: coefficient (c,), bias (c,).
    """

    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """The subsampled maps, not yet squashed."""
        b, h, w, c = x.shape
        init = initialisers.bias("lecun98", fan_in=4)
        coefficient = self.param("coefficient", init, (c,), jnp.float32).astype(self.dtype)
        bias = self.param("bias", init, (c,), jnp.float32).astype(self.dtype)
        sums = x.astype(self.dtype).reshape(b, h // 2, 2, w // 2, 2, c).sum((2, 4))
        return coefficient * sums + bias


class PartialConv(nn.Module):
    """A convolution whose output maps see only some input maps: (b, h, w, c) ->
    (b, h', w', features), unpadded.

    Attributes:
      inputs: for every output map the input maps it is connected to.
      kernel_size: side of the kernel in pixels.
      dtype: what it computes in.

    Parameters: kernel (kh, kw, connections), which holds the output maps' connections one
    after the other and nothing for pairs of maps that are not connected; bias (features,).
    """

    inputs: tuple[tuple[int, ...], ...]
    kernel_size: int
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """The convolution of maps (b, h, w, c)."""
        side, features = self.kernel_size, len(self.inputs)
        sources = np.array([i for inputs in self.inputs for i in inputs])
        targets = np.repeat(np.arange(features), [len(inputs) for inputs in self.inputs])
        # Units differ in how many inputs they have, and so in the range of the appendix.
        fan_in = side * side * np.bincount(targets)

        def init_kernel(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
            return jax.random.uniform(key, shape, dtype, -1, 1) * (2.4 / fan_in[targets])

        def init_bias(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
            return jax.random.uniform(key, shape, dtype, -1, 1) * (2.4 / fan_in)

        kernel = self.param("kernel", init_kernel, (side, side, len(sources)), jnp.float32)
        bias = self.param("bias", init_bias, (features,), jnp.float32)
        dense = jnp.zeros((side, side, x.shape[-1], features), self.dtype)
        dense = dense.at[:, :, sources, targets].set(kernel.astype(self.dtype))
        y = lax.conv_general_dilated(
            x.astype(self.dtype), dense, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return y + bias.astype(self.dtype)


class LeNet5(nn.Module):
    """LeNet-5 of 1998 with its 60,000 trainable parameters.

    All layers up to F6, the subsampling ones included, pass their weighted sums through the
    scaled tanh `squash`. The output for class i is the squared distance y_i of F6 from a fixed
    code of -1 and +1 (see `codes`), and the logits are -y, for which `Loss(name="map")` is the
    criterion of the paper's equation 9. All initial values are uniform in ±2.4/fan_in.

    Attributes:
      num_classes: number of logits.
      dtype: what it computes in; the distances are float32.
    """

    num_classes: int
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of images (b, 32, 32, 1); training and evaluation are alike.

        Raises:
          UserError: the images are not 32x32 with one channel.
        """
        check_images(x, smallest=(1, 1), model="lenet5")
        if x.shape[1:] != (32, 32, 1):
            raise UserError(
                f"lenet5 takes images of 32x32x1, not {'x'.join(map(str, x.shape[1:]))}; "
                "set preprocess.size=32 (preprocess.fit='pad' as in the paper) for grey images, "
                "or use lenet5_relu, which takes any"
            )
        x = tap(self, "c1_squashed", squash(self._conv(6, "c1")(x)))
        x = tap(self, "s2_squashed", squash(Subsample(self.dtype, name="s2")(x)))
        x = squash(PartialConv(C3_INPUTS, 5, self.dtype, name="c3")(x))
        x = tap(self, "c3_squashed", x)
        x = tap(self, "s4_squashed", squash(Subsample(self.dtype, name="s4")(x)))
        x = tap(self, "c5_squashed", squash(self._conv(120, "c5")(x)))
        x = x.reshape(x.shape[0], 120)
        f6 = Dense(84, kernel_init="lecun98", bias_init="lecun98", dtype=self.dtype, name="f6")
        x = tap(self, "f6_squashed", squash(f6(x)))
        # Distances are differences of like numbers, for which bfloat16 is too coarse.
        distances = x.astype(jnp.float32)[:, None, :] - codes(self.num_classes)
        return -jnp.square(distances).sum(-1)

    def _conv(self, features: int, name: str) -> Conv:
        return Conv(
            features,
            kernel_size=5,
            padding="VALID",
            kernel_init="lecun98",
            bias_init="lecun98",
            dtype=self.dtype,
            name=name,
        )


register(
    "lenet5",
    LeNet5,
    input_shape=(32, 32, 1),
    num_classes=10,
    paper="LeCun et al. 1998, https://doi.org/10.1109/5.726791",
)
