"""Several sheets below each other, each with a heading."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

_HEAD, _LEFT = 26, 6


def headed_sheets(parts: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Puts pictures below each other.

    Args:
      parts: a heading and a picture each, at least one.

    Returns:
      A picture in RGB.
    """
    font = ImageFont.load_default(14)
    width = max(
        max(sheet.width, _LEFT * 2 + round(font.getlength(heading))) for heading, sheet in parts
    )
    whole = Image.new("RGB", (width, sum(_HEAD + sheet.height for _, sheet in parts)), "white")
    draw, y = ImageDraw.Draw(whole), 0
    for heading, sheet in parts:
        draw.text((_LEFT, y + 6), heading, fill="black", font=font)
        whole.paste(sheet, (0, y + _HEAD))
        y += _HEAD + sheet.height
    return whole
