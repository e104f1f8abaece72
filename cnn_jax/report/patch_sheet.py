"""What excites the maps of a layer, a row a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from cnn_jax.inside.exciting import Exciting
from cnn_jax.report.contact_sheet import contact_sheet
from cnn_jax.report.heat import in_bytes

SIDE = 80


def patch_sheet(
    made: Mapping[int, np.ndarray],
    found: Mapping[int, Sequence[Exciting]],
    pictures: Mapping[int, np.ndarray],
) -> Image.Image:
    """Draws in each row the image that was made for a map, and the patches that excite it most.

    Args:
      made: (h, w, 1 or 3) from 0 to 1, by channel.
      found: patches by channel, as many of each.
      pictures: (h, w, 1 or 3) from 0 to 1, by the places that the patches name.

    Returns:
      A picture in RGB.
    """
    cells, titles = [], []
    for channel, image in made.items():
        cells.append(_square(image))
        titles.append(f"map {channel}")
        for each in found[channel]:
            top, left, bottom, right = each.box
            cells.append(_square(pictures[each.image][top:bottom, left:right]))
            titles.append(f"{each.value:.3g}")
    return contact_sheet(cells, titles, 1 + max(map(len, found.values())))


def _square(picture: np.ndarray) -> np.ndarray:
    """A picture within a square; the pixels of a small one stay visible."""
    pixels = in_bytes(picture)
    height, width = pixels.shape[:2]
    times = SIDE / max(height, width)
    size = max(1, round(width * times)), max(1, round(height * times))
    how = Image.Resampling.NEAREST if times > 1 else Image.Resampling.BOX
    square = Image.new("RGB", (SIDE, SIDE), "white")
    square.paste(Image.fromarray(pixels).resize(size, how))
    return np.asarray(square)
