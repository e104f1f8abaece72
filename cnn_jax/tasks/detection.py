"""Object detection: what is where in an image, box by box."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from cnn_jax import models
from cnn_jax.batch import Batch
from cnn_jax.data.boxed_set import CROWD
from cnn_jax.data.fitting import content
from cnn_jax.errors import UserError
from cnn_jax.tasks.box_records import BoxRecords
from cnn_jax.tasks.coco_numbers import coco_numbers
from cnn_jax.tasks.contract import Apply, Metric
from cnn_jax.tasks.example_task import ExampleTask
from cnn_jax.tasks.voc_numbers import at_score, best_score, voc_numbers


def _ap(name: str, short: str = "") -> Metric:
    return Metric(name, higher=True, form="{:.2%}", short=short)


AP, AP50, AP75 = _ap("ap", "AP"), _ap("ap50", "AP50"), _ap("ap75", "AP75")
FAMILY = ("PARTS", "losses", "decode")
"""What a detector has besides what other models have."""


class Detection(ExampleTask):
    """Boxes with classes, told by a detector: a model with losses and a decoding of its own.

    Boxes are top, left, bottom and right; in training in pixels of the image that the model is
    given, in evaluation in those of the file. A crowd is not learnt, difficult objects are.
    """

    METRICS = (AP, AP50, AP75, _ap("voc07"), _ap("voc10"))
    PARTS = (Metric("class_loss", short="class"), Metric("box_loss", short="box"))
    HEADLINE = (AP, AP50)
    LOSSES = ("detector",)
    KINDS = ("boxes",)
    OUTPUT = "boxes"

    @property
    def outputs(self) -> int:
        """See `Task`: how many classes there are, without a background."""
        return len(self.spec.class_names)

    @functools.cached_property
    def _net(self) -> Any:
        """The model without its parameters, for its losses and its decoding."""
        model = self.recipe.model
        return models.create(model.name, self.outputs, dtype=model.dtype, **model.options)

    def check(self, model: nn.Module) -> None:
        """See `Task`.

        Raises:
          UserError: the model is no detector, or a field of the recipe is for other tasks.
        """
        recipe = self.recipe
        if lacking := [each for each in FAMILY if not hasattr(model, each)]:
            raise UserError(
                f"--model.name {recipe.model.name} is no detector: it has no {', '.join(lacking)}. "
                f"Detectors are: {', '.join(models.names(output_kind='boxes'))}"
            )
        if recipe.loss.name != self.LOSSES[0] or recipe.loss.label_smoothing:
            raise UserError(
                "a detector has its own losses; leave out --loss.name and --loss.label-smoothing"
            )
        if recipe.views != "none":
            raise UserError(f"--views {recipe.views} is for what is told of a whole image")
        super().check(model)

    def encoded(self, targets: Any) -> Any:
        """The targets as they are; a model is given what `_truth` takes of them."""
        return targets

    def _truth(self, batch: Batch) -> dict[str, jax.Array]:
        """What is to be learnt of a batch, in pixels of the images that the model is given."""
        targets = batch.targets
        boxes, there = targets["boxes"], targets["there"]
        if "size" in targets:
            boxes = boxes * self._scale(targets["size"], batch.inputs)
        learnt = there & (targets["box_flags"] & CROWD == 0)
        return {"boxes": boxes, "classes": targets["box_class"], "there": learnt}

    def _scale(self, sizes: jax.Array, images: jax.Array) -> jax.Array:
        """What boxes of files of sizes (b, 2) are multiplied by in images, (b, 1, 4) float32."""
        _, height, width, _ = images.shape
        held = content(sizes, height, width, self.recipe.data.fit)
        return jnp.tile(held / jnp.maximum(sizes, 1), 2)[:, None].astype(jnp.float32)

    def loss(
        self, apply: Apply, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """See `Task`: the sum of what the detector is made to lose, and each part of it."""
        truth, shape = self._truth(batch), batch.inputs.shape[1:3]
        outputs = apply({"image": batch.inputs, "truth": truth})
        parts = self._net.losses(outputs, truth, shape, key)
        total = functools.reduce(jnp.add, parts.values())
        # Every detector has these two; a further one, such as of centres, is in the sum alone.
        shown = {each.name: parts[each.name] for each in self.PARTS if each.name in parts}
        return total, shown

    def sums(self, outputs: Any, batch: Batch) -> dict[str, jax.Array]:
        """See `Task`: none, since AP is no mean over images."""
        return {}

    def records(self, outputs: Any, batch: Batch) -> dict[str, jax.Array]:
        """See `Task`: `BoxRecords`, in pixels of the files."""
        images, targets = batch.inputs, batch.targets
        told = self._net.decode(outputs, images.shape[1:3])
        boxes = told.boxes
        if "size" in targets:
            limits = jnp.tile(targets["size"], 2)[:, None].astype(jnp.float32)
            boxes = jnp.clip(boxes / self._scale(targets["size"], images), 0.0, limits)
        return {
            "boxes": boxes,
            "scores": told.scores,
            "classes": jnp.where(told.there, told.classes, -1),
            "true_boxes": targets["boxes"],
            "true_classes": jnp.where(targets["there"], targets["box_class"], -1),
            "true_flags": targets["box_flags"],
            "true_areas": targets["box_area"],
        }

    def finish(
        self,
        sums: Mapping[str, Any],
        records: Mapping[str, np.ndarray],
        chosen: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        """See `Task`: the twelve numbers of COCO, those of VOC, AP of each class, and precision and
        recall from the chosen score on.
        """
        found = BoxRecords.of(records)
        numbers = coco_numbers(found, self.spec.class_names)
        numbers |= voc_numbers(found, self.outputs)
        if chosen is not None:
            numbers |= at_score(found, self.outputs, float(chosen["score"]))
        return numbers

    def choose(self, records: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """See `Task`: the `score` from which on boxes are told best."""
        return {"score": best_score(BoxRecords.of(records), self.outputs)}

    def answers(self, outputs: Any) -> dict[str, jax.Array]:
        """See `Task`: `boxes` (b, d, 4) in pixels of the image that the model is given, `scores`
        and `classes` (b, d), the surest first, and -1 for a class after the last.
        """
        told = self._net.decode(outputs, self.spec.evaluated_shape[:2])
        classes = jnp.where(told.there, told.classes, -1)
        return {"boxes": told.boxes, "scores": told.scores, "classes": classes}
