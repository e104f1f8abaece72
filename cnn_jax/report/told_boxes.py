"""Images with the boxes that are true and those that a model tells."""

from __future__ import annotations

import numpy as np
from PIL import Image

from cnn_jax.data.dataset import Split
from cnn_jax.data.fields import fields_of
from cnn_jax.data.fitting import content as held
from cnn_jax.errors import UserError
from cnn_jax.evaluation.drawn_boxes import drawn
from cnn_jax.evaluation.mask_pictures import in_colour
from cnn_jax.evaluation.predict import Answers
from cnn_jax.evaluation.predict_boxes import SCORE
from cnn_jax.report.contact_sheet import contact_sheet
from cnn_jax.restored import Restored

_ACROSS = 2
"""So many examples stand in a row, each in two pictures."""


def told_boxes(restored: Restored, shown: Split) -> Image.Image:
    """Draws examples side by side: with the boxes that are true, and with those that are told.

    Args:
      restored: a detector.
      shown: raw images with their boxes, as evaluation has them.

    Returns:
      A picture in RGB.

    Raises:
      UserError: the examples have no boxes.
    """
    cells = [picture for pair in boxes_told(restored, shown) for picture in pair]
    titles = ["true", "told"] * len(shown)
    return contact_sheet(cells, titles, 2 * min(_ACROSS, len(shown)))


def boxes_told(restored: Restored, shown: Split) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each example a picture (h, w, 3) uint8 with the boxes that are true, and one with those
    that are told; arguments and errors as of `told_boxes`.
    """
    if all(field.kind != "boxes" for field in fields_of(shown.targets).values()):
        raise UserError("the examples have no boxes")
    names = restored.spec.class_names
    least = float((restored.chosen or {}).get("score", SCORE))
    found, targets = Answers(restored)(shown.images), shown.targets
    pairs = []
    for place, image in enumerate(shown.images):
        picture = Image.fromarray(in_colour(image, restored.spec.value_range))
        there = np.asarray(targets["there"][place])
        labels = np.asarray(targets["box_class"][place])[there].tolist()
        boxes = np.asarray(targets["boxes"][place])[there]
        if "size" in targets:  # they are in pixels of the file
            size = np.asarray(targets["size"][place])
            fit = restored.recipe.data.fit
            boxes = boxes * np.tile(held(size, image.shape[0], image.shape[1], fit) / size, 2)
        true = np.asarray(drawn(picture, boxes, labels, [names[each] for each in labels]))
        sure = (found["classes"][place] >= 0) & (found["scores"][place] >= least)
        classes, scores = found["classes"][place][sure], found["scores"][place][sure]
        titles = [f"{names[c]} {s:.2f}" for c, s in zip(classes, scores, strict=True)]
        told = drawn(picture, found["boxes"][place][sure], classes.tolist(), titles)
        pairs.append((true, np.asarray(told)))
    return pairs
