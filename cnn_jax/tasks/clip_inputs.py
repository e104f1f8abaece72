"""Videos as what a model is given: some of their frames."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnn_jax import augment
from cnn_jax.augment import change_size, clips, output_shape, preprocess
from cnn_jax.augment.pipeline import mixed, moved_images, recoloured
from cnn_jax.augment.streams import Stream
from cnn_jax.batch import Batch
from cnn_jax.errors import UserError
from cnn_jax.tasks.contract import Apply
from cnn_jax.tasks.image_inputs import ImageInputs


class ClipInputs(ImageInputs):
    """Videos (b, t, h, w, c) uint8, which may end before t; see `Inputs`.

    A model is given clips (b, frames, h, w, c) float32, normalised channel by channel. Where
    several are taken of each video, evaluation has (b, clips, frames, h, w, c).
    """

    KIND = "clip"

    def check(self, model: nn.Module) -> None:
        """See `Inputs`."""
        self.check_kinds()
        self.deviations()
        config = self.recipe.video
        for name in ("frames", "step", "clips"):
            if getattr(config, name) < 1:
                raise UserError(f"--video.{name} {getattr(config, name)} must be at least 1")
        if config.step > 1 and config.sampling == "segments":
            raise UserError(
                f"--video.step {config.step} is for --video.sampling dense; segments are as long "
                "as the video makes them"
            )
        augment.check(self.recipe.augment, self.recipe.preprocess, self.spec.image_shape[1:])

    def example(self, *, evaluation: bool = False) -> jax.ShapeDtypeStruct:
        """See `Inputs`: a clip (frames, h, w, c) float32."""
        shape = output_shape(self.recipe.preprocess, self.spec.image_shape[1:])
        return jax.ShapeDtypeStruct((self.recipe.video.frames, *shape), jnp.float32)

    def prepared(self, inputs: jax.Array) -> jax.Array:
        """See `Inputs`."""
        config = self.recipe.video
        places = clips.fixed_places(clips.frame_counts(inputs), config)
        frames = clips.taken(inputs, places.reshape(len(inputs), -1))
        flat = frames.reshape(-1, *frames.shape[2:])
        found = preprocess(flat, self.recipe.preprocess, *self.normalisation)
        several = (config.clips,) if config.clips > 1 else ()
        return found.reshape(len(inputs), *several, config.frames, *found.shape[1:])

    def training_batch(
        self,
        key: jax.Array,
        run_key: jax.Array,
        inputs: jax.Array,
        targets: Any,
        epochs: jax.Array,
        indices: jax.Array,
    ) -> Batch:
        """See `Inputs`: frames at random places; what changes them is the same for all of a clip.

        For changes of place the frames are channels of one image, and for those of colour they
        stand one below the other.
        """
        config, changes = self.recipe.video, self.recipe.augment
        mean, std = self.normalisation
        drawn = jax.random.fold_in(key, Stream.FRAMES)
        places = clips.random_places(drawn, clips.frame_counts(inputs), config)
        frames = clips.taken(inputs, places)
        batch, count = frames.shape[:2]
        sized = change_size(frames.reshape(-1, *frames.shape[2:]), self.recipe.preprocess)
        height, width, channels = sized.shape[1:]
        shape = batch, count, height, width, channels
        side_by_side = jnp.moveaxis(sized.reshape(shape), 1, 3)
        moved = moved_images(
            key,
            side_by_side.reshape(batch, height, width, -1),
            epochs,
            indices,
            changes,
            run_key,
        )
        column = jnp.moveaxis(moved.reshape(batch, height, width, count, channels), 3, 1)
        column = column.reshape(batch, count * height, width, channels)
        found = recoloured(key, column, changes, mean=mean, std=std)
        found, targets = mixed(key, found, targets, changes)
        return Batch(found.reshape(shape), targets, jnp.ones(batch, jnp.float32))

    def evaluation_batch(self, inputs: jax.Array, targets: Any, weights: jax.Array) -> Batch:
        """See `Inputs`."""
        return Batch(self.prepared(inputs), targets, jnp.asarray(weights, jnp.float32))

    def infer(self, apply: Apply, inputs: jax.Array) -> Any:
        """See `Inputs`: outputs averaged over the clips of each video."""
        if inputs.ndim == 5:
            return apply(inputs)
        batch, count = inputs.shape[:2]
        outputs = apply(inputs.reshape(batch * count, *inputs.shape[2:]))

        def averaged(leaf: jax.Array) -> jax.Array:
            return jnp.mean(leaf.reshape(batch, count, *leaf.shape[1:]), axis=1)

        return jax.tree.map(averaged, outputs)
