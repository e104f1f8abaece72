"""Residual networks of 18 layers for videos, as torchvision has them."""

from __future__ import annotations

import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Activation, BatchNorm, Dense, Dropout, tap
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.volumes import (
    Conv3d,
    TimePadding,
    Triple,
    check_clips,
    mean_over_all,
    middle_maps,
)
from cnn_jax.models.registry import register

Form = Literal["3d", "2d", "2+1d"]
"""Of the kernels of a stage: 3x3x3; 1x3x3; or 1x3x3, and 3x1x1 of what these give."""


class ClipConv(nn.Module):
    """A convolution of one of the forms, normalised: (b, t, h, w, c) -> (b, t', h', w', features).

    Attributes:
      features: number of output maps.
      form: see `Form`.
      side: of the kernel in pixels.
      strides: steps in frames and pixels.
      middle: maps between the two parts of a (2+1)-D convolution.
      activation: applied last, or None.
      momentum: what running statistics keep at each step.
      time_padding: see `Conv3d`.
      dtype: what it computes in.

    Parameters: conv/kernel, norm/scale, norm/bias; and of the first part of two spatial/kernel,
    spatial_norm/scale, spatial_norm/bias.
    """

    features: int
    form: Form
    side: int = 3
    strides: Triple = (1, 1, 1)
    middle: int = 0
    activation: Activation | None = nn.relu
    momentum: float = 0.9
    time_padding: TimePadding = "zero"
    dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The maps of frames (b, t, h, w, c)."""
        conv = functools.partial(Conv3d, time_padding=self.time_padding, dtype=self.dtype)
        norm = functools.partial(BatchNorm, momentum=self.momentum, dtype=self.dtype)
        times, *pixels = self.strides
        flat = (1, self.side, self.side)
        if self.form == "2+1d":
            x = conv(self.middle, flat, (1, pixels[0], pixels[1]), name="spatial")(x)
            x = norm(name="spatial_norm")(x, not train, nn.relu)
            x = conv(self.features, (3, 1, 1), (times, 1, 1), name="conv")(x)
        else:
            kernel = (3, *flat[1:]) if self.form == "3d" else flat
            x = conv(self.features, kernel, self.strides, name="conv")(x)
        return norm(name="norm")(x, not train, self.activation)


class ClipBlock(nn.Module):
    """ReLU of the input plus two convolutions of it.

    Attributes:
      features: number of output maps.
      form: see `Form`.
      stride: of the first convolution, in pixels and but for the form 2d in frames.
      momentum: what running statistics keep at each step.
      time_padding: see `Conv3d`.
      dtype: what it computes in.
    """

    features: int
    form: Form
    stride: int
    momentum: float
    time_padding: TimePadding
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The maps of the block."""
        strides = (1 if self.form == "2d" else self.stride, self.stride, self.stride)
        conv = functools.partial(
            ClipConv,
            self.features,
            self.form,
            # Both convolutions have the width that fits the first, as in the authors' code.
            middle=middle_maps(x.shape[-1], self.features),
            momentum=self.momentum,
            time_padding=self.time_padding,
            dtype=self.dtype,
        )
        y = conv(strides=strides, name="conv1")(x, train=train)
        y = conv(activation=None, name="conv2")(y, train=train)
        if self.stride != 1 or x.shape[-1] != self.features:
            shortcut = ClipShortcut(
                self.features, strides, self.momentum, self.dtype, name="shortcut"
            )
            x = shortcut(x, train=train)
        return nn.relu(x + y)


