"""Sounds as what a model is given: windows of samples, or pictures of these."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from cnn_jax.augment import mixing, sounds
from cnn_jax.augment.log_mel import deltas, log_mel, mel_filters
from cnn_jax.augment.streams import Stream
from cnn_jax.batch import Batch
from cnn_jax.errors import UserError
from cnn_jax.tasks.contract import Apply
from cnn_jax.tasks.inputs import Inputs

_NINE = 9
"""Frames that slopes are taken over."""


class SoundInputs(Inputs):
    """Sounds (b, t) int16, which may end before t; see `Inputs`.

    A model is given samples (b, window) float32, or pictures (b, frames, bands, 1 or 2) float32.
    Where sounds are longer than a window, evaluation has `windows` (b, n, ...) of these and `there`
    (b, n), 1 for those of the sound itself.
    """

    KIND = "sound"

    @property
    def model_kind(self) -> str:
        """See `Inputs`: nets for images are given pictures."""
        return "sound" if self.recipe.sound.picture == "none" else "image"

    @property
    def size(self) -> int:
        """Samples of a window."""
        given = self.recipe.sound.window
        return self.spec.image_shape[0] if given is None else round(given * self.spec.rate)

    def check(self, model: nn.Module) -> None:
        """See `Inputs`."""
        self.check_kinds()
        config, rate = self.recipe.sound, self.spec.rate
        for name in ("shift", "gain", "stretch", "time_masks", "band_masks"):
            if getattr(config, name) < 0:
                flag = name.replace("_", "-")
                raise UserError(f"--sound.{flag} {getattr(config, name)} must not be negative")
        for name in ("fft", "hop", "bands", "time_width", "band_width", "floor"):
            if getattr(config, name) <= 0:
                flag = name.replace("_", "-")
                raise UserError(f"--sound.{flag} {getattr(config, name)} must be above zero")
        if self.size < 2:
            raise UserError(
                f"--sound.window {config.window} is {self.size} samples at {rate:,} a second; it "
                "must be at least 2"
            )
        if not 0 <= config.overlap < 1:
            raise UserError(f"--sound.overlap {config.overlap} must be from 0 to below 1")
        if config.between_class and [each.kind for each in self.spec.targets.values()] != ["class"]:
            raise UserError("--sound.between-class is for classes; mix others by --augment.mixup")
        if config.picture == "log_mel":
            self.check_pictures()
        elif config.deltas or config.time_masks or config.band_masks:
            raise UserError(
                "--sound.deltas, --sound.time-masks and --sound.band-masks are of pictures; leave "
                "them out, or --sound.picture none"
            )

    def check_pictures(self) -> None:
        """Checks how pictures are to be made.

        Raises:
          UserError: they cannot be made so.
        """
        config, rate = self.recipe.sound, self.spec.rate
        high = rate / 2 if config.high is None else config.high
        if config.fft % 2:
            raise UserError(f"--sound.fft {config.fft} must be even")
        if not 0 <= config.low < high <= rate / 2:
            raise UserError(
                f"--sound.low {config.low:g} and --sound.high {high:g}: bands must rise from 0 Hz "
                f"or above to at most {rate / 2:g}, half of the {rate:,} samples a second"
            )
        frames = 1 + self.size // config.hop
        if config.deltas and frames < _NINE:
            raise UserError(
                f"--sound.deltas take {_NINE} frames, and a window has {frames}; give a longer "
                "--sound.window or a smaller --sound.hop"
            )
        self._filters  # noqa: B018 - which refuses bands that hold nothing

    @functools.cached_property
    def _filters(self) -> np.ndarray:
        config = self.recipe.sound
        return mel_filters(self.spec.rate, config.fft, config.bands, config.low, config.high)

    def example(self, *, evaluation: bool = False) -> jax.ShapeDtypeStruct:
        """See `Inputs`: a window of samples (t,), or a picture (frames, bands, 1 or 2)."""
        config = self.recipe.sound
        if config.picture == "none":
            return jax.ShapeDtypeStruct((self.size,), jnp.float32)
        frames = 1 + self.size // config.hop
        return jax.ShapeDtypeStruct((frames, config.bands, 1 + config.deltas), jnp.float32)

    def prepared(self, inputs: jax.Array) -> Any:
        """See `Inputs`: the windows that cover a sound."""
        waves, lengths = sounds.as_waves(inputs)
        hop = max(1, round(self.size * (1 - self.recipe.sound.overlap)))
        count = 1 + -(-max(0, waves.shape[1] - self.size) // hop)
        starts, known = sounds.window_starts(lengths, self.size, hop, count)
        cut, there = sounds.windows(waves, lengths, starts, self.size)
        shape = len(waves) * count, self.size
        found = self._shown(cut.reshape(shape), there.reshape(shape))
        if count == 1:
            return found
        return {
            "windows": found.reshape(len(waves), count, *found.shape[1:]),
            "there": known.astype(jnp.float32),
        }

    def training_batch(
        self,
        key: jax.Array,
        run_key: jax.Array,
        inputs: jax.Array,
        targets: Any,
        epochs: jax.Array,
        indices: jax.Array,
    ) -> Batch:
        """See `Inputs`: a window of each, changed at random."""
        config, mixup = self.recipe.sound, self.recipe.augment.mixup

        def stream(name: Stream) -> jax.Array:
            return jax.random.fold_in(key, name)

        waves, lengths = sounds.as_waves(inputs)
        cut, there = sounds.taken_part(key, waves, lengths, self.size, config, self.spec.rate)
        if config.between_class:
            between = stream(Stream.BETWEEN_CLASS)
            cut, targets = sounds.mixed_between_classes(between, cut, targets)
            there = jnp.ones_like(there)
        found = self._shown(cut, there)
        if config.time_masks:
            drawn = stream(Stream.TIME_MASKS)
            found = sounds.masked(drawn, found, 1, config.time_masks, config.time_width)
        if config.band_masks:
            drawn = stream(Stream.BAND_MASKS)
            found = sounds.masked(drawn, found, 2, config.band_masks, config.band_width)
        if mixup:
            found, targets = mixing.mixup(stream(Stream.MIXUP), found, targets, mixup)
        return Batch(found, targets, jnp.ones(len(found), jnp.float32))

    def _shown(self, waves: jax.Array, there: jax.Array) -> jax.Array:
        """What a model is given of windows (n, t), of which (n, t) is sound."""
        config = self.recipe.sound
        if config.picture == "none":
            if config.standardise == "none":
                return waves
            return _standardised(waves, there, axes=(1,))
        pictures = log_mel(waves, config.fft, config.hop, self._filters, config.floor)
        channels = [pictures, deltas(pictures)] if config.deltas else [pictures]
        found = jnp.stack(channels, axis=-1)
        if config.standardise == "none":
            return found
        frames = there[:, :: config.hop]
        if (missing := found.shape[1] - frames.shape[1]) > 0:
            frames = jnp.concatenate([frames, frames[:, -1:].repeat(missing, 1)], axis=1)
        axes = (1,) if config.standardise == "bands" else (1, 2)
        return _standardised(found, frames[:, :, None, None], axes)

    def infer(self, apply: Apply, inputs: Any) -> Any:
        """See `Inputs`: outputs averaged over the windows of each sound."""
        if not isinstance(inputs, Mapping):
            return apply(inputs)
        cut, there = inputs["windows"], inputs["there"]
        batch, count = there.shape
        outputs = apply(cut.reshape(batch * count, *cut.shape[2:]))

        def averaged(leaf: jax.Array) -> jax.Array:
            leaf = leaf.reshape(batch, count, *leaf.shape[1:])
            weights = there.reshape(batch, count, *[1] * (leaf.ndim - 2))
            return jnp.sum(jnp.where(weights > 0, leaf, 0.0), 1) / jnp.sum(weights, 1)

        return jax.tree.map(averaged, outputs)


def _standardised(values: jax.Array, there: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """Values less their mean, in their deviations, over axes and what is there; zero elsewhere."""
    weights = jnp.broadcast_to(there, values.shape).astype(jnp.float32)
    count = jnp.maximum(jnp.sum(weights, axes, keepdims=True), 1.0)
    mean = jnp.sum(weights * values, axes, keepdims=True) / count
    apart = weights * (values - mean)
    std = jnp.sqrt(jnp.sum(jnp.square(apart), axes, keepdims=True) / count)
    # Silence stands still, but for the rounding of its mean.
    still = std <= 1e-5 * jnp.maximum(jnp.abs(mean), 1e-5)
    return jnp.where(still, 0.0, apart / jnp.where(still, 1.0, std))
