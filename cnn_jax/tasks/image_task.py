"""What all tasks on single images share: their preparation, and the views they are seen in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnn_jax import augment
from cnn_jax.augment import evaluation_batch, output_shape, preprocess, training_batch
from cnn_jax.augment.views import in_views
from cnn_jax.batch import Batch
from cnn_jax.data.spec import DataSpec
from cnn_jax.errors import UserError, unknown
from cnn_jax.own.values import Own
from cnn_jax.recipe import Recipe
from cnn_jax.tasks.contract import Apply, Metric
from cnn_jax.tasks.own_functions import by_example


@dataclass(frozen=True)
class ImageTask(ABC):
    """A task whose inputs are images and whose targets are one array.

    Args:
      recipe: what is trained, with the defaults of its task filled in.
      spec: facts of the data.
    """

    METRICS: ClassVar[tuple[Metric, ...]]
    PARTS: ClassVar[tuple[Metric, ...]] = ()
    HEADLINE: ClassVar[tuple[Metric, ...]]
    LOSSES: ClassVar[tuple[str, ...]]
    KINDS: ClassVar[tuple[str, ...]]
    NUMBERS: ClassVar[bool] = False
    OPTIONS: ClassVar[Mapping[str, Any]] = {}

    recipe: Recipe
    spec: DataSpec

    def __post_init__(self) -> None:
        """Checks that the data hold what is to be learnt.

        Raises:
          UserError: they do not, or an option is unknown.
        """
        name = self.recipe.task.name
        kinds = [each.kind for each in self.spec.targets.values()]
        if len(kinds) != 1 or kinds[0] not in self.KINDS:
            raise UserError(
                f"--task.name {name} learns {' or '.join(self.KINDS)}, but {self.spec.name} has "
                f"{', '.join(kinds)}; choose a task that learns these"
            )
        for option in self.recipe.task.options:
            if option not in self.OPTIONS:
                raise unknown(f"option of --task.name {name}:", option, self.OPTIONS)

    def own_loss(self, taken: int = 2) -> Callable[..., jax.Array] | None:
        """The loss of a user's own, with its options, if the recipe has one.

        Args:
          taken: how many arrays it is given: outputs, targets, and what else the task's losses
            take.

        Raises:
          UserError: it does not take as many, or (when called) gives no value an example.
        """
        name = self.recipe.loss.name
        if not isinstance(name, Own):
            return None
        return by_example("loss", name, taken, self.recipe.loss.options)

    def option(self, name: str) -> Any:
        """An option of the task, as the recipe gives it or by default."""
        return self.recipe.task.options.get(name, self.OPTIONS[name])

    @property
    def normalisation(self) -> tuple[jax.Array, jax.Array]:
        """Channel means and deviations (c,): the recipe's, or those of the training images.

        Raises:
          UserError: the images have a channel without any contrast, by whose deviation nothing
            can be divided.
        """
        spec, given = self.spec, self.recipe.preprocess
        mean = spec.mean if given.mean is None else given.mean
        std = spec.std if given.std is None else given.std
        if min(std) <= 0:
            raise UserError(
                f"the training images of {spec.name} have channel deviations of {std}: a channel "
                "without contrast cannot be normalised by it; give --preprocess.std, one value a "
                "channel"
            )
        return jnp.asarray(mean, jnp.float32), jnp.asarray(std, jnp.float32)

    def check(self, model: nn.Module) -> None:
        """See `Task`."""
        recipe, spec = self.recipe, self.spec
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
        """See `Task`: an image (h, w, c) float32."""
        raw = self.spec.evaluated_shape if evaluation else self.spec.image_shape
        return jax.ShapeDtypeStruct(output_shape(self.recipe.preprocess, raw), jnp.float32)

    @abstractmethod
    def encoded(self, targets: jax.Array) -> Any:
        """Raw targets (b, ...) as the loss has them, a tree of float32 that may be blended."""

    def prepared(self, inputs: jax.Array) -> jax.Array:
        """See `Task`."""
        range_ = self.spec.value_range
        return preprocess(inputs, self.recipe.preprocess, *self.normalisation, range_)

    def training_batch(
        self,
        key: jax.Array,
        run_key: jax.Array,
        inputs: jax.Array,
        targets: jax.Array,
        epochs: jax.Array,
        indices: jax.Array,
    ) -> Batch:
        """See `Task`."""
        mean, std = self.normalisation
        return training_batch(
            key,
            inputs,
            self.encoded(targets),
            epochs,
            indices,
            run_key=run_key,
            preprocess=self.recipe.preprocess,
            augment=self.recipe.augment,
            mean=mean,
            std=std,
            value_range=self.spec.value_range,
        )

    def evaluation_batch(self, inputs: jax.Array, targets: jax.Array, weights: jax.Array) -> Batch:
        """See `Task`."""
        mean, std = self.normalisation
        return evaluation_batch(
            inputs,
            self.encoded(targets),
            weights,
            preprocess=self.recipe.preprocess,
            mean=mean,
            std=std,
            value_range=self.spec.value_range,
        )

    def initial(self, params: Any) -> Any:
        """See `Task`."""
        return params

    def infer(self, apply: Apply, inputs: jax.Array) -> Any:
        """See `Task`: outputs averaged over the views of each image."""
        return in_views(apply, inputs, self.recipe.views)

    def choose(self, records: Mapping[str, Any]) -> dict[str, Any]:
        """See `Task`."""
        return {}


def total(values: jax.Array, weights: jax.Array) -> jax.Array:
    """The weighted sum of values (b,)."""
    # Padding may hold anything, even what is not a number: it is selected away.
    return jnp.sum(jnp.where(weights > 0, weights * values, 0.0))


def with_head_bias(params: Any, bias: jax.Array) -> Any:
    """Parameters whose last layer, `head`, has another bias; as they are where it has none."""
    head = params.get("head", {})
    if getattr(head, "get", None) is None or jnp.shape(head.get("bias")) != bias.shape:
        return params
    return {**params, "head": {**head, "bias": bias.astype(head["bias"].dtype)}}
