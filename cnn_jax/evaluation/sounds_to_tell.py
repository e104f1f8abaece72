"""A user's own sounds as a model takes them, whatever is told of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cnn_jax.data.images import UnreadableImage
from cnn_jax.data.labelled_files import read_each
from cnn_jax.data.sound_files import SUFFIXES, at_least, padded, read_sound
from cnn_jax.data.spec import DataSpec
from cnn_jax.recipe import Recipe


def is_sound(path: Path) -> bool:
    """Whether a file is called as sounds are."""
    return path.suffix.lower() in SUFFIXES


def sounds_of(
    files: Sequence[Path], spec: DataSpec
) -> tuple[list[str], np.ndarray, list[UnreadableImage]]:
    """The names of files and their sounds (n, t) int16, and those that cannot be read.

    Args:
      files: of any length and rate.
      spec: of the data that the model was trained on, whose rate they are brought to.
    """
    good, sounds, bad = read_each(files, lambda file: read_sound(file, spec.rate).samples)
    longest = max([0, *map(len, sounds)])
    names = [str(files[place]) for place in good]
    return names, at_least(padded(sounds, longest), spec.image_shape[0]), bad


def for_length(recipe: Recipe, spec: DataSpec, length: int) -> tuple[Recipe, DataSpec]:
    """Recipe and facts of a model for sounds of up to so many samples, in windows as it learnt.

    Args:
      recipe: of the model.
      spec: of the data that it was trained on.
      length: of the longest sound.
    """
    if length == spec.image_shape[0]:
        return recipe, spec
    window = recipe.sound.window or spec.image_shape[0] / spec.rate
    sound = dataclasses.replace(recipe.sound, window=window)
    return dataclasses.replace(recipe, sound=sound), spec.of_shape((length,))
