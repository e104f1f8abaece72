"""What a detector is: a net whose outputs become losses and boxes by functions of its own.

    model = models.create("retinanet", 20)
    outputs = model.apply(variables, {"image": images, "truth": truth}, train=True, ...)
    parts = model.losses(outputs, truth, (height, width), key)  # {name: (b,)}
    outputs = model.apply(variables, images)
    found = model.decode(outputs, (height, width))  # Detections, `model.detections` an image

The truth is a dictionary of `boxes` (b, n, 4) float32 (top, left, bottom, right, in pixels of the
images), `classes` (b, n) int32 and `there` (b, n) bool, which of them are no padding. In evaluation
a detector takes the images alone. `losses` and `decode` are functions of the outputs alone, and of
the detector's fields; `PARTS` names the losses, whose sum is the loss of an image. Each is divided
by what the image itself has to learn, so that it depends on no other image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.detection.detections import Candidates
from cnn_jax.errors import UserError
from cnn_jax.layers.basic import check_images
from cnn_jax.layers.blocks import NormKind
from cnn_jax.layers.options import check_positive
from cnn_jax.models import resnet
from cnn_jax.models.body import At, Body
from cnn_jax.models.pyramid import ExtraFrom, Pyramid

Outputs = dict[str, Any]
Truth = Mapping[str, jax.Array]
Size = tuple[int, int]
"""Height and width in pixels."""


class Detector(nn.Module):
    """What the detectors here have in common: a body and a feature pyramid.

    Attributes:
      num_classes: classes of boxes.
      body: a net of the registry.
      body_options: of that net.
      at: the body's maps that the pyramid is made of, by their strides in pixels, each twice the
        one before.
      extra_levels: coarser levels of the pyramid.
      extra_from: see `cnn_jax.models.pyramid.Pyramid`.
      channels: maps of the pyramid.
      pyramid_norm: normalisation in the pyramid, see `cnn_jax.layers.blocks.normalise`.
      score: least score of what is told.
      overlap: most overlap of two boxes of a class that are told.
      candidates: boxes of each level that are looked at, the best ones, before those that overlap
        better ones are left out.
      detections: boxes told of an image.
      frozen_norm: whether the body's batch normalisations stay as they are in training.
      dtype: what it computes in.
    """

    PARTS: ClassVar[tuple[str, ...]] = ()

    num_classes: int
    body: str = "resnet50"
    body_options: Mapping[str, Any] | None = None
    at: tuple[At, ...] = (8, 16, 32)
    extra_levels: int = 2
    extra_from: ExtraFrom = "pyramid"
    channels: int = 256
    pyramid_norm: NormKind = "none"
    score: float = 0.05
    overlap: float = 0.5
    candidates: int = 1000
    detections: int = 100
    frozen_norm: bool = False
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "channels", "candidates", "detections")
        check_shares(self, "score", "overlap")
        super().__post_init__()

    @property
    def frozen(self) -> str | None:
        """A pattern of the parameters that training leaves as they are."""
        return r"^body/.*norm[^/]*/(scale|bias)$" if self.frozen_norm else None

    def levels(self, inputs: Any, train: bool) -> list[jax.Array]:
        """The levels (b, h, w, channels) of the pyramid, from the finest.

        Called within a module's compact method.

        Args:
          inputs: images (b, h, w, c), or a dictionary with these as `image`.
          train: whether it is a training step.

        Raises:
          UserError: they are no images, or smaller than 32 pixels.
        """
        x = inputs["image"] if isinstance(inputs, Mapping) else inputs
        check_images(x, smallest=(32, 32), model=type(self).__name__)
        maps = Body(self.body, self.at, self.body_options, dtype=self.dtype, name="body")(
            x, train=train
        )
        return Pyramid(
            self.channels,
            self.extra_levels,
            self.extra_from,
            norm=self.pyramid_norm,
            dtype=self.dtype,
            name="fpn",
        )(maps, train=train)

    def strides(self, levels: Sequence[jax.Array], size: Size) -> list[int]:
        """Pixels of an image between neighbouring pixels of each level, powers of two.

        Args:
          levels: (b, h, w, ...), from the finest.
          size: height and width of the images in pixels.
        """
        of_body = levels[: len(self.at)]
        found = [2 ** round(math.log2(size[0] / level.shape[1])) for level in of_body]
        # Counted on, since small images have a pixel of these at least.
        return found + [found[-1] * 2 ** (n + 1) for n in range(len(levels) - len(found))]


def flat(levels: Sequence[jax.Array]) -> jax.Array:
    """Maps (b, h, w, a, n) of all levels as (b, places, n)."""
    return jnp.concatenate([each.reshape(len(each), -1, each.shape[-1]) for each in levels], axis=1)


def joined(levels: Sequence[Candidates]) -> Candidates:
    """The candidates of all levels."""
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), *levels)


def rare(key: jax.Array, shape: tuple[int, ...], dtype: Any = float) -> jax.Array:
    """Initial biases of logits with which each class has a probability of 0.01.

    With others the first loss is that of the countless places where there is nothing (Lin et al.
    2017, https://arxiv.org/abs/1708.02002, section 4.1).
    """
    return jnp.full(shape, -math.log(99), dtype)


def check_shares(module: nn.Module, *names: str) -> None:
    """Checks that fields are from 0 to 1.

    Raises:
      UserError: one is not.
    """
    for name in names:
        if not 0 <= getattr(module, name) <= 1:
            raise UserError(
                f"{name}={getattr(module, name)} of {type(module).__name__}: must be from 0 to 1"
            )


Rows = tuple[tuple[str, str], ...]


def torch_body() -> Rows:
    """Names in torchvision of the modules of a detector's body, a ResNet, as ours."""
    return tuple(
        (rf"backbone\.body\.{theirs}", f"body/{ours}")
        for theirs, ours in resnet.TORCH_NAMES
        if theirs != "fc"
    )


def torch_pyramid() -> Rows:
    """Names in torchvision of the modules of a feature pyramid as ours, the newer ones first."""
    blocks = (("inner", "inner"), ("layer", "outer"))
    return (
        *((rf"backbone\.fpn\.{a}_blocks\.(\d)\.0", rf"fpn/{b}\1/conv") for a, b in blocks),
        *((rf"backbone\.fpn\.{a}_blocks\.(\d)\.1", rf"fpn/{b}\1/norm") for a, b in blocks),
        *((rf"backbone\.fpn\.{a}_blocks\.(\d)", rf"fpn/{b}\1/conv") for a, b in blocks),
        (r"backbone\.fpn\.extra_blocks\.p6", "fpn/extra0"),
        (r"backbone\.fpn\.extra_blocks\.p7", "fpn/extra1"),
    )


def torch_heads(heads: Mapping[str, str], outputs: Mapping[str, str], *, step: int = 0) -> Rows:
    """Names in torchvision of the modules of heads as ours.

    Args:
      heads: patterns of their names of heads, each with ours.
      outputs: their names of the convolutions that give outputs, each with ours.
      step: how many places a convolution, its normalisation and its activation take where they
        stand in one list; 0 where those of a convolution are a list of their own.
    """
    rows: list[tuple[str, str]] = []
    for theirs, ours in heads.items():
        if step:
            for place in range(8):
                for n, part in enumerate(("conv", "norm")):
                    rows.append(
                        (rf"{theirs}\.conv\.{step * place + n}", f"{ours}/conv{place}/{part}")
                    )
        else:
            rows.append((rf"{theirs}\.conv\.(\d)\.0", rf"{ours}/conv\1/conv"))
            rows.append((rf"{theirs}\.conv\.(\d)\.1", rf"{ours}/conv\1/norm"))
            # Older files, in which activations stand between the convolutions.
            rows += [(rf"{theirs}\.conv\.{2 * n}", f"{ours}/conv{n}/conv") for n in range(8)]
        rows += [(rf"{theirs}\.{output}", f"{ours}/{name}") for output, name in outputs.items()]
    return tuple(rows)
