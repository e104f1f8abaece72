"""Images with their boxes drawn, as they are and as they are learnt from."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from cnn_jax import recipe
from cnn_jax.augment import check, check_joint, denormalise, joint_batch
from cnn_jax.data.dataset import Split
from cnn_jax.data.fields import fields_of
from cnn_jax.data.fitting import Fit, filled_up
from cnn_jax.data.spec import DataSpec
from cnn_jax.evaluation.drawn_boxes import drawn
from cnn_jax.report.contact_sheet import contact_sheet


def box_sheet(
    train: Split,
    spec: DataSpec,
    *,
    preprocess: recipe.Preprocess,
    augment: recipe.Augment,
    seed: int,
    examples: int,
    variants: int,
    fit: Fit = "letterbox",
) -> Image.Image:
    """Shows in each row an image with its boxes, and random changes of both.

    Args:
      train: images (n, h, w, 3) uint8, and their boxes.
      spec: facts of the data.
      preprocess: is checked; nothing of it is for boxes.
      augment: what is changed at random; a mosaic is made of the images on the sheet.
      seed: decides which examples are shown, and the changes.
      examples: rows; fewer where there are not as many images.
      variants: changed images in a row.
      fit: how the images were brought to their size.

    Returns:
      A picture in RGB.

    Raises:
      UserError: a change cannot be made of boxes.
    """
    check_joint(augment, preprocess, ("boxes",))
    check(augment, preprocess, train.image_shape)
    count = min(examples, len(train))
    chosen = np.sort(np.random.default_rng(seed).choice(len(train), count, replace=False))
    shown, run_key = train.take(chosen), jax.random.key(seed)
    fields = fields_of(shown.targets)
    mean, std = np.array(spec.mean), np.array(spec.std)

    def changed(
        augment: recipe.Augment, epoch: int, images: jax.Array, targets: Any
    ) -> tuple[jax.Array, Any]:
        batch = joint_batch(
            jax.random.fold_in(run_key, epoch),
            images,
            targets,
            fields,
            jnp.full(count, epoch),
            jnp.asarray(chosen, jnp.int32),
            run_key=run_key,
            augment=augment,
            mean=mean,
            std=std,
            fit=fit,
        )
        return denormalise(batch.inputs, mean, std), batch.targets

    # As arguments: within the program they would be folded as constants, which takes minutes.
    arrays = jnp.asarray(shown.images), jax.tree.map(jnp.asarray, shown.targets)
    step = jax.jit(functools.partial(changed, augment))
    columns = [_with_boxes(changed(recipe.Augment(), 0, *arrays), spec)]
    columns += [_with_boxes(step(epoch, *arrays), spec) for epoch in range(variants)]
    height, width = (max(column.shape[axis] for column in columns) for axis in (1, 2))
    white = np.full(3, 255, np.uint8)
    return contact_sheet(
        [
            filled_up(column[row], height, width, white)
            for row in range(count)
            for column in columns
        ],
        [""] * (count * len(columns)),
        len(columns),
    )


def _with_boxes(batch: tuple[jax.Array, Any], spec: DataSpec) -> np.ndarray:
    """Images (n, h, w, 3) from 0 to 1 as RGB of 8 bits, with their boxes drawn on them."""
    images, targets = batch
    pixels = np.round(np.clip(np.asarray(images), 0, 1) * 255).astype(np.uint8)
    found = []
    for place, image in enumerate(pixels):
        there = np.asarray(targets["there"][place])
        labels = np.asarray(targets["box_class"][place])[there].tolist()
        boxes = np.asarray(targets["boxes"][place])[there]
        names = [spec.class_names[label] for label in labels]
        found.append(np.asarray(drawn(Image.fromarray(image), boxes, labels, names)))
    return np.stack(found)
