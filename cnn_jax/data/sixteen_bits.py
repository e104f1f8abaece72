"""PNG of 16 bits with all its bits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
from PIL import Image

_WHITE = 65535


def stored_form(image: Image.Image) -> str | None:
    """How the pixels of a PNG of 16 bits are stored, such as `RGB;16B`; None for any other image.

    Args:
      image: opened, its pixels not yet read.
    """
    tiles = getattr(image, "tile", None)
    form = str(tiles[0].args) if image.format == "PNG" and tiles else ""
    return form if ";16" in form else None


def grey_form(form: str) -> bool:
    """Whether that is grey, with or without transparency."""
    return form.startswith(("I", "LA"))


def all_bits(opened: Callable[[], AbstractContextManager[Image.Image]]) -> np.ndarray:
    """The values of a PNG of 16 bits, not yet upright; transparent pixels lie on white.

    Pillow reads 16-bit grey. Of 16-bit colours it keeps 8 bits: the upper ones, or the lower ones
    where it is told that the bytes are in the other order. So those are read twice.

    Args:
      opened: opens the image anew.

    Returns:
      (h, w, c) uint16, c 1 or 3.
    """
    values: np.ndarray
    with opened() as image:
        form = stored_form(image)
        assert form is not None
        key = image.info.get("transparency")
        if form.startswith("I"):
            values = np.asarray(image).astype(np.uint16)[..., None]
        elif form.startswith("LA"):
            # Four bytes a pixel, as of RGB with transparency in 8 bits.
            values = np.ascontiguousarray(_read_as(image, "RGBA")).view(">u2").astype(np.uint16)
        else:
            values = _read_as(image, form).astype(np.uint16) << 8
            with opened() as again:
                values |= _read_as(again, form.replace("16B", "16L"))
    if values.shape[-1] in (2, 4):
        return _on_white(values)
    if key is not None:
        values[(values == np.asarray(key)).all(-1)] = _WHITE
    return values


def _read_as(image: Image.Image, form: str) -> np.ndarray:
    image.tile = [image.tile[0]._replace(args=form)]  # type: ignore[attr-defined]
    image.load()
    return np.asarray(image)


def _on_white(values: np.ndarray) -> np.ndarray:
    """Colours with their opacity last, (h, w, c + 1) uint16 -> (h, w, c) uint16, rounded."""
    opacity = values[..., -1:].astype(np.uint64)
    blended = values[..., :-1] * opacity + _WHITE * (_WHITE - opacity)
    return ((2 * blended + _WHITE) // (2 * _WHITE)).astype(np.uint16)
