"""Views of an image whose logits evaluation averages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from cnn_jax.recipe import Views as Views

WEIGHTS: dict[Views, tuple[float, ...]] = {
    "none": (1.0,),
    "mirror": (0.5, 0.5),
    "six": (0.25, 0.25, 0.125, 0.125, 0.125, 0.125),
}
"""What the logits of each view count for."""


def views_of(images: jax.Array, which: Views) -> jax.Array:
    """The views of images, in the order of `WEIGHTS`, (b, h, w, c) -> (b, v, h, w, c).

    `mirror` are the image and its mirror image, left and right changed; `six` are these, then the
    same of the image moved by one pixel down and to the right, and of the image moved up and to
    the left, with the row and column next to the border reflected into the gap
    (https://arxiv.org/abs/2404.00498, section 3.5).

    Args:
      images: (b, h, w, c), of two pixels or more each way for `six`.
      which: a name of `WEIGHTS`.
    """
    found = [images]
    if which == "six":
        height, width = images.shape[1:3]
        padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
        found += [padded[:, :height, :width], padded[:, 2:, 2:]]
    if which != "none":
        found = [view for each in found for view in (each, each[:, :, ::-1])]
    return jnp.stack(found, axis=1)


def averaged(outputs: jax.Array, which: Views) -> jax.Array:
    """The weighted mean over the views, (b, v, k) -> (b, k)."""
    return jnp.sum(outputs * jnp.asarray(WEIGHTS[which], outputs.dtype)[:, None], axis=1)


def in_views(apply: Callable[[Any], Any], images: jax.Array, which: Views) -> Any:
    """Outputs (b, k) of images (b, h, w, c), averaged over their views.

    The views of an image lie side by side in one batch, so that they stay on its device.
    """
    if which == "none":
        return apply(images)
    seen = views_of(images, which)
    outputs = apply(seen.reshape(-1, *seen.shape[2:]))
    return averaged(outputs.reshape(*seen.shape[:2], -1), which)
