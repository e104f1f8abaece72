"""Code of a user's own, tried once on shapes alone, before anything is compiled or written."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnn_jax import models
from cnn_jax.batch import Batch
from cnn_jax.data.spec import DataSpec
from cnn_jax.errors import UserError
from cnn_jax.models.contract import check_applied
from cnn_jax.own.values import Own
from cnn_jax.recipe import Recipe
from cnn_jax.state import TrainState
from cnn_jax.tasks import Task
from cnn_jax.tasks.own_functions import own_metrics
from cnn_jax.training.step import make_eval_step, make_objective


def check_own_model(recipe: Recipe, task: Task, model: nn.Module) -> None:
    """Checks a model of a user's own against `cnn_jax.models.contract`.

    Raises:
      UserError: it does not fit.
    """
    name = recipe.model.name
    if models.entry(name).own is not None:
        # A task of a user's own need not say so.
        shape = getattr(task, "output_shape", (task.outputs,))
        check_applied(name, model, task.example(), shape)


def check_own_functions(
    recipe: Recipe, spec: DataSpec, task: Task, state: TrainState, model: nn.Module
) -> None:
    """Checks losses, tasks, metrics and augmentation of a user's own on the shapes of a batch.

    Raises:
      UserError: one does not fit.
    """
    given = (recipe.loss.name, recipe.task.name, recipe.augment.own, *recipe.metrics)
    if not any(isinstance(each, Own) for each in given):
        return
    size, key = recipe.batch_size, jax.eval_shape(lambda: jax.random.key(0))
    places = jax.ShapeDtypeStruct((size,), jnp.int32)
    losses = [turn.loss for turn in task.turns] or [task.loss]

    def learnt(state: TrainState, key: jax.Array, inputs: Any, targets: Any, places: Any) -> Any:
        batch = task.training_batch(key, key, inputs, targets, places, places)
        return [
            make_objective(model, loss)(state.params, state.batch_stats, batch, key)[0]
            for loss in losses
        ]

    def evaluated(state: TrainState, inputs: Any, targets: Any) -> Any:
        batch: Batch = task.evaluation_batch(inputs, targets, jnp.ones(size, jnp.float32))
        return make_eval_step(model, task, own=own_metrics(recipe))(state.evaluated, batch)

    examples = spec.examples_of(size)
    for loss in jax.eval_shape(learnt, state, key, *examples, places):
        if not jnp.issubdtype(loss.dtype, jnp.floating):
            raise UserError(f"loss {recipe.loss.name} gives {loss.dtype}, which has no gradient")
    jax.eval_shape(evaluated, state, *examples)
