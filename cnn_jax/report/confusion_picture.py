"""A confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_BLUE, _ORANGE = np.array((0, 114, 178)), np.array((213, 94, 0))
_COUNTED = 30
"""Of more classes cells hold no numbers."""
_GAP = 8


def confusion_picture(matrix: np.ndarray, names: Sequence[str], title: str) -> Image.Image:
    """Draws how many examples of each class are told to be of each.

    A cell is the darker, the larger its part of the row: blue where it is right, orange where not.

    Args:
      matrix: (k, k), rows what is true, columns what is told.
      names: of the classes.
      title: of the whole.

    Returns:
      A picture in RGB.
    """
    count = len(names)
    small = count > _COUNTED
    font = ImageFont.load_default(9 if small else 11)
    widest = max(round(font.getlength(str(int(each)))) for each in matrix.ravel())
    side = max(6, min(14, 900 // count)) if small else max(24, widest + 8)
    shown = [_cut(name) for name in names]
    left = _GAP * 3 + max(round(font.getlength(name)) for name in shown)
    labelled = side >= 10
    left = left if labelled else _GAP
    heading = ImageFont.load_default(14)
    top = 50 + (left if labelled else 0) - 2 * _GAP
    width = max(left + side * count + _GAP, round(heading.getlength(title)) + 2 * _GAP, 260)
    picture = Image.new("RGB", (width, top + side * count + _GAP), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((_GAP, _GAP), title, fill="black", font=heading)
    soft = ImageFont.load_default(11)
    draw.text((_GAP, 28), "rows: true, columns: told", fill="#5f5f5f", font=soft)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    for row in range(count):
        for column in range(count):
            share, number = float(shares[row, column]), int(matrix[row, column])
            colour = _BLUE if row == column else _ORANGE
            # The root, so that a few mistakes among many examples are seen.
            strength = share if row == column else np.sqrt(share)
            fill = tuple(np.round(255 + (colour - 255) * strength).astype(int).tolist())
            x, y = left + column * side, top + row * side
            draw.rectangle((x, y, x + side - 2, y + side - 2), fill=fill)
            if not small and number:
                ink = "white" if strength > 0.6 else "black"
                centre = x + (side - 1) / 2, y + (side - 1) / 2
                draw.text(centre, str(number), fill=ink, font=font, anchor="mm")
    for place, name in enumerate(shown if labelled else ()):
        middle = place * side + (side - 1) / 2
        draw.text((left - 6, top + middle), name, fill="black", font=font, anchor="rm")
        _upright(picture, name, font, round(left + middle), top - 6)
    return picture


def _cut(name: str) -> str:
    return name if len(name) <= 18 else name[:17] + "…"


def _upright(
    picture: Image.Image,
    name: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    x: int,
    bottom: int,
) -> None:
    """Writes a name above a column, from below upwards unless it is short."""
    length, height = round(font.getlength(name)) + 2, 15
    if length <= 16:
        ImageDraw.Draw(picture).text((x, bottom), name, fill="black", font=font, anchor="mb")
        return
    line = Image.new("RGB", (length, height), "white")
    ImageDraw.Draw(line).text((0, 1), name, fill="black", font=font)
    turned = line.rotate(90, expand=True)
    picture.paste(turned, (x - height // 2, bottom - length))
