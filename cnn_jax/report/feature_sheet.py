"""The maps of a layer for a picture."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cnn_jax.report.heat import enlarged, in_bytes
from cnn_jax.report.walk_picture import map_tiles

_WIDTH, _TILE, _GAP, _HEAD = 900, 84, 8, 26
MOST_ROWS = 8


def feature_sheet(picture: np.ndarray, maps: np.ndarray, title: str) -> Image.Image:
    """Draws a picture, and below it the maps (h, w, c) that a layer makes of it.

    Args:
      picture: (h, w, 1 or 3) from 0 to 1.
      maps: those; where they take more than eight rows, the strongest are drawn.
      title: of the whole.

    Returns:
      A picture in RGB.
    """
    above = Image.fromarray(enlarged(in_bytes(picture), 128))
    tiles = map_tiles(maps, _WIDTH, MOST_ROWS, _TILE)
    height = _HEAD + above.height + _GAP + tiles.height + _GAP
    sheet = Image.new("RGB", (max(_WIDTH, above.width) + 2 * _GAP, height), "white")
    ImageDraw.Draw(sheet).text((_GAP, 6), title, fill="black", font=ImageFont.load_default(14))
    sheet.paste(above, (_GAP, _HEAD))
    sheet.paste(tiles, (_GAP, _HEAD + above.height + _GAP))
    return sheet
