"""What the page is given of an own input: what is told, in numbers and in pictures."""

from __future__ import annotations

import base64
import dataclasses
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from cnn_jax.evaluation.predict import Estimate, Shares, Told

_LARGEST = 1000
"""Pixels of the longer side of a picture that is sent."""


@dataclass(frozen=True)
class Row:
    """A line of what is told.

    Attributes:
      name: of a class, tag or number.
      value: its probability, share, score or number; None where it is no finite number.
      text: the value in words.
      share: how long its bar is, 0 to 1; None without a bar.
      colour: of the class in a picture, as `#rrggbb`.
      more: further cells.
    """

    name: str
    value: float | None
    text: str
    share: float | None = None
    colour: str | None = None
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """What is told of one example.

    Attributes:
      of: the example.
      columns: what stands in the rows.
      rows: the most probable first.
    """

    of: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Shown:
    """A picture.

    Attributes:
      title: what it is, in words.
      source: itself, as an address that holds it all.
      width: in pixels.
      height: in pixels.
    """

    title: str
    source: str
    width: int
    height: int


@dataclass(frozen=True)
class Answer:
    """What is told of one input.

    Attributes:
      name: of the file; empty of a text.
      tables: one for each example in it.
      pictures: of it.
      words: of a text, each with what it adds to what is told, from -1 to 1.
      notes: what else there is to say, in sentences.
    """

    name: str
    tables: tuple[Table, ...]
    pictures: tuple[Shown, ...] = ()
    words: tuple[tuple[str, float], ...] = ()
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """It as plain values."""
        return dataclasses.asdict(self)


def table_of(told: Told, of: str, colours: Sequence[str] = ()) -> Table:
    """What is told of one example, in the words of `cnn-jax predict`.

    Args:
      told: by the model.
      of: what the example is called.
      colours: of the names, if they have some.
    """
    if isinstance(told, Estimate):
        pairs = zip(told.names, told.numbers, strict=True)
        rows = tuple(Row(name, finite(value), f"{value:.4g}") for name, value in pairs)
        return Table(of, told.WORDS, rows)
    values = told.shares if isinstance(told, Shares) else told.probabilities
    coloured = [*colours, *[None] * (len(values) - len(colours))]
    rows = tuple(
        Row(name, finite(value), f"{value:.2%}", finite(value), colour)
        for name, value, colour in zip(told.classes, values, coloured, strict=True)
    )
    return Table(of, told.WORDS, rows)


def shown(title: str, picture: Image.Image, *, photograph: bool = False) -> Shown:
    """A picture as it is sent, made smaller where it is large.

    Args:
      title: what it is.
      picture: in RGB.
      photograph: send a JPEG, which is smaller; else a PNG.
    """
    if max(picture.size) > _LARGEST:
        picture = picture.copy()
        picture.thumbnail((_LARGEST, _LARGEST))
    file, kind = io.BytesIO(), "jpeg" if photograph else "png"
    picture.save(file, kind.upper(), **({"quality": 90} if photograph else {}))
    held = base64.b64encode(file.getvalue()).decode()
    return Shown(title, f"data:image/{kind};base64,{held}", picture.width, picture.height)


def finite(value: float) -> float | None:
    """A number as JSON has it."""
    return value if math.isfinite(value) else None
