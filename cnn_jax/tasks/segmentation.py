"""Segmentation: each pixel is of one class of several, or of none that is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from cnn_jax.augment import moved_targets
from cnn_jax.batch import Batch
from cnn_jax.data.fields import VOID
from cnn_jax.errors import UserError
from cnn_jax.own.values import Own
from cnn_jax.tasks import mask_losses
from cnn_jax.tasks.classification import LOSS
from cnn_jax.tasks.contract import Apply, Metric, with_auxiliary
from cnn_jax.tasks.dense_views import in_dense_views
from cnn_jax.tasks.example_task import ExampleTask, total
from cnn_jax.tasks.mask_reading import confusion, told_classes

MEAN_IOU = Metric("mean_iou", higher=True, form="{:.2%}", short="iou")
CLASS_ACCURACY = Metric("class_accuracy", higher=True, form="{:.2%}", short="class")
GLOBAL_ACCURACY = Metric("global_accuracy", higher=True, form="{:.2%}", short="global")
PIXELS = Metric("pixel_accuracy", higher=True, form="{:.2%}", short="pixels")

WEIGHTS = ("none", "median_frequency", "root_median_frequency")
_LOSSES = (
    "cross_entropy",
    "cross_entropy_dice",
    "cross_entropy_lovasz",
    "focal",
    "dice",
    "lovasz",
)


class Segmentation(ExampleTask):
    """The class of each pixel, told by k logits; targets are masks, 255 where nothing is known.

    Options:
      window: side of the square windows in which a net is applied in evaluation, which overlap by
        half and whose logits are averaged; by default it is applied to the whole image.
      auxiliary: what the losses of auxiliary logits count for, of nets that have such.

    Options of the loss:
      weights: `median_frequency` weighs classes by the median of all frequencies over theirs, a
        frequency being the part of the pixels of those training masks in which a class is (Eigen
        and Fergus 2015, https://arxiv.org/abs/1411.4734), `root_median_frequency` by the square
        root of that, which moves fewer pixels to rare classes; by default all count the same.
      gamma: of `focal`, 2 by default.
    """

    METRICS = (MEAN_IOU, CLASS_ACCURACY, GLOBAL_ACCURACY, LOSS)
    PARTS = (PIXELS,)
    HEADLINE = (MEAN_IOU, CLASS_ACCURACY, GLOBAL_ACCURACY)
    LOSSES = _LOSSES
    KINDS = ("mask",)
    OUTPUT = "pixels"
    OPTIONS: ClassVar[Mapping[str, Any]] = {"window": None, "auxiliary": 0.4}

    def __post_init__(self) -> None:
        """See `ExampleTask`.

        Raises:
          UserError: the data are no masks, or an option is unknown.
        """
        super().__post_init__()
        loss, window = self.recipe.loss, self.option("window")
        if window is not None and (not isinstance(window, int) or window < 2):
            raise UserError(f"--task.options window={window} must be a whole number of pixels")
        auxiliary = self.option("auxiliary")
        if not isinstance(auxiliary, int | float) or auxiliary < 0:
            raise UserError(f"--task.options auxiliary={auxiliary} must be a number of at least 0")
        if self.recipe.views == "six":
            raise UserError("--views six is for what is told of a whole image; give mirror or none")
        for name, value in ({} if isinstance(loss.name, Own) else loss.options).items():
            if name == "weights" and value in (None, *WEIGHTS):
                continue
            if name == "gamma" and loss.name == "focal" and isinstance(value, int | float):
                continue
            raise UserError(
                f"--loss.options {name}={value}: valid are weights={' or '.join(WEIGHTS)}, and of "
                "--loss.name focal gamma, a number"
            )

    @property
    def outputs(self) -> int:
        """See `Task`: one a class, of each pixel."""
        return len(self.spec.class_names)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """See `ExampleTask`: (h, w, k) at the size of the input."""
        return (*self.example().shape[:2], self.outputs)

    def encoded(self, targets: Any) -> dict[str, jax.Array]:
        """Masks (b, h, w) uint8 by name, and the `size` of each where it is another's."""
        return dict(targets) if isinstance(targets, Mapping) else {"mask": targets}

    def class_weights(self) -> jax.Array:
        """What the pixels of each class count for in the loss, (k,) float32."""
        kind = self.recipe.loss.options.get("weights", "none")
        if kind in (None, "none"):  # as a command line has it, where `none` is nothing
            return jnp.ones(self.outputs)
        pixels, beside = (np.asarray(self.spec.facts[name]) for name in ("pixels", "beside"))
        there = pixels > 0
        frequency = pixels[there] / beside[there]
        weights = np.zeros(self.outputs)
        # What is nowhere has no pixel to be weighed.
        weights[there] = np.median(frequency) / frequency
        if kind == "root_median_frequency":
            weights = np.sqrt(weights)
        return jnp.asarray(weights, jnp.float32)

    @property
    def _loss(self) -> Callable[[jax.Array, jax.Array], jax.Array]:
        """(logits (b, h, w, k), classes (b, h, w)) -> loss (b,)."""
        config = self.recipe.loss
        if (own := self.own_loss()) is not None:
            return own
        weights, name = self.class_weights(), str(config.name)
        plain = partial(mask_losses.cross_entropy, smoothing=config.label_smoothing)
        if name.startswith("cross_entropy_"):
            other = getattr(mask_losses, name.removeprefix("cross_entropy_"))
            even = jnp.ones_like(weights)
            return lambda logits, classes: (
                plain(logits, classes, weights) + other(logits, classes, even)
            )
        losses: dict[str, mask_losses.MaskLoss] = {
            "cross_entropy": plain,
            "focal": partial(mask_losses.focal, gamma=config.options.get("gamma", 2.0)),
            "dice": mask_losses.dice,
            "lovasz": mask_losses.lovasz,
        }
        return lambda logits, classes: losses[name](logits, classes, weights)

    def _learnt(self, batch: Batch, logits: jax.Array) -> jax.Array:
        """The masks of a batch at the size of the logits."""
        shape = logits.shape[1], logits.shape[2]
        targets = {name: batch.targets[name] for name in batch.targets}
        return moved_targets(targets, self.spec.targets, None, shape, shape)["mask"]

    def loss(
        self, apply: Apply, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """See `Task`."""
        logits, auxiliary = with_auxiliary(apply, batch.inputs)
        classes, loss = self._learnt(batch, logits), self._loss
        losses = loss(logits, classes)
        for each in auxiliary:
            losses += float(self.option("auxiliary")) * loss(each, classes)
        return losses, {"pixel_accuracy": _right(logits, classes)}

    def infer(self, apply: Apply, inputs: Any) -> Any:
        """See `Task`: logits (b, h, w, k), averaged over views and windows."""
        return in_dense_views(apply, inputs, self.recipe.views, self.option("window"))

    def sums(self, outputs: jax.Array, batch: Batch) -> dict[str, jax.Array]:
        """See `Task`: the loss at the size of the logits, and the confusion of all pixels."""
        masks, sizes = batch.targets["mask"], batch.targets.get("size")
        told = told_classes(outputs, sizes, masks.shape[1:3])
        counted = batch.weights > 0
        return {
            "loss": total(self._loss(outputs, self._learnt(batch, outputs)), batch.weights),
            "confusion": confusion(told, masks, self.outputs, counted),
        }

    def records(self, outputs: jax.Array, batch: Batch) -> dict[str, jax.Array]:
        """See `Task`: none, since the confusion matrix tells all."""
        return {}

    def finish(
        self, sums: Mapping[str, Any], records: Mapping[str, Any], chosen: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """See `Task`, of one confusion matrix over the known pixels of all examples.

        `global_accuracy` is the part of the pixels that are told right, `class_accuracy` the mean
        over classes of the part of a class that is, `mean_iou` the mean over classes of
        intersection over union. A class that is nowhere in the split is left out of the means of
        accuracy, and out of that of IoU unless it is told somewhere, as scikit-learn has it.
        """
        matrix = np.asarray(sums["confusion"], np.float64)
        right, true, told = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
        union = true + told - right
        recall = _quotients(right, true)
        iou = _quotients(right, union)
        everything = matrix.sum()
        found: dict[str, Any] = {
            "loss": float(sums["loss"]) / float(sums["examples"]),
            "mean_iou": _mean(iou),
            "class_accuracy": _mean(recall),
            "global_accuracy": float(right.sum() / everything) if everything else 0.0,
            "classes_absent": int((true == 0).sum()),
        }
        for what, values in (("iou", iou), ("accuracy", recall)):
            for name, value in zip(self.spec.class_names, values, strict=True):
                if np.isfinite(value):
                    found[f"{what}/{name}"] = float(value)
        return found

    def details(self, sums: Mapping[str, Any]) -> dict[str, Any]:
        """See `ExampleTask`: the confusion matrix, rows what is true, columns what is told."""
        return {"confusion": [[int(each) for each in row] for row in sums["confusion"]]}

    def answers(self, outputs: jax.Array) -> jax.Array:
        """See `Task`: the probability of each class of each pixel (b, h, w, k)."""
        return jax.nn.softmax(outputs)


def _right(logits: jax.Array, classes: jax.Array) -> jax.Array:
    """The part of the known pixels of each example (b,) that is told right, 1 of none."""
    right = jnp.argmax(logits, axis=-1) == classes
    known = classes != VOID
    count = jnp.sum(known, axis=(1, 2))
    return jnp.where(count > 0, jnp.sum(right & known, axis=(1, 2)) / jnp.maximum(count, 1), 1.0)


def _quotients(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Quotients, nan where there is nothing."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _mean(values: np.ndarray) -> float:
    """The mean of those that are numbers; 0 of none, as of a split without a known pixel."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else 0.0
