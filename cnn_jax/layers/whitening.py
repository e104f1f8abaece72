"""A fixed first convolution that makes the patches of training images white."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import check_images
from cnn_jax.layers.initialisers import KERNELS

FROZEN = "^whitening/kernel$"
"""What a model that has a `WhiteningConv` called `whitening` gives as its pattern `frozen`."""

Fit = Callable[[Mapping[str, Any], jax.Array], dict[str, Any]]
"""(parameters, normalised images (n, h, w, c)) -> parameters fitted to the images."""


class WhiteningConv(nn.Module):
    """A convolution whose kernel no gradient reaches, with a trained bias.

    It has twice as many maps as a patch has numbers. The kernel is drawn at random until that of
    `whitening` is put in its place, which a run does before its first step.

    Attributes:
      size: side of the kernel in pixels.
      dtype: what it computes in.

    Parameters: kernel (size, size, c, 2 size^2 c), bias (2 size^2 c,).
    """

    size: int = 2
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(b, h, w, c) -> (b, h - size + 1, w - size + 1, 2 size^2 c)."""
        inputs = x.shape[-1]
        features = 2 * self.size**2 * inputs
        shape = (self.size, self.size, inputs, features)
        kernel = self.param("kernel", KERNELS["pytorch"], shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (features,), jnp.float32)
        y = jax.lax.conv_general_dilated(
            x.astype(self.dtype),
            jax.lax.stop_gradient(kernel).astype(self.dtype),
            window_strides=(1, 1),
            padding="VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return y + bias.astype(self.dtype)


def whitening(images: jax.Array, size: int = 2, eps: float = 5e-4) -> jax.Array:
    """The kernel (size, size, c, 2 size^2 c) that makes patches of images white, and its negative.

    The filters are the eigenvectors of the patches' second moments (the mean is not taken off),
    by descending eigenvalue, each divided by sqrt(eigenvalue + eps).

    Args:
      images: (n, h, w, c), normalised as for training; airbench takes the first 5,000.
      size: side of the patches in pixels.
      eps: what keeps noise in directions that hardly occur from being blown up.

    Raises:
      UserError: these are no images, or smaller than a patch.
    """
    images = jnp.asarray(images)
    check_images(images, smallest=(size, size), model="whitening")
    channels = images.shape[3]
    height, width = (side - size + 1 for side in images.shape[1:3])
    shifted = [
        images[:, i : i + height, j : j + width].astype(jnp.float32)
        for i in range(size)
        for j in range(size)
    ]
    patches = jnp.concatenate(shifted, axis=-1).reshape(-1, size**2 * channels)
    moments = jnp.matmul(patches.T, patches, precision=jax.lax.Precision.HIGHEST) / len(patches)
    values, vectors = jnp.linalg.eigh(moments)  # ascending; vectors are columns
    filters = vectors[:, ::-1] / jnp.sqrt(values[::-1] + eps)
    kernel = jnp.concatenate([filters, -filters], axis=1)
    return kernel.reshape(size, size, channels, -1)


def with_whitening(params: Mapping[str, Any], kernel: jax.Array) -> dict[str, Any]:
    """Parameters of a model with this whitening kernel in the place of theirs.

    Args:
      params: the collection `params` of its variables; left as it is.
      kernel: as `whitening` makes it.

    Raises:
      UserError: the parameters have no whitening kernel, or one of another shape.
    """
    if "whitening" not in params:
        raise UserError(f"parameters without whitening: {', '.join(params)}")
    layer = params["whitening"]
    if layer["kernel"].shape != kernel.shape:
        raise UserError(
            f"a whitening kernel of shape {kernel.shape} for a net that has {layer['kernel'].shape}"
        )
    kernel = kernel.astype(layer["kernel"].dtype)
    return {**params, "whitening": {**layer, "kernel": kernel}}


def with_fitted_whitening(
    params: Mapping[str, Any], images: jax.Array, size: int = 2
) -> dict[str, Any]:
    """Parameters with the whitening kernel of images (n, h, w, c), normalised."""
    return with_whitening(params, whitening(images, size))


class Whitened:
    """What a class of models inherits whose option `whiten` puts a `WhiteningConv` first.

    Attributes:
      whiten: see the class of models.
    """

    whiten: bool

    @property
    def frozen(self) -> str | None:
        """The pattern of the paths of parameters that are not trained."""
        return FROZEN if self.whiten else None

    @property
    def fitted(self) -> Fit | None:
        """What fits the parameters to the training images before the first step."""
        return with_fitted_whitening if self.whiten else None
