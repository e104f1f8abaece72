"""Images with their masks over them, as they are and as they are learnt from."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from cnn_jax import recipe
from cnn_jax.augment import check, check_joint, denormalise, joint_batch
from cnn_jax.data.dataset import Split
from cnn_jax.data.fields import fields_of
from cnn_jax.data.fitting import filled_up
from cnn_jax.data.spec import DataSpec
from cnn_jax.evaluation.mask_pictures import class_colours, legend, over
from cnn_jax.report.contact_sheet import contact_sheet


def mask_sheet(
    train: Split,
    spec: DataSpec,
    *,
    preprocess: recipe.Preprocess,
    augment: recipe.Augment,
    seed: int,
    examples: int,
    variants: int,
) -> Image.Image:
    """Shows in each row an image, the image with its mask over it, and random changes of both.

    Args:
      train: images (n, h, w, c) uint8, c being 1 or 3, and their masks.
      spec: facts of the data.
      preprocess: is checked; nothing of it is for masks.
      augment: what is changed at random.
      seed: decides which examples are shown, and the changes.
      examples: rows; fewer where there are not as many images.
      variants: changed images in a row.

    Returns:
      A picture in RGB, with the colours of the classes below.

    Raises:
      UserError: a change cannot be made of masks.
    """
    check_joint(augment, preprocess)
    check(augment, preprocess, train.image_shape)
    count = min(examples, len(train))
    chosen = np.sort(np.random.default_rng(seed).choice(len(train), count, replace=False))
    shown = train.take(chosen)
    targets = shown.targets if isinstance(shown.targets, Mapping) else {"mask": shown.targets}
    fields, run_key = fields_of(targets), jax.random.key(seed)
    mean, std = np.array(spec.mean), np.array(spec.std)

    def changed(epoch: jax.Array, augment: recipe.Augment) -> tuple[jax.Array, jax.Array]:
        batch = joint_batch(
            jax.random.fold_in(run_key, epoch),
            jnp.asarray(shown.images),
            {name: jnp.asarray(each) for name, each in targets.items()},
            fields,
            jnp.full(count, epoch),
            jnp.asarray(chosen, jnp.int32),
            run_key=run_key,
            augment=augment,
            mean=mean,
            std=std,
        )
        return denormalise(batch.inputs, mean, std), batch.targets["mask"]

    plain, masks = changed(jnp.int32(0), recipe.Augment())
    colours = class_colours(spec)
    columns = [_bytes(plain), _with_masks(plain, masks, colours)]
    step = jax.jit(lambda epoch: changed(epoch, augment))
    for epoch in range(variants):
        images, masks = step(jnp.int32(epoch))
        columns.append(_with_masks(images, masks, colours))
    height, width = (max(column.shape[axis] for column in columns) for axis in (1, 2))
    white = np.full(3, 255, np.uint8)
    sheet = contact_sheet(
        [
            filled_up(column[row], height, width, white)
            for row in range(count)
            for column in columns
        ],
        [""] * (count * len(columns)),
        len(columns),
    )
    below = legend(spec.class_names, colours, sheet.width)
    whole = Image.new("RGB", (sheet.width, sheet.height + below.height), "white")
    whole.paste(sheet, (0, 0))
    whole.paste(below, (0, sheet.height))
    return whole


def _bytes(images: jax.Array) -> np.ndarray:
    """Images (n, h, w, c) from 0 to 1 as RGB of 8 bits."""
    found = np.round(np.clip(np.asarray(images), 0, 1) * 255).astype(np.uint8)
    return found if found.shape[-1] == 3 else np.repeat(found, 3, axis=-1)


def _with_masks(images: jax.Array, masks: jax.Array, colours: np.ndarray) -> np.ndarray:
    pairs = zip(_bytes(images), np.asarray(masks), strict=True)
    return np.stack([over(image, mask, colours) for image, mask in pairs])
