"""Boxes drawn on the image that they are told of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Okabe and Ito's, which nearly all tell apart (https://jfly.uni-koeln.de/color/).
_COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_TRUTH = (255, 255, 255)


def drawn(
    image: Image.Image,
    boxes: np.ndarray,
    classes: Sequence[int],
    titles: Sequence[str],
    *,
    truth: bool = False,
) -> Image.Image:
    """A copy of an image with boxes on it.

    Args:
      image: in RGB.
      boxes: (k, 4) top, left, bottom, right in its pixels.
      classes: the place of each box's class, which says its colour.
      titles: what stands at each box.
      truth: draw them thin and white, as what is true beside what is told.
    """
    copy = image.convert("RGB")
    pen = ImageDraw.Draw(copy)
    line = 1 if truth else max(2, round(max(copy.size) / 300))
    font = ImageFont.load_default(max(10, round(max(copy.size) / 50)))
    # The last is drawn on top: what is told first is the surest.
    for box, label, title in list(zip(boxes.tolist(), classes, titles, strict=True))[::-1]:
        top, left, bottom, right = box
        colour = _TRUTH if truth else _COLOURS[int(label) % len(_COLOURS)]
        corners = (left, top, max(left, right - 1), max(top, bottom - 1))
        pen.rectangle(corners, outline=colour, width=line)
        if title:
            around = pen.textbbox((0, 0), title, font=font)
            width, height = around[2] + 4, around[3] + 2
            x = min(max(0.0, left), max(0.0, copy.width - width))
            y = top - height if top >= height else top
            pen.rectangle((x, y, x + width, y + height), fill=colour)
            dark = sum(colour) > 380
            pen.text((x + 2, y), title, fill=(0, 0, 0) if dark else (255, 255, 255), font=font)
    return copy
