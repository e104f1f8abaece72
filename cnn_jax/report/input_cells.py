"""Raw inputs of any kind as a sheet of small pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cnn_jax.evaluation.mask_pictures import in_colour
from cnn_jax.report.contact_sheet import contact_sheet
from cnn_jax.report.heat import enlarged
from cnn_jax.report.series_sheet import series_sheet
from cnn_jax.report.sound_sheet import sound_sheet
from cnn_jax.restored import Restored

SIDE = 144
"""Pixels of the shorter side of an image on a sheet, about."""
_TEXT = (300, 96)


def input_sheet(
    restored: Restored, inputs: np.ndarray, titles: Sequence[str], across: int = 5
) -> Image.Image:
    """Draws examples in rows, each below its title.

    Args:
      restored: the model that is given them.
      inputs: raw (n, ...), as the data hold them.
      titles: of each.
      across: images in a row.

    Returns:
      A picture in RGB.
    """
    spec = restored.spec
    if spec.input_kind == "series":
        return series_sheet(inputs, titles)
    if spec.input_kind == "sound":
        return sound_sheet(inputs, titles, spec, restored.recipe.sound)
    if spec.input_kind == "tokens":
        words = ("", "<unknown>", *spec.words)
        cells = [_text(" ".join(words[each] for each in row).strip()) for row in inputs]
        return contact_sheet(cells, titles, 2)
    cells = [in_side(in_colour(image, spec.value_range), SIDE) for image in inputs]
    return contact_sheet(cells, titles, min(across, len(cells)))


def in_side(pixels: np.ndarray, side: int) -> np.ndarray:
    """A picture (h, w, 3) uint8 whose shorter side has about so many pixels."""
    small = min(pixels.shape[:2])
    if small <= side:
        return enlarged(pixels, side)
    height, width = (max(1, round(each * side / small)) for each in pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))


def _text(text: str) -> np.ndarray:
    """The first words of a text, in lines."""
    picture = Image.new("RGB", _TEXT, "#f4f4f4")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(11)
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > _TEXT[0] - 10 and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    most = (_TEXT[1] - 8) // 14
    if len(lines) > most:
        lines = [*lines[: most - 1], lines[most - 1] + " …"]
    for place, line in enumerate(lines):
        draw.text((5, 4 + 14 * place), line, fill="black", font=font)
    return np.asarray(picture)
