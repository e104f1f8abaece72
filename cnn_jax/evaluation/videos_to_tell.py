"""A user's own videos as a model takes them, whatever is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cnn_jax.data.files_below import below
from cnn_jax.data.images import UnreadableImage
from cnn_jax.data.labelled_files import read_each
from cnn_jax.data.spec import DataSpec
from cnn_jax.data.video_files import SUFFIXES, frames_in, padded, read_video
from cnn_jax.recipe import Recipe


def videos_among(words: Sequence[Path]) -> list[Path]:
    """The videos that words stand for: folders of frames are one each, others are searched."""
    found: list[Path] = []
    for word in words:
        if not word.is_dir() or frames_in(word):
            found.append(word)
            continue
        found += [
            each
            for each in below(word)
            if (frames_in(each) if each.is_dir() else each.suffix.lower() in SUFFIXES)
        ] or [word]
    return found


def videos_of(
    recipe: Recipe, files: Sequence[Path], spec: DataSpec
) -> tuple[list[str], np.ndarray, list[UnreadableImage]]:
    """The names of videos and their frames (n, t, h, w, c) uint8, and those that cannot be read.

    Args:
      recipe: of the model, which says how many frames are held.
      files: of any length and size, or folders of frames.
      spec: of the data that the model was trained on, to whose size they are brought.
    """
    height, width = spec.image_shape[1:3]
    good, videos, bad = read_each(
        files, lambda file: read_video(file, (height, width), recipe.data.frames).frames
    )
    if not videos:
        return [], np.zeros((0, *spec.image_shape), np.uint8), bad
    names = [str(files[place]) for place in good]
    longest = max(spec.image_shape[0], *map(len, videos))
    return names, in_channels_of(padded(videos, longest), spec), bad


def in_channels_of(videos: np.ndarray, spec: DataSpec) -> np.ndarray:
    """Videos of three channels as those of the data, which may be grey."""
    if spec.image_shape[-1] == videos.shape[-1]:
        return videos
    grey = videos @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.rint(grey)[..., None].astype(np.uint8)


def for_frames(spec: DataSpec, count: int) -> DataSpec:
    """Facts of a model for videos that are held as so many frames."""
    return spec.of_shape((count, *spec.image_shape[1:]))
