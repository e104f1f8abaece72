"""Evaluation of every example of a split, each counted once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh, NamedSharding

from cnn_jax import models
from cnn_jax.augment import evaluation_batch
from cnn_jax.augment.views import WEIGHTS
from cnn_jax.data import Split, evaluation_batches
from cnn_jax.data.dataset import Examples
from cnn_jax.data.spec import DataSpec
from cnn_jax.data.streamed import StreamedSplit
from cnn_jax.devices.compilation import compiled
from cnn_jax.devices.mesh import (
    batch_sharding,
    gathered,
    placed,
    placed_parts,
    replicated,
    shardings,
)
from cnn_jax.errors import UserError
from cnn_jax.recipe import Recipe
from cnn_jax.state import Variables
from cnn_jax.tasks import classification
from cnn_jax.tasks.losses import LOSSES
from cnn_jax.training.input import evaluation_feed
from cnn_jax.training.step import make_eval_step

_IN_FLIGHT = 2
"""Batches that may be under way before one is known to be done."""


class Evaluator:
    """Evaluation of a recipe's model, compiled for a mesh.

    Args:
      recipe: its model, preprocessing, loss and batch size are used.
      spec: facts of the data that the model was trained on.
      mesh: the devices.
      workers: processes that read a streamed set, by default as many as there are processors.
    """

    def __init__(
        self, recipe: Recipe, spec: DataSpec, mesh: Mesh, workers: int | None = None
    ) -> None:
        self._model = make_model(recipe, spec)
        self._spec = spec
        self._mesh = mesh
        self._workers = workers
        # Training's batch size in views, or the next that the devices divide.
        examples = -(-recipe.batch_size // len(WEIGHTS[recipe.views]))
        self._batch_size = -(-examples // mesh.size) * mesh.size
        eval_step = make_eval_step(
            self._model,
            LOSSES[recipe.loss.name],
            views=recipe.views,
            gathered=partial(gathered, mesh),
        )
        mean, std = normalisation(recipe, spec)

        def step(
            variables: Variables, images: jax.Array, labels: jax.Array, weights: jax.Array
        ) -> dict[str, jax.Array]:
            batch = evaluation_batch(
                images,
                labels,
                weights,
                preprocess=recipe.preprocess,
                mean=mean,
                std=std,
                num_classes=spec.num_classes,
            )
            return eval_step(variables, batch)

        def agreeing(*arguments: Any) -> dict[str, jax.Array]:
            *known, asked = arguments
            return {**step(*known), "asked": jnp.any(asked)}

        # Several processes have to agree whether they give up.
        self._agrees = jax.process_count() > 1
        self._step = agreeing if self._agrees else step
        self._compiled: Any = None

    @property
    def _sharding(self) -> NamedSharding:
        return batch_sharding(self._mesh)

    def _spread(self, values: np.ndarray, indices: np.ndarray) -> jax.Array:
        """The examples of a batch, of which a process only reads those of its devices."""

        def part(index: Any) -> np.ndarray:
            return values[indices[index[0]]]

        shape = (len(indices), *values.shape[1:])
        return placed_parts(shape, self._sharding, part)

    def compile(self, variables: Variables) -> None:
        """Compiles the evaluation step, once."""
        if self._compiled is not None:
            return
        whole, spread = replicated(self._mesh), batch_sharding(self._mesh)
        size = self._batch_size
        jitted = jax.jit(
            self._step,
            in_shardings=(shardings(variables), *[spread] * (4 if self._agrees else 3)),
            out_shardings=whole,
        )
        self._compiled = compiled(
            self._mesh,
            jitted,
            variables,
            jax.ShapeDtypeStruct((size, *self._spec.evaluated_shape), jnp.uint8),
            jax.ShapeDtypeStruct((size,), jnp.int32),
            jax.ShapeDtypeStruct((size,), jnp.float32),
            *[jax.ShapeDtypeStruct((self._mesh.size,), jnp.bool)] * self._agrees,
        )

    def __call__(
        self, variables: Variables, split: Examples, stop: Callable[[], bool] = lambda: False
    ) -> dict[str, float | int] | None:
        """Metrics over every example of a split, each counted once.

        Args:
          variables: what the model is applied with.
          split: raw examples.
          stop: asked before every batch; true gives up.

        Returns:
          The metrics of `cnn_jax.tasks.classification`, or None if given up.
        """
        self.compile(variables)
        found: list[dict[str, jax.Array]] = []
        with contextlib.closing(self._batches(split)) as batches:
            if not self._sum(variables, batches, found, stop):
                return None
        # Batches are summed in float64: the order and size of the sum cost no digits.
        fetched = jax.device_get(found)
        summed = {
            name: np.sum([sums[name] for sums in fetched], dtype=np.float64)
            for name in fetched[0]
            if name != "asked"
        }
        metrics = classification.metrics(summed)
        if metrics["examples"] != len(split):
            raise AssertionError(f"{metrics['examples']} examples were counted of {len(split)}")
        return metrics

    def _batches(self, split: Examples) -> Generator[tuple[jax.Array, jax.Array, np.ndarray]]:
        """Images, labels and weights of the batches that count each example once."""
        places = evaluation_batches(len(split), self._batch_size)
        if isinstance(split, StreamedSplit):
            feed = evaluation_feed(split, self._batch_size, self._mesh, self._workers)
            with contextlib.closing(feed):
                for _, weights in places:
                    yield *feed.get(), weights
            return
        assert isinstance(split, Split)
        for indices, weights in places:
            yield self._spread(split.images, indices), self._spread(split.labels, indices), weights

    def _sum(
        self,
        variables: Variables,
        batches: Iterable[tuple[jax.Array, jax.Array, np.ndarray]],
        found: list[dict[str, jax.Array]],
        stop: Callable[[], bool],
    ) -> bool:
        """Adds the sums of each batch to those found; false if given up."""
        for images, labels, weights in batches:
            asked = stop()
            if self._agrees:
                # Read from a batch that is done while the next are under way.
                late = found[-_IN_FLIGHT]["asked"] if len(found) >= _IN_FLIGHT else False
                if bool(late):
                    return False
            elif asked:
                return False
            elif len(found) >= _IN_FLIGHT:
                jax.block_until_ready(found[-_IN_FLIGHT])
            arrays = [images, labels, placed(weights, self._sharding)]
            if self._agrees:
                arrays.append(placed(np.full(self._mesh.size, asked), self._sharding))
            found.append(self._compiled(variables, *arrays))
        return True


def make_model(recipe: Recipe, spec: DataSpec) -> nn.Module:
    """The module that a recipe asks for, with a logit for each class of the data.

    Raises:
      UserError: an unknown model or option, or one that is not given as an option.
    """
    for name, instead in (
        ("dtype", "it is --model.dtype"),
        ("name", "it is --model.name"),
        ("num_classes", "it follows from the data"),
    ):
        if name in recipe.model.options:
            raise UserError(f"--model.options {name}=... is no option of a model: {instead}")
    return models.create(
        recipe.model.name, spec.num_classes, dtype=recipe.model.dtype, **recipe.model.options
    )


def normalisation(recipe: Recipe, spec: DataSpec) -> tuple[jax.Array, jax.Array]:
    """Channel means and deviations (c,): the recipe's, or those of the training images.

    Raises:
      UserError: the images have a channel without any contrast, by whose deviation nothing
        can be divided.
    """
    mean = spec.mean if recipe.preprocess.mean is None else recipe.preprocess.mean
    std = spec.std if recipe.preprocess.std is None else recipe.preprocess.std
    if min(std) <= 0:
        raise UserError(
            f"the training images of {spec.name} have channel deviations of {std}: a channel "
            "without contrast cannot be normalised by it; give --preprocess.std, one value a "
            "channel"
        )
    return jnp.asarray(mean, jnp.float32), jnp.asarray(std, jnp.float32)
