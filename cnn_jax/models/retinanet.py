"""RetinaNet: anchors at every place of a pyramid, learnt with the focal loss."""

from __future__ import annotations

import functools
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from cnn_jax.detection import coding
from cnn_jax.detection import losses as by_value
from cnn_jax.detection.anchors import cell_anchors, grid_anchors
from cnn_jax.detection.boxes import overlaps, paired_giou
from cnn_jax.detection.detections import Candidates, Detections, detected, highest
from cnn_jax.detection.matching import BETWEEN, matched
from cnn_jax.layers.blocks import NormKind
from cnn_jax.layers.options import check_positive
from cnn_jax.models.detectors import (
    Detector,
    Outputs,
    Size,
    Truth,
    check_shares,
    flat,
    joined,
    rare,
    torch_body,
    torch_heads,
    torch_pyramid,
)
from cnn_jax.models.pyramid import Head
from cnn_jax.models.registry import register


class RetinaNet(Detector):
    """A body, a feature pyramid, and two heads: classes and boxes of anchors.

    Lin et al. 2017, https://arxiv.org/abs/1708.02002. As in torchvision, with a ResNet-50 as body:
    pyramid levels of strides 8 to 128, at each place anchors of 3 sizes and 3 shapes.

    Attributes, besides those of `Detector`:
      num_classes: torchvision's 91 of COCO are its ids from 0 to 90.
      head_depth: convolutions of each head before the last.
      head_norm: normalisation in the heads.
      anchor_scale: sides of the smallest anchors of a level, in its strides.
      octaves: sizes of anchors at each place, between one level's and the next's.
      ratios: height over width of anchors.
      foreground: least overlap of an anchor with the box that it learns.
      background: with less than this an anchor learns that there is nothing.
      box_loss: "l1" of the deltas, or "giou" of the boxes.

    Parameters: body, fpn, class_head, box_head.
    """

    PARTS: ClassVar[tuple[str, ...]] = ("class_loss", "box_loss")

    head_depth: int = 4
    head_norm: NormKind = "none"
    anchor_scale: float = 4.0
    octaves: int = 3
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    foreground: float = 0.5
    background: float = 0.4
    box_loss: Literal["l1", "giou"] = "l1"

    def __post_init__(self) -> None:
        check_positive(self, "octaves", "head_depth")
        check_shares(self, "foreground", "background")
        super().__post_init__()

    @nn.compact
    def __call__(self, inputs: Any, *, train: bool = False) -> Outputs:
        """`classes` (b, h, w, a, k) and `boxes` (b, h, w, a, 4), raw, of each level's places.

        Args:
          inputs: images (b, h, w, c), or a dictionary with these as `image`.
          train: whether it is a training step.
        """
        levels = self.levels(inputs, train)
        anchors = self.octaves * len(self.ratios)
        head = functools.partial(
            Head,
            depth=self.head_depth,
            norm=self.head_norm,
            use_bias=self.head_norm == "none",
            dtype=self.dtype,
        )
        classes = head(
            {"logits": anchors * self.num_classes}, bias_inits={"logits": rare}, name="class_head"
        )(levels, train=train)["logits"]
        boxes = head({"deltas": anchors * 4}, name="box_head")(levels, train=train)["deltas"]
        return {
            "classes": [each.reshape(*each.shape[:3], anchors, -1) for each in classes],
            "boxes": [each.reshape(*each.shape[:3], anchors, 4) for each in boxes],
        }

    def _anchors(self, outputs: Outputs, size: Size) -> list[np.ndarray]:
        """Anchors (n, 4) of each level."""
        anchors = []
        for level, stride in zip(
            outputs["boxes"], self.strides(outputs["boxes"], size), strict=True
        ):
            octaves = [2 ** (n / self.octaves) for n in range(self.octaves)]
            # Whole pixels, as torchvision has them.
            sizes = [int(stride * self.anchor_scale * octave) for octave in octaves]
            cell = cell_anchors(sizes, self.ratios)
            anchors.append(grid_anchors((level.shape[1], level.shape[2]), size, cell))
        return anchors

    def losses(
        self, outputs: Outputs, truth: Truth, size: Size, key: jax.Array
    ) -> dict[str, jax.Array]:
        """The focal loss of all anchors and the loss of boxes, over an image's matched anchors.

        Args:
          outputs: of an application.
          truth: see `cnn_jax.models.detectors`.
          size: height and width of the images.
          key: not used.

        Returns:
          (b,) each of `PARTS`.
        """
        anchors = jnp.concatenate(self._anchors(outputs, size))

        def one(logits: jax.Array, deltas: jax.Array, truth: Truth) -> tuple[jax.Array, jax.Array]:
            boxes = truth["boxes"]
            place = matched(
                overlaps(boxes, anchors),
                truth["there"],
                foreground=self.foreground,
                background=self.background,
                keep_best=True,
            )
            taken, learnt = place >= 0, jnp.maximum(place, 0)
            count = jnp.maximum(1, jnp.sum(taken))
            classes = jnp.where(taken, truth["classes"][learnt], -1)
            wanted = classes[:, None] == jnp.arange(logits.shape[-1])
            focal = jnp.sum(by_value.focal(logits, wanted), axis=-1)
            if self.box_loss == "l1":
                apart = jnp.sum(jnp.abs(deltas - coding.encode(boxes[learnt], anchors)), axis=-1)
            else:
                apart = 1 - paired_giou(coding.decode(deltas, anchors), boxes[learnt])
            return (
                jnp.sum(jnp.where(place != BETWEEN, focal, 0.0)) / count,
                jnp.sum(jnp.where(taken, apart, 0.0)) / count,
            )

        found = jax.vmap(one)(flat(outputs["classes"]), flat(outputs["boxes"]), truth)
        return dict(zip(self.PARTS, found, strict=True))

    def decode(self, outputs: Outputs, size: Size) -> Detections:
        """What is found in images (b, ...) of (height, width) pixels."""
        anchors = self._anchors(outputs, size)

        def one(classes: list[jax.Array], boxes: list[jax.Array]) -> Detections:
            levels = [
                self._candidates(*level) for level in zip(classes, boxes, anchors, strict=True)
            ]
            return detected(joined(levels), size, overlap=self.overlap, count=self.detections)

        return jax.vmap(one)(outputs["classes"], outputs["boxes"])

    def _candidates(self, logits: jax.Array, deltas: jax.Array, anchors: np.ndarray) -> Candidates:
        scores = jax.nn.sigmoid(logits.reshape(-1, logits.shape[-1]))
        scores, places, classes = highest(scores, self.candidates, self.score)
        boxes = coding.decode(deltas.reshape(-1, 4)[places], jnp.asarray(anchors)[places])
        return Candidates(boxes, scores, classes, scores > 0)


TORCH_NAMES = (
    *torch_body(),
    *torch_pyramid(),
    *torch_heads(
        {
            r"head\.classification_head": "class_head",
            r"head\.regression_head": "box_head",
        },
        {"cls_logits": "logits", "bbox_reg": "deltas"},
    ),
)
"""torchvision's names of modules as ours."""

_retinanet = functools.partial(
    register,
    module=RetinaNet,
    input_shape=(800, 800, 3),
    num_classes=91,
    paper="Lin et al. 2017, https://arxiv.org/abs/1708.02002",
    output_kind="boxes",
)
_retinanet("retinanet", body="resnet18")
_retinanet("retinanet_resnet50_fpn")
_retinanet("retinanet_resnet50_fpn_v2", extra_from="body", head_norm="group", box_loss="giou")
