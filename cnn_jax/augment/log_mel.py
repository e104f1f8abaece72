"""Pictures of sounds: the power in bands of the mel scale over time, as librosa computes it."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from cnn_jax.errors import UserError

_LEAST = 1e-10
"""Power that is taken for silence, -100 dB."""
_DELTA_WIDTH = 9


def power_spectrum(waves: jax.Array, fft: int, hop: int) -> jax.Array:
    """The power of each frequency in each frame: (b, t) -> (b, 1 + t // hop, 1 + fft // 2).

    Frames are centred on the multiples of `hop`, with zeros before the first and after the last
    sample, and are weighted by a periodic Hann window.

    Args:
      waves: (b, t) float32.
      fft: samples of a frame, even.
      hop: samples from one frame to the next.
    """
    batch, time = waves.shape
    frames, pieces = 1 + time // hop, -(-fft // hop)
    # Pieces of `hop` samples, of which each frame is some that follow one another: cheaper than
    # reading every sample by its place.
    whole = (frames - 1 + pieces) * hop
    before = fft // 2
    padded = jnp.pad(waves, ((0, 0), (before, max(0, whole - time - before))))[:, :whole]
    blocks = padded.reshape(batch, frames - 1 + pieces, hop)
    framed = jnp.concatenate([blocks[:, i : i + frames] for i in range(pieces)], axis=-1)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(fft) / fft)
    spectrum = jnp.fft.rfft(framed[..., :fft] * jnp.asarray(window, jnp.float32), axis=-1)
    return jnp.square(spectrum.real) + jnp.square(spectrum.imag)


def mel_filters(
    rate: int, fft: int, bands: int, low: float = 0.0, high: float | None = None
) -> np.ndarray:
    """Triangles of equal area over frequencies, evenly spread on Slaney's mel scale.

    The scale is linear up to 1,000 Hz and logarithmic above (Slaney, Auditory Toolbox, 1998).

    Args:
      rate: samples a second.
      fft: samples of a frame.
      bands: how many there are.
      low: Hertz where the lowest begins.
      high: Hertz where the highest ends, by default half of the rate.

    Returns:
      (bands, 1 + fft // 2) float32.

    Raises:
      UserError: a band would hold no frequency.
    """
    high = rate / 2 if high is None else high
    edges = _hertz(np.linspace(_mel(low), _mel(high), bands + 2))
    frequencies = np.fft.rfftfreq(fft, 1 / rate)
    rising = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    if empty := int(np.sum(~filters.any(axis=1))):
        raise UserError(
            f"--sound.bands {bands}: {empty} of the bands from {low:g} to {high:g} Hz hold none of "
            f"the frequencies of frames of {fft} samples at {rate:,} a second; give fewer bands, "
            "a larger --sound.fft or a higher --sound.low"
        )
    return filters.astype(np.float32)


_LINEAR = 3 / 200
"""Mel a Hertz below the break."""
_BREAK, _STEP = 1000.0, math.log(6.4) / 27


def _mel(hertz: float) -> float:
    if hertz < _BREAK:
        return hertz * _LINEAR
    return _BREAK * _LINEAR + math.log(hertz / _BREAK) / _STEP


def _hertz(mel: np.ndarray) -> np.ndarray:
    above = _BREAK * np.exp(_STEP * (mel - _BREAK * _LINEAR))
    return np.where(mel < _BREAK * _LINEAR, mel / _LINEAR, above)


def decibels(power: jax.Array, floor: float | None = None) -> jax.Array:
    """Power (b, ...) in decibels, float32.

    Args:
      power: not below zero.
      floor: what is more than so many below the greatest of an example is raised to that; None
        for nothing.
    """
    found = 10 / math.log(10) * jnp.log(jnp.maximum(power, _LEAST))
    if floor is None:
        return found
    axes = tuple(range(1, power.ndim))
    return jnp.maximum(found, jnp.max(found, axis=axes, keepdims=True) - floor)


def log_mel(
    waves: jax.Array, fft: int, hop: int, filters: np.ndarray, floor: float | None = None
) -> jax.Array:
    """Pictures of sounds in decibels: (b, t) float32 -> (b, 1 + t // hop, bands).

    Args:
      waves: see `power_spectrum`, and so `fft` and `hop`.
      fft: of a frame.
      hop: between frames.
      filters: (bands, 1 + fft // 2), of `mel_filters`.
      floor: see `decibels`.
    """
    power = power_spectrum(waves, fft, hop)
    # All bits of the sums: a processor that computes in fewer by default would change pictures.
    bands = jnp.matmul(power, jnp.asarray(filters).T, precision=jax.lax.Precision.HIGHEST)
    return decibels(bands, floor)


def deltas(pictures: jax.Array) -> jax.Array:
    """How fast values change: slopes of lines through nine frames, (b, f, m) -> (b, f, m).

    At either end it is the slope of the first or the last nine. There must be as many.
    """
    half = _DELTA_WIDTH // 2
    count = pictures.shape[1] - 2 * half
    scale = sum(step * step for step in range(-half, half + 1))
    inner = sum(
        (step / scale) * pictures[:, half + step : half + step + count]
        for step in range(-half, half + 1)
    )
    return jnp.pad(jnp.asarray(inner), ((0, 0), (half, half), (0, 0)), mode="edge")