class ClipShortcut(nn.Module):
    """A normalised convolution of one frame and one pixel.

    Attributes:
      features: number of output maps.
      strides: steps in frames and pixels.
      momentum: what running statistics keep at each step.
      dtype: what it computes in.
    """

    features: int
    strides: Triple
    momentum: float
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The maps in their new shape."""
        x = Conv3d(self.features, (1, 1, 1), self.strides, dtype=self.dtype, name="conv")(x)
        return BatchNorm(momentum=self.momentum, dtype=self.dtype, name="norm")(x, not train)


class VideoResNet(nn.Module):
    """Four stages of residual blocks over frames: Tran et al. 2018.

    For clips of 16 frames of 112 pixels:

        stem     3x7x7 (3-D, mixed) or 1x7x7 and 3x1x1, /2 in pixels   16x56x56
        stage1   blocks of 64 maps                                     16x56x56
        stage2   blocks of 128, /2                                     8x28x28
        stage3   blocks of 256, /2                                     4x14x14
        stage4   blocks of 512, /2                                     2x7x7
        head     mean over all, dense

    `mc3_18` has kernels of one frame after its first stage, where it does not stride in time.

    Attributes:
      num_classes: number of logits.
      form: of the kernels of the stem and the first stage, see `Form`.
      later: of those of the other stages.
      depths: blocks of each stage.
      width: maps of the first stage, doubled by every stage.
      pool: a maximum of 3x3 pixels, two apart, after the stem, as nets for images have it.
      time_padding: see `Conv3d`; with `edge` a net that is inflated from one for images tells of a
        clip that stands still what that one tells of its frame.
      dropout: rate before the last layer.
      norm_momentum: what running statistics keep at each step.
      dtype: what it computes in.
    """

    num_classes: int
    form: Form = "3d"
    later: Form = "3d"
    depths: tuple[int, ...] = (2, 2, 2, 2)
    width: int = 64
    pool: bool = False
    time_padding: TimePadding = "zero"
    dropout: float = 0.0
    norm_momentum: float = 0.9
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "depths", "width")
        check_rate(self, "dropout", "norm_momentum")
        if not self.depths:
            raise UserError("depths=() of VideoResNet: at least one stage is needed")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of clips (b, t, h, w, c)."""
        check_clips(x, "the net of videos")
        shared: dict[str, Any] = {
            "momentum": self.norm_momentum,
            "time_padding": self.time_padding,
            "dtype": self.dtype,
        }
        middle = max(1, 45 * self.width // 64)
        x = ClipConv(self.width, self.form, 7, (1, 2, 2), middle, name="stem", **shared)(
            x, train=train
        )
        if self.pool:
            x = lax.reduce_window(
                x, jnp.array(-jnp.inf, x.dtype), lax.max, (1, 1, 3, 3, 1), (1, 1, 2, 2, 1),
                ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)),
            )  # fmt: skip
        for stage, depth in enumerate(self.depths):
            x = ClipStage(
                self.width * 2**stage,
                self.later if stage else self.form,
                depth,
                2 if stage else 1,
                name=f"stage{stage + 1}",
                **shared,
            )(x, train=train)
        x = tap(self, "features", x)
        x = tap(self, "embedding", mean_over_all(x))
        x = Dropout(self.dropout, name="dropout")(x, train=train)
        head = Dense(
            self.num_classes,
            kernel_init="pytorch",
            bias_init="pytorch",
            dtype=self.dtype,
            name="head",
        )
        return head(x).astype(jnp.float32)


class ClipStage(nn.Module):
    """Blocks one after the other, of which the first may stride.

    Attributes:
      features: number of output maps.
      form: see `Form`.
      depth: number of blocks.
      stride: of the first.
      momentum: what running statistics keep at each step.
      time_padding: see `Conv3d`.
      dtype: what it computes in.
    """

    features: int
    form: Form
    depth: int
    stride: int
    momentum: float
    time_padding: TimePadding
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The maps of the last block."""
        for i in range(self.depth):
            stride = 1 if i else self.stride
            block = ClipBlock(
                self.features,
                self.form,
                stride,
                self.momentum,
                self.time_padding,
                self.dtype,
                name=f"block{i}",
            )
            x = block(x, train=train)
        return x


_WHOLE = (
    (r"stem\.0", r"stem/conv"),
    (r"stem\.1", r"stem/norm"),
    (r"layer(\d)\.(\d+)\.conv(\d)\.0", r"stage\1/block\2/conv\3/conv"),
)
_IN_TWO = (
    (r"stem\.0", r"stem/spatial"),
    (r"stem\.1", r"stem/spatial_norm"),
    (r"stem\.3", r"stem/conv"),
    (r"stem\.4", r"stem/norm"),
    (r"layer(\d)\.(\d+)\.conv(\d)\.0\.0", r"stage\1/block\2/conv\3/spatial"),
    (r"layer(\d)\.(\d+)\.conv(\d)\.0\.1", r"stage\1/block\2/conv\3/spatial_norm"),
    (r"layer(\d)\.(\d+)\.conv(\d)\.0\.3", r"stage\1/block\2/conv\3/conv"),
)
_ALL = (
    (r"layer(\d)\.(\d+)\.conv(\d)\.1", r"stage\1/block\2/conv\3/norm"),
    (r"layer(\d)\.(\d+)\.downsample\.0", r"stage\1/block\2/shortcut/conv"),
    (r"layer(\d)\.(\d+)\.downsample\.1", r"stage\1/block\2/shortcut/norm"),
    (r"fc", r"head"),
)
TORCH_NAMES: dict[str, tuple[tuple[str, str], ...]] = {
    "r3d_18": _WHOLE + _ALL,
    "mc3_18": _WHOLE + _ALL,
    "r2plus1d_18": _IN_TWO + _ALL,
}
"""torchvision's names of modules as ours."""

IMAGE_NAMES: tuple[tuple[str, str], ...] = (
    (r"conv1", r"stem/conv"),
    (r"bn1", r"stem/norm"),
    (r"layer(\d)\.(\d+)\.conv(\d)", r"stage\1/block\2/conv\3/conv"),
    (r"layer(\d)\.(\d+)\.bn(\d)", r"stage\1/block\2/conv\3/norm"),
    *_ALL[1:],
)
"""Those of its net for images, whose kernels are repeated over frames."""

_video = functools.partial(
    register,
    module=VideoResNet,
    input_kind="clip",
    input_shape=(16, 112, 112, 3),
    num_classes=400,
    paper="Tran et al. 2018, https://arxiv.org/abs/1711.11248",
)
_video("r3d_18")
_video("mc3_18", later="2d")
_video("r2plus1d_18", form="2+1d", later="2+1d")
