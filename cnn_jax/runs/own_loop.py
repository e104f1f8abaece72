"""The parts for a training loop of your own: the data and the pure functions of a recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import jax

from cnn_jax.batch import Batch
from cnn_jax.data import Dataset
from cnn_jax.data.recipe_data import data_spec, load_data
from cnn_jax.data.spec import DataSpec
from cnn_jax.devices.jax_settings import fix_settings
from cnn_jax.errors import UserError
from cnn_jax.pretrained.preparation import preparation_of
from cnn_jax.recipe import Recipe
from cnn_jax.state import TrainState, stream
from cnn_jax.tasks import make_task, resolved, target_kind
from cnn_jax.training.evaluator import make_model
from cnn_jax.training.plan import Plan
from cnn_jax.training.recipe_functions import init_function, optimizer_of, train_step_of
from cnn_jax.training.step import TrainStep


def read_data(recipe: Recipe, data_dir: Path | None = None) -> tuple[Dataset, DataSpec]:
    """The data of a recipe, cut into parts as in its run, and facts about them.

    Args:
      recipe: what is trained.
      data_dir: folder of the TFDS and UCR data sets, by default $TFDS_DATA_DIR, else
        ~/tensorflow_datasets.

    Raises:
      UserError: the data cannot be found or read, or do not fit the recipe.
    """
    fix_settings()
    dataset = load_data(recipe.data, data_dir, kind=target_kind(recipe))
    preparation, _ = preparation_of(recipe, dataset.train.image_shape[-1])
    return dataset, data_spec(dataset, recipe.preprocess, preparation)


def make_init(recipe: Recipe, spec: DataSpec) -> Callable[[int | jax.Array], TrainState]:
    """Builds `init(seed) -> state`, the state before the first step, with random parameters.

    Raises:
      UserError: the recipe starts from other weights, or its model is fitted to the data first.
    """
    recipe = resolved(recipe)
    if source := recipe.init.source or recipe.init.words:
        raise UserError(
            f"make_init gives random parameters, but the recipe begins with the weights of "
            f"{source}: leave init out, and put what cnn_jax.load gives into the state"
        )
    task, plan = make_task(recipe, spec), Plan.of(recipe, spec.examples)
    model = make_model(recipe, task)
    if getattr(model, "fitted", None) is not None:
        raise UserError(
            f"the model {recipe.model.name} is fitted to training images before the first step, "
            "which make_init does not do: use train, or options without it"
        )
    init = init_function(recipe, task, model, optimizer_of(recipe, task, model, plan))
    return cast("Callable[[int | jax.Array], TrainState]", init)


def make_batch(recipe: Recipe, spec: DataSpec) -> Callable[..., Batch]:
    """Builds `batch(state, inputs, targets, indices, epochs) -> Batch`, prepared and augmented.

    The augmentation is a pure function of the seed and the step in the state. Inputs (b, ...) and
    targets (b, ...) are raw, as in the data set. Indices (b,) int32 are their places in the data
    set, and epochs (b,) int32 the epoch in which each is seen, as `Order` gives them.
    """
    task = make_task(resolved(recipe), spec)

    def batch(
        state: TrainState, inputs: Any, targets: Any, indices: jax.Array, epochs: jax.Array
    ) -> Batch:
        key, run_key = stream(state.seed, state.step, "augment"), stream(state.seed, 0, "run")
        return task.training_batch(key, run_key, inputs, targets, epochs, indices)

    return batch


def make_train_step(recipe: Recipe, spec: DataSpec) -> TrainStep:
    """Builds `train_step(state, batch) -> (state, metrics)`, a pure function to be jitted.

    The metrics are `loss`, those of the task, `grad_norms` (one for each parameter array) and
    `update_norm`. `recipe.duration` is the length of the learning rate schedule.

    Args:
      recipe: its model, loss, optimizer and schedule are used.
      spec: facts about the data, as returned by `read_data`.
    """
    return train_step_of(resolved(recipe), spec)
