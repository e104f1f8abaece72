"""FCOS: every place of a pyramid tells the box around it, without anchors."""

from __future__ import annotations

import functools
import itertools
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from cnn_jax.detection import coding
from cnn_jax.detection import losses as by_value
from cnn_jax.detection.anchors import grid_points
from cnn_jax.detection.boxes import paired_giou
from cnn_jax.detection.detections import Candidates, Detections, detected, highest
from cnn_jax.detection.matching import points_matched
from cnn_jax.layers.blocks import NormKind
from cnn_jax.layers.options import check_positive
from cnn_jax.models.detectors import (
    Detector,
    Outputs,
    Size,
    Truth,
    flat,
    joined,
    rare,
    torch_body,
    torch_heads,
    torch_pyramid,
)
from cnn_jax.models.pyramid import Head
from cnn_jax.models.registry import register


class FCOS(Detector):
    """A body, a feature pyramid, and two heads: classes, and distances to the sides of a box.

    Tian et al. 2019, https://arxiv.org/abs/1904.01355, with what its later version added
    (https://arxiv.org/abs/2006.09214): a place learns a box only if it lies near its centre, and
    its score is the root of class probability times "centreness". As in torchvision.

    Attributes, besides those of `Detector`:
      num_classes: torchvision's 91 of COCO are its ids from 0 to 90.
      head_depth: convolutions of each head before the last.
      head_norm: normalisation in the heads.
      range_scale: how far off the farthest side of the boxes of the finest level is at most, in its
        strides; the boxes of the next level reach from there to as many of its own.
      distance: what makes a distance of a number, "relu" as in the paper's later version and
        torchvision, or "softplus". Where all numbers of a place are below 0, relu gives them no
        gradient, and a head that was brought there by its first steps stays there.
      radius: how far from a box's centre places learn it, along each axis, in strides.

    Parameters: body, fpn, class_head, box_head.
    """

    PARTS: ClassVar[tuple[str, ...]] = ("class_loss", "box_loss", "centre_loss")

    overlap: float = 0.6
    head_depth: int = 4
    head_norm: NormKind = "group"
    range_scale: float = 8.0
    distance: Literal["relu", "softplus"] = "relu"
    radius: float = 1.5

    def __post_init__(self) -> None:
        check_positive(self, "head_depth")
        super().__post_init__()

    @nn.compact
    def __call__(self, inputs: Any, *, train: bool = False) -> Outputs:
        """Raw `classes` (b, h, w, 1, k), `boxes` (.., 4) and `centres` (.., 1) of each level.

        Args:
          inputs: images (b, h, w, c), or a dictionary with these as `image`.
          train: whether it is a training step.
        """
        levels = self.levels(inputs, train)
        head = functools.partial(Head, depth=self.head_depth, norm=self.head_norm, dtype=self.dtype)
        classes = head(
            {"logits": self.num_classes}, bias_inits={"logits": rare}, name="class_head"
        )(levels, train=train)
        boxes = head({"distances": 4, "centres": 1}, name="box_head")(levels, train=train)
        distance = nn.relu if self.distance == "relu" else nn.softplus
        return {
            "classes": [each[..., None, :] for each in classes["logits"]],
            # In strides, so that all levels learn numbers of the same size.
            "boxes": [distance(each)[..., None, :] for each in boxes["distances"]],
            "centres": [each[..., None, :] for each in boxes["centres"]],
        }

    def _places(self, outputs: Outputs, size: Size) -> list[np.ndarray]:
        """Points (n, 2) of each level."""
        return [grid_points((level.shape[1], level.shape[2]), size) for level in outputs["boxes"]]

    def losses(
        self, outputs: Outputs, truth: Truth, size: Size, key: jax.Array
    ) -> dict[str, jax.Array]:
        """The focal loss, 1 - GIoU and the centreness's cross-entropy, over an image's places.

        torchvision divides by the places with a box of the whole batch.

        Args:
          outputs: of an application.
          truth: see `cnn_jax.models.detectors`.
          size: height and width of the images.
          key: not used.

        Returns:
          (b,) each of `PARTS`.
        """
        places = self._places(outputs, size)
        counts = [len(each) for each in places]
        of_levels = self.strides(outputs["boxes"], size)
        limits = [0.0, *(self.range_scale * stride for stride in of_levels[:-1]), np.inf]
        points = jnp.concatenate(places)
        strides = jnp.asarray(np.repeat(np.asarray(of_levels, np.float32), counts))
        ends = np.asarray([*itertools.pairwise(limits)], np.float32)
        ranges = jnp.asarray(np.repeat(ends, counts, axis=0))

        def one(
            logits: jax.Array, distances: jax.Array, centres: jax.Array, truth: Truth
        ) -> tuple[jax.Array, ...]:
            place = points_matched(
                points, strides, ranges, truth["boxes"], truth["there"], radius=self.radius
            )
            taken, learnt = place >= 0, jnp.maximum(place, 0)
            count = jnp.maximum(1, jnp.sum(taken))
            classes = jnp.where(taken, truth["classes"][learnt], -1)
            boxes = truth["boxes"][learnt]
            wanted = classes[:, None] == jnp.arange(logits.shape[-1])
            told = coding.decode_distances(distances * strides[:, None], points)
            centre = _centreness(
                jnp.where(taken[:, None], coding.encode_distances(boxes, points), 1.0)
            )
            parts = (
                jnp.sum(by_value.focal(logits, wanted), axis=-1),
                jnp.where(taken, 1 - paired_giou(told, boxes), 0.0),
                jnp.where(taken, optax.sigmoid_binary_cross_entropy(centres[:, 0], centre), 0.0),
            )
            return tuple(jnp.sum(part) / count for part in parts)

        classes, boxes, centres = (flat(outputs[name]) for name in ("classes", "boxes", "centres"))
        found = jax.vmap(one)(classes, boxes, centres, truth)
        return dict(zip(self.PARTS, found, strict=True))

    def decode(self, outputs: Outputs, size: Size) -> Detections:
        """What is found in images (b, ...) of (height, width) pixels."""
        places, strides = self._places(outputs, size), self.strides(outputs["boxes"], size)

        def one(*raw: list[jax.Array]) -> Detections:
            levels = [self._candidates(*level) for level in zip(*raw, places, strides, strict=True)]
            return detected(joined(levels), size, overlap=self.overlap, count=self.detections)

        return jax.vmap(one)(*(outputs[name] for name in ("classes", "boxes", "centres")))

    def _candidates(
        self,
        logits: jax.Array,
        distances: jax.Array,
        centres: jax.Array,
        points: np.ndarray,
        stride: int,
    ) -> Candidates:
        scores = jnp.sqrt(jax.nn.sigmoid(logits) * jax.nn.sigmoid(centres))
        scores, places, classes = highest(
            scores.reshape(-1, scores.shape[-1]), self.candidates, self.score
        )
        boxes = coding.decode_distances(
            distances.reshape(-1, 4)[places] * stride, jnp.asarray(points)[places]
        )
        return Candidates(boxes, scores, classes, scores > 0)


def _centreness(distances: jax.Array) -> jax.Array:
    """How near to the centre of a box a place lies, 1 there and 0 at its sides: (n, 4) -> (n,)."""
    across, along = distances[:, ::2], distances[:, 1::2]
    ratio = (across.min(-1) / across.max(-1)) * (along.min(-1) / along.max(-1))
    return jnp.sqrt(jnp.maximum(ratio, 0.0))


TORCH_NAMES = (
    *torch_body(),
    *torch_pyramid(),
    *torch_heads(
        {
            r"head\.classification_head": "class_head",
            r"head\.regression_head": "box_head",
        },
        {"cls_logits": "logits", "bbox_reg": "distances", "bbox_ctrness": "centres"},
        step=3,
    ),
)
"""torchvision's names of modules as ours."""

_fcos = functools.partial(
    register,
    module=FCOS,
    input_shape=(800, 800, 3),
    num_classes=91,
    paper="Tian et al. 2019, https://arxiv.org/abs/1904.01355",
    output_kind="boxes",
)
_fcos("fcos", body="resnet18")
_fcos("fcos_resnet50_fpn")
