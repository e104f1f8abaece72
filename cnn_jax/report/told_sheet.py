"""Images with the masks that are true and those that a model tells."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from cnn_jax.augment import moved_targets
from cnn_jax.data.dataset import Examples, Split
from cnn_jax.data.fields import VOID, fields_of
from cnn_jax.errors import UserError
from cnn_jax.evaluation.mask_pictures import class_colours, in_colour, legend, over
from cnn_jax.report.contact_sheet import contact_sheet
from cnn_jax.restored import Restored
from cnn_jax.tasks import make_task
from cnn_jax.training.evaluator import make_model

_ACROSS = 2
"""So many examples stand in a row, each in three pictures."""


def told_sheet(restored: Restored, examples: Examples, count: int = 6) -> Image.Image:
    """Draws some examples: the image, what is true of it, and what the model tells.

    Pixels of which nothing is known stay as they are in both.

    Args:
      restored: the model.
      examples: evenly spread ones are taken.
      count: how many are drawn at most.

    Returns:
      A picture in RGB, with the colours of the classes below.

    Raises:
      UserError: what is told has no places in an image.
    """
    places = np.unique(np.linspace(0, len(examples) - 1, count).astype(int))
    pictures = [each for row in masks_told(restored, examples.decoded(places)) for each in row]
    colours = class_colours(restored.spec)
    titles = ["image", "true", "told"] * _ACROSS + [""] * (len(pictures) - 3 * _ACROSS)
    sheet = contact_sheet(pictures, titles[: len(pictures)], min(3 * _ACROSS, len(pictures)))
    below = legend(restored.spec.class_names, colours, sheet.width)
    whole = Image.new("RGB", (sheet.width, sheet.height + below.height), "white")
    whole.paste(sheet, (0, 0))
    whole.paste(below, (0, sheet.height))
    return whole


def masks_told(restored: Restored, shown: Split) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each example three pictures (h, w, 3) uint8: itself, and under the mask that is true and
    the one that is told.

    Args:
      restored: the model.
      shown: raw images with their masks, as evaluation has them.

    Raises:
      UserError: what is told has no places in an image.
    """
    if all(field.kind != "mask" for field in fields_of(shown.targets).values()):
        raise UserError("--pictures is for models that tell a class of every pixel; leave it out")
    spec, colours = restored.spec, class_colours(restored.spec)
    task: Any = make_task(restored.recipe, spec)
    model = make_model(restored.recipe, task)

    def told(variables: Any, images: jax.Array) -> jax.Array:
        def apply(inputs: Any) -> Any:
            return model.apply(variables, inputs, train=False)

        return jnp.argmax(task.infer(apply, task.prepared(images)), axis=-1)

    shape = shown.image_shape[0], shown.image_shape[1]
    targets = task.encoded(shown.targets)
    truth = moved_targets(targets, fields_of(targets), None, shape, shape)["mask"]
    found = np.asarray(jax.jit(told)(restored.variables, shown.images))
    rows = []
    for image, true, mask in zip(shown.images, np.asarray(truth), found, strict=True):
        pixels = in_colour(image, spec.value_range)
        known = np.where(true == VOID, VOID, mask)
        rows.append((pixels, over(pixels, true, colours), over(pixels, known, colours)))
    return rows
