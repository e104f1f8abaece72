"""The way of a picture through a net on one sheet: a row for each step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cnn_jax.inside.walk import Step
from cnn_jax.report.heat import enlarged, heat, in_bytes, signed

_TEXT, _MAPS = 290, 640
_GAP, _LINE = 8, 15
_TILE = 56
_ROWS = 2
"""Rows of maps of a step at most."""
_INK, _SOFT = (0, 0, 0), (95, 95, 95)
_BAR = (0, 114, 178)


def walk_picture(
    picture: np.ndarray,
    steps: Sequence[Step],
    told: Sequence[tuple[str, str, float]],
    *,
    title: str,
    last: str,
    left_out: int = 0,
) -> Image.Image:
    """Draws a picture, what comes of it at each step, and what is told of it.

    Args:
      picture: (h, w, 1 or 3) from 0 to 1, as the net is given it.
      steps: in their order.
      told: what is told last, a line each: its name, its value in words, and the length of its bar
        from 0 to 1.
      title: of the whole.
      last: what the last step is called and does, such as "softmax".
      left_out: how many layers are not shown.

    Returns:
      A picture in RGB.
    """
    shape = "x".join(map(str, picture.shape))
    rows = [_row("input", "the picture as the net is given it", shape, _input(picture))]
    rows += [_row(each.name, each.what, each.shape, _value(each)) for each in steps]
    rows.append(_row(last, "", f"{len(told)} lines, the most probable first", _bars(told)))
    notes = ["Each step has its own scale: white or black is 0, orange and yellow are large, blue "
             "is below 0."]  # fmt: skip
    if left_out:
        notes.append(f"{left_out:,} layers are left out; --layers names those that are shown.")
    head, foot = _LINE + 2 * _GAP, _LINE * len(notes) + _GAP
    height = head + sum(row.height + _GAP for row in rows) + foot
    sheet = Image.new("RGB", (_TEXT + _MAPS + 2 * _GAP, height), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, _GAP), title, fill=_INK, font=ImageFont.load_default(14))
    y = head
    for row in rows:
        draw.line((_GAP, y - _GAP // 2, sheet.width - _GAP, y - _GAP // 2), fill=(225, 225, 225))
        sheet.paste(row, (_GAP, y))
        y += row.height + _GAP
    for place, note in enumerate(notes):
        draw.text((_GAP, y + place * _LINE), note, fill=_SOFT, font=ImageFont.load_default(11))
    return sheet


def _row(name: str, what: str, shape: str, value: Image.Image) -> Image.Image:
    """A step: its words on the left, what comes of it on the right."""
    words = [*_wrapped(what), shape]
    row = Image.new(
        "RGB", (_TEXT + _MAPS, max(value.height, _LINE * (1 + len(words)) + 4)), "white"
    )
    draw = ImageDraw.Draw(row)
    draw.text((0, 0), name, fill=_INK, font=ImageFont.load_default(13))
    for place, line in enumerate(words, start=1):
        draw.text((0, 2 + place * _LINE), line, fill=_SOFT, font=ImageFont.load_default(11))
    row.paste(value, (_TEXT, 0))
    return row


def _wrapped(text: str) -> list[str]:
    font, lines = ImageFont.load_default(11), [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > _TEXT - 2 * _GAP and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return [line for line in lines if line]


def _input(picture: np.ndarray) -> Image.Image:
    return Image.fromarray(enlarged(in_bytes(picture), 2 * _TILE))


def _value(step: Step) -> Image.Image:
    value = step.value
    if value.ndim == 3 and value[..., 0].size > 1:
        return map_tiles(value, _MAPS, _ROWS)
    return _cells(value.reshape(-1))


def map_tiles(maps: np.ndarray, width: int, rows: int, tile: int = _TILE) -> Image.Image:
    """Maps (h, w, c) side by side, each above its number, on one scale.

    Where there are too many, those with the strongest value are shown.

    Args:
      maps: those.
      width: of the picture in pixels.
      rows: of maps at most.
      tile: side of a map in pixels at least.
    """
    low = maps.min() < 0
    scaled = maps / (np.abs(maps).max() or 1.0)
    pictures = [_side((signed if low else heat)(scaled[..., place]), tile)
                for place in range(maps.shape[-1])]  # fmt: skip
    across = max(1, (width + 4) // (pictures[0].width + 4))
    count = min(len(pictures), across * rows)
    shown = np.sort(np.argsort(-np.abs(maps).max((0, 1)), kind="stable")[:count])
    font = ImageFont.load_default(9)
    cell = pictures[0].height + 13
    more = _LINE if count < len(pictures) else 0
    height = -(-count // across) * cell + more
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for place, channel in enumerate(shown.tolist()):
        x, y = place % across * (pictures[0].width + 4), place // across * cell
        sheet.paste(pictures[channel], (x, y))
        draw.text((x, y + pictures[0].height + 1), str(channel), fill=_SOFT, font=font)
    if more:
        said = f"the {count} of {len(pictures)} maps with the strongest value"
        draw.text((0, height - _LINE), said, fill=_SOFT, font=ImageFont.load_default(11))
    return sheet


def _side(pixels: np.ndarray, tile: int) -> Image.Image:
    """A map as a picture about so many pixels high, its pixels whole where it is small."""
    height, width = pixels.shape[:2]
    if height > tile:
        size = max(1, round(width * tile / height)), tile
        return Image.fromarray(pixels).resize(size, Image.Resampling.BOX)
    times = max(1, tile // height)
    return Image.fromarray(pixels.repeat(times, axis=0).repeat(times, axis=1))


def _cells(values: np.ndarray) -> Image.Image:
    """Numbers (c,) as cells in rows."""
    side = next((each for each in (12, 6, 4) if len(values) * each <= _MAPS), 3)
    across = min(len(values), _MAPS // side)
    rows = -(-len(values) // across)
    scaled = values / (np.abs(values).max() or 1.0)
    filled = np.zeros(rows * across)
    filled[: len(values)] = scaled
    colour = signed if values.min() < 0 else heat
    pixels = colour(filled.reshape(rows, across))
    pixels.reshape(-1, 3)[len(values) :] = 255
    tall = 24 if rows == 1 else 9
    return Image.fromarray(pixels.repeat(tall, axis=0).repeat(side, axis=1))


def _bars(told: Sequence[tuple[str, str, float]]) -> Image.Image:
    """Lines with a bar each."""
    font = ImageFont.load_default(12)
    left = min(220, 12 + max(round(font.getlength(name)) for name, _, _ in told))
    picture = Image.new("RGB", (_MAPS, max(1, len(told)) * (_LINE + 3)), "white")
    draw = ImageDraw.Draw(picture)
    for place, (name, value, share) in enumerate(told):
        y = place * (_LINE + 3)
        draw.text((0, y), name[:34], fill=_INK, font=font)
        end = left + round((_MAPS - left - 90) * min(max(share, 0), 1))
        draw.rectangle((left, y + 1, max(left + 1, end), y + _LINE - 2), fill=_BAR)
        draw.text((end + 6, y), value, fill=_INK, font=font)
    return picture
