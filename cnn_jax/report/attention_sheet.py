"""Pictures with what speaks for a class in colour over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from cnn_jax.report.contact_sheet import contact_sheet
from cnn_jax.report.heat import enlarged, in_bytes, over

SIDE = 128
"""Pixels of a side of a picture at least."""


def attention_sheet(
    pictures: np.ndarray, titles: Sequence[str], maps: Mapping[str, np.ndarray], across: int = 3
) -> Image.Image:
    """Draws each picture as it is, and beside it with each of its maps over it.

    Args:
      pictures: (n, h, w, 1 or 3) from 0 to 1.
      titles: of each.
      maps: (n, h, w) from -1 to 1 by the name of how they were made: orange is what speaks for a
        class, blue what speaks against it.
      across: so many pictures in a row, where there is one map of each.

    Returns:
      A picture in RGB.
    """
    cells, named = [], []
    for place, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        cells.append(enlarged(in_bytes(picture), SIDE))
        named.append(title)
        for name, each in maps.items():
            cells.append(enlarged(over(picture, each[place]), SIDE))
            named.append(name)
    in_row = 1 + len(maps)
    many = min(across, len(pictures)) if len(maps) == 1 else 1
    return contact_sheet(cells, named, in_row * many)
