"""Changes of sounds: which part is taken, and what is done to it at random."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from cnn_jax.augment.streams import Stream
from cnn_jax.data.sound_files import END
from cnn_jax.recipe import Sound

_LOUDNESS = 10
"""A window is as loud as the loudest of so many equal parts of it."""


def as_waves(sounds: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Samples (b, t) int16 as float32 of -1 to 1, zero after the ends, and the lengths (b,)."""
    there = sounds != END
    waves = jnp.where(there, sounds.astype(jnp.float32) / 2**15, 0.0)
    return waves, jnp.sum(there, axis=1, dtype=jnp.int32)


def taken_part(
    key: jax.Array,
    waves: jax.Array,
    lengths: jax.Array,
    size: int,
    config: Sound,
    rate: int,
) -> tuple[jax.Array, jax.Array]:
    """A window of each sound at a random place, perhaps shifted, played faster, or louder.

    A sound that is longer than the window is read from a random place; a shorter one from its
    begin, and followed by silence. Where it is played faster samples are read between others, on
    the line from one to the next.

    Args:
      key: of the step.
      waves: (b, t) float32, zero after the ends.
      lengths: (b,) int32.
      size: samples of a window.
      config: how much is changed.
      rate: samples a second.

    Returns:
      Windows (b, size) float32, and which of their samples are of the sound, (b, size) bool.
    """

    def uniform(name: Stream, low: float = 0.0, high: float = 1.0) -> jax.Array:
        drawn = jax.random.fold_in(key, name)
        return jax.random.uniform(drawn, (len(waves),), minval=low, maxval=high)

    ends = lengths.astype(jnp.float32)
    speed = jnp.ones(len(waves))
    if config.stretch:
        most = jnp.log(1 + config.stretch)
        speed = jnp.exp(uniform(Stream.STRETCH, -1, 1) * most)
    room = jnp.maximum(ends - size * speed, 0.0)
    start = jnp.floor(uniform(Stream.CUT) * (room + 1)) if waves.shape[1] > size else room * 0
    if config.shift:
        start -= jnp.round(uniform(Stream.SHIFT, -config.shift, config.shift) * rate)
    places = start[:, None] + speed[:, None] * jnp.arange(size)
    there = (places >= 0) & (places <= ends[:, None] - 1)
    whole = jnp.clip(jnp.floor(places), 0, waves.shape[1] - 1).astype(jnp.int32)
    found = jnp.take_along_axis(waves, whole, axis=1)
    if config.stretch:
        part = places - jnp.floor(places)
        after = jnp.minimum(whole + 1, waves.shape[1] - 1)
        found += part * (jnp.take_along_axis(waves, after, axis=1) - found)
    if config.gain:
        found *= 10 ** (uniform(Stream.GAIN, -config.gain, config.gain) / 20)[:, None]
    return jnp.where(there, found, 0.0), there


def window_starts(lengths: jax.Array, size: int, hop: int, count: int) -> tuple[Any, Any]:
    """Where the windows of sounds begin that cover each evenly from its begin to its end.

    Args:
      lengths: (b,) int32.
      size: samples of a window.
      hop: by how many samples windows lie apart at most.
      count: of windows of the longest sound.

    Returns:
      (b, count) int32, and which of them (b, count) bool are windows of the sound: one at least.
    """
    room = jnp.maximum(lengths - size, 0)
    needed = 1 + -(-room // hop)
    place = jnp.arange(count)
    share = place / jnp.maximum(needed - 1, 1)[:, None]
    starts = jnp.round(room[:, None] * jnp.minimum(share, 1.0)).astype(jnp.int32)
    return starts, place < needed[:, None]


def windows(waves: jax.Array, lengths: jax.Array, starts: jax.Array, size: int) -> Any:
    """The windows (b, n, size) of waves (b, t) that begin at (b, n), and what of them is sound.

    Beyond the end of a sound they are zero.
    """
    padded = jnp.pad(waves, ((0, 0), (0, max(0, size - waves.shape[1]))))

    def of_one(wave: jax.Array, places: jax.Array) -> jax.Array:
        return jax.vmap(lambda place: jax.lax.dynamic_slice(wave, (place,), (size,)))(places)

    there = starts[..., None] + jnp.arange(size) < lengths[:, None, None]
    return jnp.where(there, jax.vmap(of_one)(padded, starts), 0.0), there


def mixed_between_classes(key: jax.Array, waves: jax.Array, targets: Any) -> tuple[jax.Array, Any]:
    """Sums of each sound and one of another class (https://arxiv.org/abs/1711.10282, section 3).

    The share r is uniform for each. Sounds of loudness G1 and G2 in decibels are weighted by p and
    1 - p with p = 1 / (1 + 10^((G1 - G2) / 20) (1 - r) / r), and the sum is as loud as one of
    them. Loudness is that of the loudest tenth, not weighted by frequency as in the paper.

    Args:
      key: a PRNG key.
      waves: (b, t) float32.
      targets: a tree of arrays (b, ...) float32, such as the probability of each class.

    Returns:
      Waves and targets of the same shapes. A batch of one class is mixed within it.
    """
    batch = len(waves)
    share_key, partner_key = jax.random.split(key)
    flat = jnp.concatenate([leaf.reshape(batch, -1) for leaf in jax.tree.leaves(targets)], axis=1)
    same = jnp.all(flat[:, None] == flat[None], axis=-1)
    drawn = jax.random.uniform(partner_key, (batch, batch))
    partner = jnp.argmax(jnp.where(same, -1.0, drawn), axis=1)
    share = jax.random.uniform(share_key, (batch,), minval=1e-3, maxval=1.0)
    parts = jnp.array_split(waves, min(_LOUDNESS, waves.shape[1]), axis=1)
    power = jnp.stack([jnp.mean(jnp.square(part), axis=1) for part in parts]).max(0)
    loudness = 10 * jnp.log10(jnp.maximum(power, 1e-10))
    ratio = 10 ** ((loudness - loudness[partner]) / 20) * (1 - share) / share
    own = (1 / (1 + ratio))[:, None]
    mixed = (own * waves + (1 - own) * waves[partner]) / jnp.sqrt(own**2 + (1 - own) ** 2)

    def blended(leaf: jax.Array) -> jax.Array:
        part = share.reshape(-1, *[1] * (leaf.ndim - 1))
        return part * leaf + (1 - part) * leaf[partner]

    return mixed, jax.tree.map(blended, targets)


def masked(key: jax.Array, pictures: jax.Array, axis: int, count: int, width: int) -> jax.Array:
    """Blanks stripes of pictures (https://arxiv.org/abs/1904.08779): (b, f, m, c) -> the same.

    The width of each stripe is uniform from 0 to `width`, and its place where it is whole.

    Args:
      key: a PRNG key.
      pictures: normalised, so that zero is their mean.
      axis: 1 for stripes of time, 2 for stripes of bands.
      count: how many stripes.
      width: frames or bands that one covers at most.
    """
    batch, side = len(pictures), pictures.shape[axis]
    width_key, place_key = jax.random.split(key)
    widths = jax.random.randint(width_key, (batch, count), 0, min(width, side) + 1)
    starts = jax.random.randint(place_key, (batch, count), 0, side - widths + 1)
    place = jnp.arange(side)
    blank = (place >= starts[..., None]) & (place < (starts + widths)[..., None])
    shape = [batch, 1, 1, 1]
    shape[axis] = side
    return jnp.where(blank.any(axis=1).reshape(shape), 0.0, pictures)
