"""Images as what a model is given: their preparation, their changes, and their views."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnn_jax import augment
from cnn_jax.augment import (
    evaluation_batch,
    joint_batch,
    output_shape,
    preprocess,
    training_batch,
)
from cnn_jax.augment.views import in_views
from cnn_jax.batch import Batch
from cnn_jax.data.fields import is_spatial
from cnn_jax.errors import UserError
from cnn_jax.tasks.contract import Apply
from cnn_jax.tasks.inputs import Inputs


class ImageInputs(Inputs):
    """Images (b, h, w, c), normalised channel by channel; see `Inputs`."""

    KIND = "image"

    @property
    def normalisation(self) -> tuple[jax.Array, jax.Array]:
        """Channel means and deviations (c,): the recipe's, or those of the training images."""
        spec, given = self.spec, self.recipe.preprocess
        mean = spec.mean if given.mean is None else given.mean
        return jnp.asarray(mean, jnp.float32), jnp.asarray(self.deviations(), jnp.float32)

    def deviations(self) -> tuple[float, ...]:
        """What channels (c,) are divided by: the recipe's, or those of the training images.

        Raises:
          UserError: the images have a channel without any contrast, by whose deviation nothing
            can be divided.
        """
        spec, given = self.spec, self.recipe.preprocess.std
        std = spec.std if given is None else given
        if min(std) <= 0:
            raise UserError(
                f"the training images of {spec.name} have channel deviations of {std}: a channel "
                "without contrast cannot be normalised by it; give --preprocess.std, one value a "
                "channel"
            )
        return std

    def check(self, model: nn.Module) -> None:
        """See `Inputs`."""
        recipe, spec = self.recipe, self.spec
        self.check_kinds()
        self.deviations()
        if is_spatial(spec.targets):
            kinds = [each.kind for each in spec.targets.values()]
            augment.check_joint(recipe.augment, recipe.preprocess, kinds)
        else:
            augment.check_no_crop(recipe.augment)
        augment.check(recipe.augment, recipe.preprocess, spec.image_shape)
        side = min(output_shape(recipe.preprocess, spec.image_shape)[:2])
        if recipe.views == "six" and side < 2:
            raise UserError(f"--views six shifts images by a pixel; these are {side} pixels small")
        if spec.evaluation_shape is not None:
            self._check_evaluation_size(model)

    def _check_evaluation_size(self, model: nn.Module) -> None:
        """Refuses images of another size in evaluation for a model that is made for one size."""
        shapes = []
        for evaluation in (False, True):
            image = self.example(evaluation=evaluation)
            one = jax.ShapeDtypeStruct((1, *image.shape), image.dtype)
            variables = jax.eval_shape(model.init, jax.random.key(0), one)
            shapes.append(jax.tree.map(jnp.shape, variables["params"]))
        if shapes[0] != shapes[1]:
            raise UserError(
                f"{self.recipe.model.name} has other parameters for images of "
                f"{self.spec.evaluated_shape[0]} than of {self.spec.image_shape[0]} pixels; leave "
                "out --data.evaluation-size, or choose a model that ends in a mean over all places"
            )

    def example(self, *, evaluation: bool = False) -> jax.ShapeDtypeStruct:
        """See `Inputs`: an image (h, w, c) float32."""
        raw = self.spec.evaluated_shape if evaluation else self.spec.image_shape
        return jax.ShapeDtypeStruct(output_shape(self.recipe.preprocess, raw), jnp.float32)

    def prepared(self, inputs: jax.Array) -> jax.Array:
        """See `Inputs`."""
        range_ = self.spec.value_range
        return preprocess(inputs, self.recipe.preprocess, *self.normalisation, range_)

    def training_batch(
        self,
        key: jax.Array,
        run_key: jax.Array,
        inputs: jax.Array,
        targets: Any,
        epochs: jax.Array,
        indices: jax.Array,
    ) -> Batch:
        """See `Inputs`; masks and boxes, arrays by the names of the data's fields, move too."""
        mean, std = self.normalisation
        if is_spatial(self.spec.targets):
            return joint_batch(
                key,
                inputs,
                targets,
                self.spec.targets,
                epochs,
                indices,
                run_key=run_key,
                augment=self.recipe.augment,
                mean=mean,
                std=std,
                value_range=self.spec.value_range,
                fit=self.recipe.data.fit,
            )
        return training_batch(
            key,
            inputs,
            targets,
            epochs,
            indices,
            run_key=run_key,
            preprocess=self.recipe.preprocess,
            augment=self.recipe.augment,
            mean=mean,
            std=std,
            value_range=self.spec.value_range,
        )

    def evaluation_batch(self, inputs: jax.Array, targets: Any, weights: jax.Array) -> Batch:
        """See `Inputs`."""
        mean, std = self.normalisation
        return evaluation_batch(
            inputs,
            targets,
            weights,
            preprocess=self.recipe.preprocess,
            mean=mean,
            std=std,
            value_range=self.spec.value_range,
        )

    def infer(self, apply: Apply, inputs: jax.Array) -> Any:
        """See `Inputs`: outputs averaged over the views of each image."""
        return in_views(apply, inputs, self.recipe.views)
