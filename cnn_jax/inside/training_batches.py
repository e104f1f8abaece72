"""Batches and the first variables of a run, as its training had them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from cnn_jax.batch import Batch
from cnn_jax.evaluation.own_data import own_part
from cnn_jax.restored import Restored
from cnn_jax.run_folder import RunFolder
from cnn_jax.state import Variables, init_state
from cnn_jax.tasks import make_task
from cnn_jax.training.evaluator import make_model

_MOST = 64
"""Examples of a batch at most: norms need no more, and memory may be small here."""


def training_batches(
    restored: Restored, folder: RunFolder, count: int, data_dir: Path | None = None
) -> list[Batch]:
    """Some batches of the training part, changed at random as in training.

    They are evenly spread over it; each has at most 64 examples.

    Args:
      restored: the run's model.
      folder: of the run.
      count: how many.
      data_dir: where TFDS sets lie.

    Raises:
      UserError: the data are not there.
    """
    recipe, task = restored.recipe, make_task(restored.recipe, restored.spec)
    examples = own_part(restored, "train", data_dir, folder.parts()).examples
    size = min(recipe.batch_size, _MOST, len(examples))
    places = np.linspace(0, len(examples) - 1, count * size).astype(int).reshape(size, count).T
    run_key = jax.random.key(recipe.seed)

    @jax.jit
    def batch(key: jax.Array, inputs: Any, targets: Any, indices: jax.Array) -> Batch:
        epochs = jnp.zeros(size, jnp.int32)
        return task.training_batch(key, run_key, inputs, targets, epochs, indices)

    found = []
    for number, each in enumerate(places):
        split = examples.decoded(each)
        arrays = jax.tree.map(jnp.asarray, (split.inputs, split.targets))
        key = jax.random.fold_in(run_key, number)
        found.append(batch(key, *arrays, jnp.asarray(each, jnp.int32)))
    return found


def initial_variables(restored: Restored) -> Variables:
    """The variables that a run without weights from elsewhere began with."""
    recipe = restored.recipe
    task = make_task(recipe, restored.spec)
    model = make_model(recipe, task)

    @jax.jit
    def first(seed: jax.Array) -> Variables:
        state = init_state(seed, model, optax.identity(), task.example(), initial=task.initial)
        return state.variables

    return first(jnp.uint32(recipe.seed))
