"""Frames of videos on one picture, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from cnn_jax.augment import denormalise
from cnn_jax.data.spec import DataSpec
from cnn_jax.data.video_files import lengths
from cnn_jax.recipe import Recipe
from cnn_jax.report.contact_sheet import contact_sheet
from cnn_jax.tasks.clip_inputs import ClipInputs


def video_sheet(
    videos: np.ndarray,
    titles: Sequence[str],
    spec: DataSpec,
    recipe: Recipe,
    *,
    variants: int = 1,
    seed: int = 0,
) -> Image.Image:
    """Draws the frames that a model is given, a row for each clip, the first frame left.

    Args:
      videos: (n, t, h, w, c) uint8.
      titles: one for each; how many frames it has is added.
      spec: of the data.
      recipe: which frames are taken, and what changes them at random.
      variants: rows of each: as evaluation sees it, and random changes below.
      seed: of the changes.

    Returns:
      A picture in RGB.
    """
    inputs = ClipInputs(recipe, spec)
    mean, std = inputs.normalisation
    none, places = jnp.zeros((len(videos), 1)), jnp.arange(len(videos))

    def as_given(given: jax.Array) -> jax.Array:
        found = inputs.prepared(given)
        return denormalise(found[:, 0] if found.ndim == 6 else found, mean, std)

    def changed(key: jax.Array, given: jax.Array) -> jax.Array:
        batch = inputs.training_batch(key, key, given, none, places, places)
        return denormalise(batch.inputs, mean, std)

    shown = [np.asarray(jax.jit(as_given)(videos))]
    step = jax.jit(changed)
    for variant in range(1, variants):
        key = jax.random.fold_in(jax.random.key(seed), variant)
        shown.append(np.asarray(step(key, jnp.asarray(videos))))
    counts, pictures, named = lengths(videos), [], []
    for place, title in enumerate(titles):
        for row in shown:
            frames = np.round(np.clip(row[place], 0, 1) * 255).astype(np.uint8)
            pictures += list(np.repeat(frames, 3, axis=-1) if frames.shape[-1] == 1 else frames)
            first = f"{title}, {counts[place]} frames" if row is shown[0] else ""
            named += [first] + [""] * (len(frames) - 1)
    return contact_sheet(pictures, named, recipe.video.frames)
