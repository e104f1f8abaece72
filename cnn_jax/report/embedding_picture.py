"""Examples as small pictures at their places on a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cnn_jax.evaluation.mask_pictures import default_colours, legend
from cnn_jax.report.input_cells import in_side

_SIDE, _EDGE, _HEAD, _THUMB = 560, 14, 28, 20
# Okabe and Ito's, and of more classes those of masks.
_FEW = np.array([(230, 159, 0), (86, 180, 233), (0, 158, 115), (213, 94, 0), (0, 114, 178),
                 (204, 121, 167), (120, 120, 120), (240, 228, 66), (0, 0, 0), (140, 81, 10)],
                np.uint8)  # fmt: skip


def embedding_picture(
    maps: Mapping[str, np.ndarray],
    labels: np.ndarray | None,
    names: Sequence[str],
    images: np.ndarray | None,
) -> Image.Image:
    """Draws maps side by side.

    Args:
      maps: (n, 2) by title.
      labels: (n,) places in the names, which say the colours; None for one colour.
      names: of the classes.
      images: (n, h, w, 3) uint8, drawn small at their places; None for dots.

    Returns:
      A picture in RGB, with the colours of the classes below.
    """
    count = len(names)
    colours = _FEW[:count] if count <= len(_FEW) else default_colours(count + 1)[1:]
    width = len(maps) * _SIDE
    below = None if labels is None else legend(names, colours, width)
    height = _HEAD + _SIDE + (0 if below is None else below.height)
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (title, points) in enumerate(maps.items()):
        left = place * _SIDE
        draw.text((left + 8, 6), title, fill="black", font=ImageFont.load_default(14))
        low, high = points.min(axis=0), points.max(axis=0)
        span = np.where(high > low, high - low, 1)
        room = _SIDE - 2 * _EDGE - _THUMB
        at = np.round(_EDGE + (points - low) / span * room).astype(int)
        for number, (x, y) in enumerate(at.tolist()):
            colour = (0, 114, 178) if labels is None else tuple(colours[labels[number]].tolist())
            corner = left + x, _HEAD + _SIDE - _EDGE - _THUMB - y
            _point(sheet, draw, corner, colour, None if images is None else images[number])
    if below is not None:
        sheet.paste(below, (0, _HEAD + _SIDE))
    return sheet


def _point(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    colour: tuple[int, ...],
    image: np.ndarray | None,
) -> None:
    """An example: its image in a frame of its colour, or a dot."""
    x, y = corner
    if image is None:
        draw.ellipse((x + 6, y + 6, x + 14, y + 14), fill=colour)
        return
    draw.rectangle((x, y, x + _THUMB - 1, y + _THUMB - 1), fill=colour)
    small = Image.fromarray(in_side(image, _THUMB - 4)).resize((_THUMB - 4, _THUMB - 4))
    sheet.paste(small, (x + 2, y + 2))
