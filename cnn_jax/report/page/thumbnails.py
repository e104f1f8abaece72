"""Inputs of any kind as they stand in a page: small pictures within it, or texts."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image

from cnn_jax.data.video_files import lengths
from cnn_jax.evaluation.mask_pictures import in_colour
from cnn_jax.evaluation.predict_text import windows_of
from cnn_jax.report.series_sheet import series_picture
from cnn_jax.report.sound_sheet import sound_pictures
from cnn_jax.restored import Restored

SIDE = 176
"""Pixels of the longer side of a picture at most, where it is one of many."""
_CRISP = 64
"""Of pictures whose shorter side has fewer pixels these stay visible as squares."""
_FRAMES = 4
_LETTERS = 600


class Picture(NamedTuple):
    """A picture within a page.

    Attributes:
      uri: of its data.
      width: in its own pixels.
      height: in its own pixels.
      alt: what it shows, in words.
      crisp: whether its pixels stay visible where it is enlarged.
    """

    uri: str
    width: int
    height: int
    alt: str
    crisp: bool


class Input(NamedTuple):
    """An input: a picture, or a text.

    Attributes:
      picture: None of a text.
      text: empty of a picture.
    """

    picture: Picture | None
    text: str


def picture_of(pixels: np.ndarray, alt: str, side: int = SIDE) -> Picture:
    """A picture for a page; small ones keep every pixel.

    Args:
      pixels: (h, w, 3) uint8.
      alt: what it shows, in words.
      side: pixels of the longer side at most.
    """
    image = Image.fromarray(np.ascontiguousarray(pixels))
    crisp = min(image.size) < _CRISP and max(image.size) <= side
    if max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    if crisp:
        image.save(file, "PNG", optimize=True)
    else:
        image.save(file, "WEBP", quality=82, method=4)
    kind = "png" if crisp else "webp"
    uri = f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
    return Picture(uri, *image.size, alt, crisp)


def inputs_shown(restored: Restored, inputs: Any, alts: Sequence[str]) -> list[Input]:
    """Raw inputs of a model as they stand in a page.

    Args:
      restored: the model that is given them.
      inputs: raw (n, ...), as the data hold them.
      alts: what each is, in words.
    """
    spec = restored.spec
    if spec.input_kind == "tokens":
        return [Input(None, _cut(text_of(restored, row))) for row in np.asarray(inputs)]
    return [
        Input(picture_of(pixels, alt), "")
        for pixels, alt in zip(_pixels(restored, inputs), alts, strict=True)
    ]


def text_of(restored: Restored, tokens: np.ndarray) -> str:
    """The words of a text that a model is given."""
    return " ".join(words_of(restored, tokens))


def words_of(restored: Restored, tokens: np.ndarray) -> list[str]:
    """The same one by one; what the model does not know is `<unknown>`."""
    known = ("", "<unknown>", *restored.spec.words)
    return [known[token] for token in tokens.tolist() if token]


def decided(restored: Restored, inputs: Any) -> list[tuple[str, ...]]:
    """The windows that speak most for the class that is told of each text; of other inputs none.

    Args:
      restored: the model.
      inputs: raw (n, ...), as the data hold them.
    """
    if restored.spec.input_kind != "tokens":
        return [()] * len(jax.tree.leaves(inputs)[0])
    tokens = np.asarray(inputs)
    windows = windows_of(restored, tokens, [words_of(restored, row) for row in tokens])
    return [tuple(each.words for each in own) for own in windows]


def _cut(text: str) -> str:
    return text if len(text) <= _LETTERS else text[: _LETTERS - 2].rpartition(" ")[0] + " …"


def _pixels(restored: Restored, inputs: Any) -> list[np.ndarray]:
    spec = restored.spec
    if spec.input_kind == "sound":
        if restored.recipe.sound.picture == "none":
            return _curves(np.asarray(inputs, np.float32)[..., None])
        return sound_pictures(np.asarray(inputs), spec, restored.recipe.sound)
    if spec.input_kind == "series":
        series = inputs["series"] if isinstance(inputs, Mapping) else inputs
        return _curves(np.asarray(series, np.float32))
    if spec.input_kind == "clip":
        return [
            _strip(clip[:count], spec.value_range)
            for clip, count in zip(np.asarray(inputs), lengths(np.asarray(inputs)), strict=True)
        ]
    return [in_colour(image, spec.value_range) for image in np.asarray(inputs)]


def _curves(series: np.ndarray) -> list[np.ndarray]:
    low, high = float(np.nanmin(series)), float(np.nanmax(series))
    return [series_picture(each, low, high) for each in series]


def _strip(clip: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Some frames (t, h, w, c) of a video side by side."""
    places = np.unique(np.linspace(0, max(0, len(clip) - 1), _FRAMES).astype(int))
    return np.concatenate([in_colour(clip[place], value_range) for place in places], axis=1)
