"""Pictures, series and texts with what speaks for a class in colour over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cnn_jax.report.contact_sheet import contact_sheet
from cnn_jax.report.heat import in_bytes, over, signed
from cnn_jax.report.input_cells import in_side

SIDE = 128
"""Pixels of the shorter side of a picture, about."""
_WIDTH, _HEIGHT = 320, 96
_LINE, _TEXT_WIDTH = 18, 720


def attention_sheet(
    pictures: np.ndarray,
    titles: Sequence[str],
    maps: Mapping[str, np.ndarray],
    *,
    across: int = 3,
    side: int = SIDE,
) -> Image.Image:
    """Draws each picture as it is, and beside it with each of its maps over it.

    Args:
      pictures: (n, h, w, 1 or 3) from 0 to 1.
      titles: of each.
      maps: (n, h, w) from -1 to 1 by the name of how they were made: orange is what speaks for a
        class, blue what speaks against it.
      across: so many pictures in a row, where there is one map of each.
      side: pixels of the shorter side of a picture, about.

    Returns:
      A picture in RGB.
    """
    cells, named = [], []
    for place, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        cells.append(in_side(in_bytes(picture), side))
        named.append(title)
        for name, each in maps.items():
            cells.append(in_side(over(picture, each[place]), side))
            named.append(name)
    many = min(across, len(pictures)) if len(maps) == 1 else 1
    return contact_sheet(cells, named, (1 + len(maps)) * many)


def series_attention(
    series: np.ndarray, titles: Sequence[str], along: np.ndarray, across: int = 3
) -> Image.Image:
    """Draws series as curves, on a ground whose colour says what speaks for a class.

    Args:
      series: (n, t, c), not a number after their ends.
      titles: of each.
      along: (n, t) from -1 to 1.
      across: series in a row.

    Returns:
      A picture in RGB.
    """
    low, high = float(np.nanmin(series)), float(np.nanmax(series))
    cells = []
    for values, level in zip(series, along, strict=True):
        ground = signed(0.7 * level[None])
        picture = Image.fromarray(ground).resize((_WIDTH, _HEIGHT), Image.Resampling.BILINEAR)
        draw = ImageDraw.Draw(picture)
        step = (_WIDTH - 1) / max(1, len(values) - 1)
        up = (_HEIGHT - 9) / ((high - low) or 1.0)
        for channel in values.T:
            points = [
                (time * step, _HEIGHT - 5 - (float(value) - low) * up)
                for time, value in enumerate(channel)
                if not np.isnan(value)
            ]
            draw.line(points, fill="black")
        cells.append(np.asarray(picture))
    return contact_sheet(cells, titles, min(across, len(cells)))


def text_attention(
    texts: Sequence[Sequence[str]], titles: Sequence[str], along: np.ndarray
) -> Image.Image:
    """Writes texts, each word on a ground whose colour says what it adds to a class.

    Args:
      texts: n lists of words.
      titles: of each.
      along: (n, t) from -1 to 1.

    Returns:
      A picture in RGB.
    """
    blocks = [
        _text(words, title, levels)
        for words, title, levels in zip(texts, titles, along, strict=True)
    ]
    sheet = Image.new("RGB", (_TEXT_WIDTH, sum(each.height for each in blocks)), "white")
    y = 0
    for each in blocks:
        sheet.paste(each, (0, y))
        y += each.height
    return sheet


def _text(words: Sequence[str], title: str, levels: np.ndarray) -> Image.Image:
    font, head = ImageFont.load_default(13), ImageFont.load_default(11)
    places, x, y = [], 8, _LINE + 4
    for word in words:
        width = round(font.getlength(word)) + 6
        if x + width > _TEXT_WIDTH - 8 and x > 8:
            x, y = 8, y + _LINE
        places.append((x, y, width))
        x += width
    picture = Image.new("RGB", (_TEXT_WIDTH, y + _LINE + 10), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((8, 4), title, fill=(95, 95, 95), font=head)
    for word, level, (left, top, width) in zip(words, levels, places, strict=False):
        colour = tuple(signed(0.8 * np.full((1, 1), level))[0, 0].tolist())
        draw.rectangle((left, top, left + width - 1, top + _LINE - 3), fill=colour)
        draw.text((left + 3, top), word, fill="black", font=font)
    return picture
