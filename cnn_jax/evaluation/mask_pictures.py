"""Masks as pictures: in the colours of their classes, and over the images that they are of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cnn_jax.data.fields import VOID
from cnn_jax.data.spec import DataSpec

SHARE = 0.5
"""What the colour of a class counts for over an image."""


def class_colours(spec: DataSpec) -> np.ndarray:
    """The colours (k, 3) uint8 of the classes: those of the data, or else different ones."""
    count = len(spec.class_names)
    given = np.array(spec.facts.get("colours", ()), np.uint8).reshape(-1, 3)
    return given if len(given) == count else default_colours(count)


def default_colours(count: int) -> np.ndarray:
    """Different colours (n, 3) uint8, the first black: by bits of the place, as PASCAL VOC's."""
    places = np.arange(count)
    colours = np.zeros((count, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((places >> (3 * bit + channel)) & 1) << (7 - bit)).astype(
                np.uint8
            )
    return colours


def as_image(mask: np.ndarray, spec: DataSpec) -> Image.Image:
    """A mask (h, w) of places among the class names as it is written: a palette's values.

    The values are those that stood for the classes in the masks learnt from; where some are above
    255 the picture is grey of 16 bits.
    """
    values = np.array(spec.facts.get("mask_values", range(len(spec.class_names))), np.int64)
    found = values[mask]
    if values.max() > 255:
        return Image.fromarray(found.astype(np.uint16))
    image = Image.fromarray(found.astype(np.uint8), mode="P")
    palette = np.zeros((256, 3), np.uint8)
    palette[values] = class_colours(spec)
    image.putpalette(palette.ravel().tolist())
    return image


def over(image: np.ndarray, mask: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """An image (h, w, 3) uint8 with the colours of its mask (h, w) over it; void stays as it is."""
    known = mask != VOID
    shown = colours[np.where(known, mask, 0)].astype(np.float32)
    mixed = np.round((1 - SHARE) * image + SHARE * shown).astype(np.uint8)
    return np.where(known[..., None], mixed, image)


def in_colour(image: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """An image (h, w, c) as RGB of 8 bits, to be looked at."""
    low, high = value_range
    if image.dtype != np.uint8:
        scaled = np.clip((image.astype(np.float64) - low) / (high - low), 0, 1)
        image = np.round(255 * scaled).astype(np.uint8)
    return image[..., :3] if image.shape[2] >= 3 else np.repeat(image[..., :1], 3, axis=2)


def legend(names: Sequence[str], colours: np.ndarray, width: int) -> Image.Image:
    """The colours of classes and their names, in rows of a picture of this width."""
    font = ImageFont.load_default()
    line = round(font.getbbox("Ag|")[3]) + 4
    places, x, y = [], 4, 2
    for name in names:
        wide = line + 2 + round(font.getlength(name)) + 10
        if x + wide > width and x > 4:
            x, y = 4, y + line
        places.append((x, y))
        x += wide
    picture = Image.new("RGB", (width, y + line + 2), "white")
    draw = ImageDraw.Draw(picture)
    for name, colour, (left, top) in zip(names, colours.tolist(), places, strict=True):
        draw.rectangle((left, top, left + line - 5, top + line - 5), tuple(colour), "#888888")
        draw.text((left + line, top), name, fill="black", font=font)
    return picture
