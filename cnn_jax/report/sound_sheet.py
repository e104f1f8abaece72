"""Pictures of sounds on one picture, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from cnn_jax.data.sound_files import lengths
from cnn_jax.data.spec import DataSpec
from cnn_jax.recipe import Recipe, Sound
from cnn_jax.report.contact_sheet import contact_sheet
from cnn_jax.report.heat import heat
from cnn_jax.tasks.sound_inputs import SoundInputs


def sound_sheet(
    sounds: np.ndarray,
    titles: Sequence[str],
    spec: DataSpec,
    config: Sound,
    *,
    variants: int = 1,
    seed: int = 0,
    columns: int = 4,
) -> Image.Image:
    """Draws log-mel pictures of sounds, time to the right and high bands on top.

    Args:
      sounds: (n, t) int16.
      titles: one for each; its seconds are added.
      spec: of the data.
      config: how pictures are made, and what changes them at random.
      variants: of each: the sound as evaluation sees it, and random changes beside it, in a row.
      seed: of the changes.
      columns: pictures in a row where there is one of each.

    Returns:
      A picture in RGB.
    """
    inputs = SoundInputs(Recipe("sheet", sound=config), spec)
    inputs.check_pictures()
    shown = [_first_window(inputs, sounds)]
    none, places = jnp.zeros((len(sounds), 1)), jnp.arange(len(sounds))

    @jax.jit
    def changed(key: jax.Array, given: jax.Array) -> jax.Array:
        return inputs.training_batch(key, key, given, none, places, places).inputs

    for variant in range(1, variants):
        key = jax.random.fold_in(jax.random.key(seed), variant)
        shown.append(np.asarray(changed(key, jnp.asarray(sounds))))
    seconds = lengths(sounds) / spec.rate
    pictures, named = [], []
    for place, title in enumerate(titles):
        for each in shown:
            pictures.append(_coloured(each[place, ..., 0]))
            named.append(f"{title} {seconds[place]:.1f} s" if each is shown[0] else "")
    return contact_sheet(pictures, named, variants if variants > 1 else columns)


def sound_pictures(sounds: np.ndarray, spec: DataSpec, config: Sound) -> list[np.ndarray]:
    """The log-mel picture (bands, frames, 3) uint8 of each sound, of a long one its first window.

    Args:
      sounds: (n, samples) int16.
      spec: of the data.
      config: how pictures are made.

    Raises:
      UserError: no picture can be made so.
    """
    inputs = SoundInputs(Recipe("sheet", sound=config), spec)
    inputs.check_pictures()
    return [_coloured(each[..., 0]) for each in _first_window(inputs, sounds)]


def _first_window(inputs: SoundInputs, sounds: np.ndarray) -> np.ndarray:
    found = jax.jit(lambda given: inputs.prepared(given))(sounds)
    return np.asarray(found["windows"][:, 0] if isinstance(found, dict) else found)


def _coloured(picture: np.ndarray) -> np.ndarray:
    """Values (frames, bands) as a picture (bands, frames, 3) uint8."""
    low, high = float(picture.min()), float(picture.max())
    return heat((picture.T[::-1] - low) / ((high - low) or 1.0))
