"""Series and texts that are given in Python, as a model takes them."""

from __future__ import annotations

import os
from typing import Any

import jax
import numpy as np

from cnn_jax.errors import UserError
from cnn_jax.evaluation.as_taken import of_length
from cnn_jax.evaluation.predict_text import tokens_of
from cnn_jax.evaluation.series_to_tell import rows_of
from cnn_jax.restored import Restored
from cnn_jax.user_path import user_path


def raw_texts(restored: Restored, given: Any) -> tuple[np.ndarray, list[str], bool]:
    """Texts as words (n, t), their names, and whether it is a single one.

    Raises:
      UserError: they are no texts.
    """
    single = isinstance(given, str)
    texts = [given] if single else list(given) if isinstance(given, list | tuple) else []
    if not texts or not all(isinstance(each, str) for each in texts):
        raise UserError("the model was trained on texts: give one, or a list of them")
    return tokens_of(restored, texts), texts, single


def raw_series(restored: Restored, given: Any) -> tuple[np.ndarray, list[str], bool]:
    """Series (n, t, c), not a number after their ends, their names, and whether it is a single one.

    Args:
      restored: the model.
      given: an array (t,), (t, c) or (n, t, c), a list of arrays (t,) or (t, c) of any lengths, or
        a file.

    Raises:
      UserError: they are no series, or other than those that the model was trained on.
    """
    if isinstance(given, str | os.PathLike):
        names, series = rows_of(user_path(given), restored.spec, restored.recipe.data)
        return series, names, False
    single = isinstance(given, np.ndarray | jax.Array) and np.ndim(given) < 3
    arrays = [np.asarray(each) for each in ([given] if single else given)]
    shaped = [each[:, None] if each.ndim == 1 else each for each in arrays]
    if not shaped or any(each.ndim != 2 or each.dtype.kind not in "iuf" for each in shaped):
        raise UserError(
            "the model was trained on series: give an array of numbers (times,), (times, channels) "
            "or (n, times, channels), a list of such, or a file"
        )
    if any(np.isinf(each).any() for each in shaped):
        raise UserError("the series hold infinite values; leave these out, or write NaN at an end")
    whole = [of_length(each[None].astype(np.float32), restored.spec.image_shape) for each in shaped]
    return np.concatenate(whole), [str(place) for place in range(len(whole))], single
