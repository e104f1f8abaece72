"""Which frames of a video are taken."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from cnn_jax.recipe import Video


def frame_counts(videos: jax.Array) -> jax.Array:
    """How many frames videos (b, t, h, w, c) uint8 have before their ends, (b,) int32.

    As `cnn_jax.data.video_files.lengths`.
    """
    there = jnp.any(videos > 0, axis=(2, 3, 4))
    last = videos.shape[1] - jnp.argmax(there[:, ::-1], axis=1)
    return jnp.where(jnp.any(there, axis=1), last, 1).astype(jnp.int32)


def random_places(key: jax.Array, counts: jax.Array, config: Video) -> jax.Array:
    """The places (b, frames) int32 of frames to learn from.

    Args:
      key: of the step.
      counts: (b,) int32, how many frames there are.
      config: which are taken.
    """
    if config.sampling == "segments":
        return _in_segments(jax.random.uniform(key, (len(counts), config.frames)), counts, config)
    start = jnp.floor(jax.random.uniform(key, counts.shape) * (1 + _room(counts, config)))
    return _from(start.astype(jnp.int32), counts, config)


def fixed_places(counts: jax.Array, config: Video) -> jax.Array:
    """The places (b, clips, frames) int32 of frames to judge by.

    One clip is taken in the middle of the segments, or of the video; several evenly over them.

    Args:
      counts: (b,) int32, how many frames there are.
      config: which are taken.
    """
    found = []
    for place in range(config.clips):
        if config.sampling == "segments":
            within = jnp.full((len(counts), config.frames), (place + 0.5) / config.clips)
            found.append(_in_segments(within, counts, config))
        else:
            part = place / (config.clips - 1) if config.clips > 1 else 0.5
            start = jnp.round(part * _room(counts, config)).astype(jnp.int32)
            found.append(_from(start, counts, config))
    return jnp.stack(found, axis=1)


def taken(videos: jax.Array, places: jax.Array) -> jax.Array:
    """Frames of videos (b, t, h, w, c) at places (b, f), (b, f, h, w, c)."""
    return jax.vmap(lambda video, at: video[at])(videos, places)


def _in_segments(within: jax.Array, counts: jax.Array, config: Video) -> jax.Array:
    """A frame of each segment, the part `within` (b, f) of the way through it, from 0 to below 1.

    Of a video of fewer frames each is taken in its order, again and again.
    """
    each = jnp.arange(config.frames)
    count = counts[:, None]
    place = jnp.floor((each + within) * count / config.frames).astype(jnp.int32)
    return jnp.where(count <= config.frames, each % count, jnp.minimum(place, count - 1))


def _room(counts: jax.Array, config: Video) -> jax.Array:
    """How many frames later than the first the first that is taken may be."""
    return jnp.maximum(counts - ((config.frames - 1) * config.step + 1), 0)


def _from(start: jax.Array, counts: jax.Array, config: Video) -> jax.Array:
    return (start[:, None] + config.step * jnp.arange(config.frames)) % counts[:, None]
