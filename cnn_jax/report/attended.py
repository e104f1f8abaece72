"""Maps of what speaks for a class, drawn over the inputs that they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from cnn_jax.inside.attention import scaled
from cnn_jax.inside.examples import as_seen
from cnn_jax.report.attention_sheet import attention_sheet, series_attention
from cnn_jax.trained import TrainedModel


def attended_images(
    trained: TrainedModel, inputs: Any, titles: Sequence[str], maps: Mapping[str, np.ndarray]
) -> Image.Image:
    """Draws images, and each with its maps over it.

    Args:
      trained: the model.
      inputs: (n, h, w, c) as the net takes them.
      titles: of each.
      maps: (n, h', w') as of `cnn_jax.inside.attention.Maps`, by how they were made.
    """
    large = {name: scaled(each, inputs.shape[1:3]) for name, each in maps.items()}
    return attention_sheet(as_seen(trained, inputs), titles, large)


def attended_sounds(
    inputs: Any, titles: Sequence[str], maps: Mapping[str, np.ndarray]
) -> Image.Image:
    """Draws windows of sounds, as curves or with time to the right and high bands on top.

    Args:
      inputs: (n, t) or (n, t, bands, c) as the net takes them.
      titles: of each.
      maps: as of `attended_images`; over curves the first.
    """
    if inputs.ndim == 2:
        shown, along = sound_curves(inputs, next(iter(maps.values())))
        return series_attention(shown, titles, along)
    pictures, turned = upright(inputs, maps)
    return attention_sheet(pictures, titles, turned, across=1, side=64)


def attended_series(
    inputs: Mapping[str, Any], titles: Sequence[str], made: np.ndarray
) -> Image.Image:
    """Draws series as curves over a map.

    Args:
      inputs: `series` (n, t, c) and `there` (n, t) as the net takes them.
      titles: of each.
      made: a map (n, t').
    """
    shown, along = series_curves(inputs, made)
    return series_attention(shown, titles, along)


def upright(
    inputs: Any, maps: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Log-mel pictures and their maps with time to the right and high bands on top.

    Args:
      inputs: (n, t, bands, c) as the net takes them.
      maps: (n, t', bands') each.

    Returns:
      (n, bands, t, 1) from 0 to 1, and (n, bands, t) by the names of the maps.
    """
    pictures = np.asarray(inputs[..., :1], np.float32)
    low, high = (pictures.min((1, 2, 3), keepdims=True), pictures.max((1, 2, 3), keepdims=True))
    shown = (pictures - low) / np.where(high > low, high - low, 1)
    turned = {
        name: scaled(each, pictures.shape[1:3]).transpose(0, 2, 1)[:, ::-1]
        for name, each in maps.items()
    }
    return shown.transpose(0, 2, 1, 3)[:, ::-1], turned


def sound_curves(inputs: Any, made: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sounds (n, t) as curves (n, t, 1), and their map (n, t') at every place, (n, t)."""
    return np.asarray(inputs)[..., None], _along(made, inputs.shape[1])


def series_curves(inputs: Mapping[str, Any], made: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Series as curves (n, t, c), nan beyond their ends, and their map at every place, (n, t).

    Args:
      inputs: `series` (n, t, c) and `there` (n, t) as the net takes them.
      made: a map (n, t').
    """
    series, there = (np.asarray(inputs[name]) for name in ("series", "there"))
    return np.where(there[..., None] > 0, series, np.nan), _along(made, series.shape[1]) * there


def attended_words(
    trained: TrainedModel, tokens: np.ndarray, made: np.ndarray
) -> tuple[list[list[str]], np.ndarray]:
    """The words of texts, and what each adds to a class.

    Args:
      trained: the model.
      tokens: (n, t) as the net takes them.
      made: a map (n, t').

    Returns:
      The words of each, and (n, t) from -1 to 1.
    """
    along = _along(made, tokens.shape[1])
    known = ("", "<unknown>", *trained.spec.words)
    return [[known[word] for word in row if word] for row in tokens.tolist()], along


def _along(made: np.ndarray, length: int) -> np.ndarray:
    return scaled(made.reshape(len(made), -1), (length,))
