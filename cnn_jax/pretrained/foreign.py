"""Weights that no run of ours has trained, judged on data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np

from cnn_jax.data import Dataset
from cnn_jax.data.dataset import Examples
from cnn_jax.data.joined import gathered
from cnn_jax.data.parts import parts_of
from cnn_jax.data.recipe_data import data_spec, load_data
from cnn_jax.devices.jax_settings import fix_settings
from cnn_jax.devices.mesh import make_mesh, placed
from cnn_jax.errors import UserError
from cnn_jax.evaluation.predictions import file_name, predictions_of, why_none
from cnn_jax.evaluation.split_name import SplitName
from cnn_jax.pretrained.preparation import preparation_of
from cnn_jax.pretrained.published import IMAGENET, weights_file
from cnn_jax.pretrained.weights import load
from cnn_jax.recipe import Recipe
from cnn_jax.restored import Restored
from cnn_jax.run_folder import device_names, versions
from cnn_jax.tasks import resolved, target_kind
from cnn_jax.training.evaluator import Evaluator
from cnn_jax.training.recipe_functions import abstract_state


def evaluate_weights(
    recipe: Recipe,
    split: SplitName | None = None,
    *,
    folder: Path = Path("predictions"),
    data_dir: Path | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Evaluates weights from elsewhere on every example of a split.

    What was told of each example is written to a file of predictions.

    Args:
      recipe: its `init.source` are the weights; its model, task, data, preparation and batch size
        are used. The classes of the data are those of the weights, in this order.
      split: which part of the data, by default test; `all` is every part.
      folder: where predictions are written.
      data_dir: where data sets lie, by default as TFDS has it.
      workers: processes that read a set that streams.

    Returns:
      The metrics, with what they were measured on and notes of it.

    Raises:
      UserError: there are no such data or weights, or the weights do not fit the model.
    """
    fix_settings()
    recipe = resolved(recipe)
    dataset = load_data(recipe.data, data_dir, kind=target_kind(recipe))
    examples = _part(dataset, recipe, split or "test")
    restored, notes = _restored(recipe, dataset)
    kept: dict[str, np.ndarray] = {}
    evaluator = Evaluator(restored.recipe, restored.spec, restored.mesh, workers)
    metrics = evaluator(restored.variables, examples, kept=kept)
    name, part = str(recipe.data.name), split or "test"
    predictions = predictions_of(
        kept,
        examples,
        None,
        recipe=recipe,
        spec=restored.spec,
        run=str(recipe.init.source),
        dataset=name,
        split=part,
        checkpoint="weights",
        step=0,
    )
    found = {"weights": str(recipe.init.source), "dataset": name, "split": part}
    found |= {"model": str(recipe.model.name), "views": recipe.views, **(metrics or {})}
    if predictions is None:
        notes.append(why_none(recipe))
    else:
        views = None if recipe.views == "none" else recipe.views
        file = folder / f"{recipe.name}-{file_name(name, part, 0, views)}.parquet"
        try:
            predictions.write(file)
            found["predictions"] = str(file)
        except OSError as error:
            notes.append(f"predictions could not be written to {file}: {error.strerror or error}")
    devices = device_names(list(restored.mesh.devices.flat))
    return {**found, "unseen": None, "notes": notes, "devices": devices, "versions": versions()}


def _part(dataset: Dataset, recipe: Recipe, split: str) -> Examples:
    parts = parts_of(dataset)
    if split == "all":
        every = list(parts.values())
        return gathered(every, np.arange(sum(map(len, every))))
    if split not in parts:
        raise UserError(
            f"{recipe.data.name} has no {split} split; it has {', '.join(parts)}, or give all"
        )
    return parts[split]


def _restored(recipe: Recipe, dataset: Dataset) -> tuple[Restored, list[str]]:
    """The model with the weights, as if it were of a run, and what is to be known of it."""
    source = str(recipe.init.source)
    preparation, note = preparation_of(recipe, dataset.train.image_shape[-1])
    spec, mesh = data_spec(dataset, recipe.preprocess, preparation), make_mesh()
    shapes = abstract_state(recipe, spec, mesh).variables
    loaded = load(
        weights_file(recipe.model.name) if source == IMAGENET else Path(source),
        recipe.model.name,
        shapes,
        names=None if recipe.init.names is None else Path(recipe.init.names),
        checkpoint=recipe.init.checkpoint,
    )
    notes = [note] if note else []
    notes.append(
        f"weights: {loaded.report}. What they have learnt from is not known here: whether any of "
        "it is counted cannot be checked"
    )
    variables = jax.tree.map(
        lambda value, shape: placed(value, shape.sharding), loaded.variables, shapes
    )
    return Restored(recipe, spec, 0, variables, mesh), notes
