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
from cnn_jax.layers.volumes import Conv3d, check_clips, mean_over_all
from cnn_jax.models.body import Body
from cnn_jax.models.registry import register


class FrameCnn(nn.Module):
    """A class by the mean over frames of the maps of a net for images: Wang et al. 2016.

        body      each frame by itself, up to the last maps of the net
        mean      over pixels
        conv1     of three frames, norm, ReLU; as often as `temporal` says
        head      mean over frames, dense

    Without `temporal` it tells the same whatever the order of the frames: it is the mean of what
    the net tells of each, whose last layer is linear.

    Attributes:
      num_classes: number of logits.
      body: the net, a name of the registry.
      body_options: its options.
      temporal: maps of convolutions over three frames; none leaves them out.
      dropout: rate before the last layer.
      norm_momentum: what running statistics of these convolutions keep at each step.
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
        body = Body(self.body, options=self.body_options, dtype=self.dtype, name="body")
        maps = body(x.reshape(batch * frames, *x.shape[2:]), train=train)[0]
        times = global_mean(maps).reshape(batch, frames, 1, 1, -1)
        for i, width in enumerate(self.temporal, start=1):
            times = Conv3d(width, (3, 1, 1), dtype=self.dtype, name=f"conv{i}")(times)
            norm = BatchNorm(momentum=self.norm_momentum, dtype=self.dtype, name=f"norm{i}")
            times = norm(times, not train, nn.relu)
        mean = tap(self, "embedding", mean_over_all(times))
        mean = Dropout(self.dropout, name="dropout")(mean, train=train)
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
