"""Numbers as colours, alone or over the picture that they are of."""

from __future__ import annotations

import numpy as np

_SOFT_TO_LOUD = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)])
"""Evenly spread, from 0 to 1; also those who see no colours see them become brighter."""
# Okabe and Ito's vermilion and blue, which nearly all tell apart.
_FOR, _AGAINST = np.array((213, 94, 0)), np.array((0, 114, 178))
_MOST = 0.8
"""What the colour counts for over a picture, where the number is farthest from 0."""


def heat(levels: np.ndarray) -> np.ndarray:
    """Numbers (h, w) from 0 to 1 as colours (h, w, 3) uint8, from black over red to yellow."""
    level = np.clip(levels, 0, 1) * (len(_SOFT_TO_LOUD) - 1)
    below: np.ndarray = np.clip(np.floor(level).astype(int), 0, len(_SOFT_TO_LOUD) - 2)
    part = (level - below)[..., None]
    mixed = _SOFT_TO_LOUD[below] * (1 - part) + _SOFT_TO_LOUD[below + 1] * part
    return mixed.astype(np.uint8)


def signed(levels: np.ndarray) -> np.ndarray:
    """Numbers (h, w) from -1 to 1 as colours (h, w, 3) uint8: blue below 0, white, orange above."""
    return _mixed(np.full((*levels.shape, 3), 255.0), levels, 1.0)


def over(picture: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """A picture with numbers over it: orange above 0, blue below, and as it is at 0.

    Args:
      picture: (h, w, 1 or 3) from 0 to 1.
      levels: (h, w) from -1 to 1.

    Returns:
      (h, w, 3) uint8.
    """
    plain = np.broadcast_to(picture * 255.0, (*picture.shape[:2], 3))
    return _mixed(plain, levels, _MOST)


def _mixed(plain: np.ndarray, levels: np.ndarray, most: float) -> np.ndarray:
    colour = np.where(levels[..., None] >= 0, _FOR, _AGAINST)
    share = most * np.abs(np.clip(levels, -1, 1))[..., None]
    return np.round(plain * (1 - share) + colour * share).astype(np.uint8)


def enlarged(pixels: np.ndarray, side: int) -> np.ndarray:
    """A picture (h, w, ...) whose shorter side has so many pixels at least, by whole pixels."""
    times = max(1, -(-side // max(1, min(pixels.shape[:2]))))
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


def in_bytes(picture: np.ndarray) -> np.ndarray:
    """A picture (h, w, 1 or 3) from 0 to 1 as (h, w, 3) uint8."""
    pixels = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels
