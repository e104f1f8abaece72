"""Nets for images, applied to each frame of a video."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.layers.basic import BatchNorm, Dense, Dropout, tap
from cnn_jax.layers.blocks import global_mean
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.volumes import Conv3d, check_clips
from cnn_jax.models.body import Body, body_net
from cnn_jax.models.registry import register


class FrameCnn(nn.Module):
    """The mean over frames of what a net for images tells of each: Wang et al. 2016.

    So it tells the same whatever the order of the frames. With `temporal` the last maps of the net
    are averaged over pixels, and convolutions over time follow, which see the order.

    Attributes:
      num_classes: number of logits.
      body: the net, a name of the registry.
      body_options: its options.
      temporal: maps of convolutions over three frames; none leaves them out.
      dropout: rate before the last layer, where there are such convolutions.
      norm_momentum: what running statistics of these keep at each step.
      dtype: what it computes in.

    Raises:
      UserError: the body is no net that classifies images.
    """

    num_classes: int
    body: str = "resnet18"
    body_options: Mapping[str, Any] | None = None
    temporal: tuple[int, ...] = ()
    dropout: float = 0.0
    norm_momentum: float = 0.9
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "temporal")
        check_rate(self, "dropout", "norm_momentum")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of clips (b, t, h, w, c)."""
        check_clips(x, "frame_cnn")
        batch, frames = x.shape[:2]
        images = x.reshape(batch * frames, *x.shape[2:])
        if not self.temporal:
            net = body_net(self.body, self.body_options, dtype=self.dtype)
            net = net.clone(num_classes=self.num_classes, parent=self, name="body")
            logits = net(images, train=train)
            return jnp.mean(logits.reshape(batch, frames, -1), axis=1)
        body = Body(self.body, options=self.body_options, dtype=self.dtype, name="body")
        maps = global_mean(body(images, train=train)[0])
        times = maps.reshape(batch, frames, 1, 1, -1)
        for i, width in enumerate(self.temporal, start=1):
            times = Conv3d(width, (3, 1, 1), dtype=self.dtype, name=f"conv{i}")(times)
            norm = BatchNorm(momentum=self.norm_momentum, dtype=self.dtype, name=f"norm{i}")
            times = norm(times, not train, nn.relu)
        mean = jnp.mean(times, axis=(1, 2, 3), dtype=jnp.float32).astype(times.dtype)
        mean = Dropout(self.dropout, name="dropout")(tap(self, "embedding", mean), train=train)
        head = Dense(self.num_classes, kernel_init="glorot_uniform", dtype=self.dtype, name="head")
        return head(mean).astype(jnp.float32)


register(
    "frame_cnn",
    FrameCnn,
    input_kind="clip",
    input_shape=(8, 112, 112, 3),
    num_classes=400,
    paper="Wang et al. 2016, https://arxiv.org/abs/1608.00859",
)
