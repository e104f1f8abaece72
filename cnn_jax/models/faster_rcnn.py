"""Faster R-CNN: boxes that may hold something are proposed, cut out, and looked at again."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from cnn_jax.detection import coding
from cnn_jax.detection.anchors import cell_anchors, grid_anchors
from cnn_jax.detection.boxes import clipped
from cnn_jax.detection.detections import Candidates, Detections, detected, highest
from cnn_jax.detection.proposals import Sample, proposed, sampled
from cnn_jax.detection.sampled_losses import proposal_losses, sample_losses
from cnn_jax.errors import UserError
from cnn_jax.layers.batch_axis import example_keys
from cnn_jax.layers.blocks import NormKind
from cnn_jax.layers.options import check_positive
from cnn_jax.layers.roi_align import RoiAlign
from cnn_jax.models import mobilenet_v3
from cnn_jax.models.body import At
from cnn_jax.models.detectors import (
    Detector,
    Outputs,
    Size,
    Truth,
    check_shares,
    flat,
    torch_body,
    torch_heads,
    torch_pyramid,
)
from cnn_jax.models.pyramid import BoxHead, ExtraFrom, Head
from cnn_jax.models.registry import register

SMALLEST_SIDE = 1e-2
"""Boxes with a shorter side in pixels are not told."""


class FasterRCNN(Detector):
    """A body, a feature pyramid, a head that proposes boxes, and one that judges them.

    Ren et al. 2015, https://arxiv.org/abs/1506.01497, with a pyramid (arXiv 1612.03144), as in
    torchvision. In training it needs the truth: the second stage learns from a sample of proposals,
    to which the boxes of the truth are added; it draws from the stream `dropout`.

    Attributes, besides those of `Detector`:
      num_classes: without background; 90 are the classes of torchvision's 91 for COCO.
      head_depth: convolutions of the head that proposes.
      anchor_scale: sides of a level's anchors in its strides.
      anchor_sizes: instead of these, sides in pixels of the anchors of every level.
      ratios: height over width of anchors.
      proposals: how many are judged in evaluation, and looked at of each level.
      training_proposals: the same in training, before the sample is drawn.
      proposal_score: least probability of a proposal in evaluation and training.
      proposal_overlap: most overlap of two proposals of a level.
      proposal_foreground: least overlap of an anchor with the box that it learns.
      proposal_background: with less than this an anchor learns that there is nothing.
      proposal_samples: anchors of an image that the first stage learns from, half of them with a
        box at most.
      samples: proposals of an image that the second stage learns from.
      share: the largest part of these with a box.
      foreground: least overlap of a proposal with the box that it is to become.
      side: of the maps that are cut out, in pixels.
      box_convs: 3x3 convolutions of these maps, each with `box_norm` and a ReLU.
      box_norm: see `cnn_jax.layers.blocks.normalise`.
      hidden: units of the dense layers after them, one, or two where there is no convolution.
      box_weights: what deltas of the second stage are learnt in.

    Parameters: body, fpn, proposal_head, box_head, predictor.
    """

    PARTS: ClassVar[tuple[str, ...]] = (
        "objectness_loss",
        "proposal_loss",
        "class_loss",
        "box_loss",
    )

    at: tuple[At, ...] = (4, 8, 16, 32)
    extra_levels: int = 1
    extra_from: ExtraFrom = "pooling"
    head_depth: int = 1
    anchor_scale: float = 8.0
    anchor_sizes: tuple[float, ...] | None = None
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    proposals: int = 1000
    training_proposals: int = 2000
    proposal_score: float = 0.0
    proposal_overlap: float = 0.7
    proposal_foreground: float = 0.7
    proposal_background: float = 0.3
    proposal_samples: int = 256
    samples: int = 512
    share: float = 0.25
    foreground: float = 0.5
    side: int = 7
    box_convs: int = 0
    box_norm: NormKind = "batch"
    hidden: int = 1024
    box_weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)

    def __post_init__(self) -> None:
        check_positive(
            self, "head_depth", "proposals", "training_proposals", "proposal_samples", "samples",
            "side", "hidden",
        )  # fmt: skip
        check_shares(
            self, "proposal_score", "proposal_overlap", "proposal_foreground",
            "proposal_background", "share", "foreground",
        )  # fmt: skip
        super().__post_init__()

    @nn.compact
    def __call__(self, inputs: Any, *, train: bool = False) -> Outputs:
        """What the two stages say, raw.

        Args:
          inputs: images (b, h, w, c), or a dictionary of them as `image` and of the `truth`.
          train: whether it is a training step, which the truth is needed for.

        Returns:
          `objectness` (b, h, w, a, 1) and `deltas` (b, h, w, a, 4) of each level; of the proposals
          that were judged `boxes` (b, r, 4), `there` (b, r), `logits` (b, r, k + 1) with the
          background first, and `moves` (b, r, k + 1, 4); in training also what they were to
          become, `classes` (b, r) and `truth` (b, r, 4).

        Raises:
          UserError: the truth is missing in training.
        """
        levels = self.levels(inputs, train)
        images = inputs["image"] if isinstance(inputs, Mapping) else inputs
        size = images.shape[1:3]
        anchors = len(self.anchor_sizes or (0,)) * len(self.ratios)
        raw = Head(
            {"objectness": anchors, "deltas": 4 * anchors},
            depth=self.head_depth,
            kernel_size=1,
            dtype=self.dtype,
            name="proposal_head",
        )(levels, train=train)
        outputs: Outputs = {
            name: [each.reshape(*each.shape[:3], anchors, -1) for each in maps]
            for name, maps in raw.items()
        }
        boxes, there = self._proposed(outputs, size, train)
        if train:
            if not isinstance(inputs, Mapping) or "truth" not in inputs:
                raise UserError(
                    "faster_rcnn is trained with the truth beside the images: apply it to "
                    '{"image": images, "truth": truth} (see cnn_jax.models.detectors)'
                )
            keys = example_keys(self.make_rng("dropout"), len(boxes))
            sample = jax.vmap(
                functools.partial(
                    sampled, count=self.samples, share=self.share, foreground=self.foreground
                )
            )(keys, boxes, there, inputs["truth"])
            boxes, there = sample.boxes, sample.there
            outputs |= {"classes": sample.classes, "truth": sample.truth}
        used = len(self.at)
        strides = tuple(self.strides(levels, size)[:used])
        cut = RoiAlign(self.side, name="roi_align")(levels[:used], strides, boxes)
        logits, moves = BoxHead(
            self.num_classes + 1,
            self.box_convs,
            self.box_norm,
            self.hidden,
            dtype=self.dtype,
            name="box_head",
        )(cut.reshape(-1, *cut.shape[2:]), train=train)
        pairs = (*boxes.shape[:2], self.num_classes + 1)
        return outputs | {
            "boxes": boxes,
            "there": there,
            "logits": logits.reshape(pairs),
            "moves": moves.reshape(*pairs, 4),
        }

    def _anchors(self, outputs: Outputs, size: Size) -> list[np.ndarray]:
        """Anchors (n, 4) of each level."""
        levels = outputs["deltas"]
        sizes = [
            self.anchor_sizes or (stride * self.anchor_scale,)
            for stride in self.strides(levels, size)
        ]
        return [
            grid_anchors((level.shape[1], level.shape[2]), size, cell_anchors(each, self.ratios))
            for level, each in zip(levels, sizes, strict=True)
        ]

    def _proposed(self, outputs: Outputs, size: Size, train: bool) -> tuple[jax.Array, jax.Array]:
        """Proposals (b, n, 4) and which there are (b, n)."""
        anchors = self._anchors(outputs, size)

        def one(
            objectness: list[jax.Array], deltas: list[jax.Array]
        ) -> tuple[jax.Array, jax.Array]:
            return proposed(
                [each.reshape(-1) for each in objectness],
                [each.reshape(-1, 4) for each in deltas],
                anchors,
                size,
                count=self.training_proposals if train else self.proposals,
                overlap=self.proposal_overlap,
                least=self.proposal_score,
            )

        return jax.vmap(one)(outputs["objectness"], outputs["deltas"])

    def losses(
        self, outputs: Outputs, truth: Truth, size: Size, key: jax.Array
    ) -> dict[str, jax.Array]:
        """Cross-entropies and smooth absolute errors of both stages, over each one's samples.

        Args:
          outputs: of an application in training.
          truth: see `cnn_jax.models.detectors`.
          size: height and width of the images.
          key: draws the anchors that the first stage learns from.

        Returns:
          (b,) each of `PARTS`.

        Raises:
          ValueError: the outputs are of an evaluation.
        """
        if "truth" not in outputs:
            raise ValueError("losses of faster_rcnn are of an application in training")
        first = functools.partial(
            proposal_losses,
            jnp.concatenate(self._anchors(outputs, size)),
            foreground=self.proposal_foreground,
            background=self.proposal_background,
            count=self.proposal_samples,
        )
        raw = flat(outputs["objectness"])[..., 0], flat(outputs["deltas"])
        of_first = jax.vmap(first)(*raw, truth, example_keys(key, len(raw[0])))
        second = functools.partial(sample_losses, weights=self.box_weights)
        sample = Sample(*(outputs[name] for name in Sample._fields))
        of_second = jax.vmap(second)(outputs["logits"], outputs["moves"], sample)
        return dict(zip(self.PARTS, (*of_first, *of_second), strict=True))

    def decode(self, outputs: Outputs, size: Size) -> Detections:
        """What is found in images (b, ...) of (height, width) pixels."""

        def one(
            logits: jax.Array, moves: jax.Array, boxes: jax.Array, there: jax.Array
        ) -> Detections:
            scores = jnp.where(there[:, None], jax.nn.softmax(logits)[:, 1:], 0.0)
            scores, places, classes = highest(scores, self.candidates, self.score)
            moves = moves[places, classes + 1]
            found = clipped(coding.decode(moves, boxes[places], self.box_weights), size)
            large = jnp.min(found[:, 2:] - found[:, :2], axis=-1) >= SMALLEST_SIDE
            candidates = Candidates(found, scores, classes, large & (scores > 0))
            return detected(candidates, size, overlap=self.overlap, count=self.detections)

        return jax.vmap(one)(*(outputs[name] for name in ("logits", "moves", "boxes", "there")))


TORCH_NAMES = (
    *torch_body(),
    *torch_pyramid(),
    *torch_heads(
        {r"rpn\.head": "proposal_head"}, {"cls_logits": "objectness", "bbox_pred": "deltas"}
    ),
    (r"rpn\.head\.conv", "proposal_head/conv0/conv"),
    (r"roi_heads\.box_head\.fc6", "box_head/dense0"),
    (r"roi_heads\.box_head\.fc7", "box_head/dense1"),
    (r"roi_heads\.box_head\.([0-3])\.0", r"box_head/conv\1/conv"),
    (r"roi_heads\.box_head\.([0-3])\.1", r"box_head/conv\1/norm"),
    (r"roi_heads\.box_head\.5", "box_head/dense0"),
    (r"roi_heads\.box_predictor\.cls_score", "box_head/logits"),
    (r"roi_heads\.box_predictor\.bbox_pred", "box_head/moves"),
)
"""torchvision's names of modules as ours."""

TORCH_FLATTENED = {"box_head/dense0": (256, 7, 7)}

_MOBILENET_V3 = tuple(
    (theirs.replace(r"features\.", r"backbone\.body\.", 1), f"body/{ours}")
    for theirs, ours in mobilenet_v3.TORCH_NAMES
    if theirs.startswith("features")
)
MOBILENET_NAMES = {"fasterrcnn_mobilenet_v3_large_fpn": (*_MOBILENET_V3, *TORCH_NAMES)}

_faster = functools.partial(
    register,
    module=FasterRCNN,
    input_shape=(800, 800, 3),
    num_classes=90,
    paper="Ren et al. 2015, https://arxiv.org/abs/1506.01497",
    output_kind="boxes",
)
_faster("faster_rcnn", body="resnet18")
_faster("fasterrcnn_resnet50_fpn")
_faster("fasterrcnn_resnet50_fpn_v2", pyramid_norm="batch", head_depth=2, box_convs=4)
_faster(
    "fasterrcnn_mobilenet_v3_large_fpn",
    body="mobilenet_v3_large",
    at=("stage5/block0", "last"),
    anchor_sizes=(32.0, 64.0, 128.0, 256.0, 512.0),
    proposal_score=0.05,
)
