"""Metrics of a restored model on a split."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any, Literal

from cnn_jax.augment.views import Views
from cnn_jax.data import Dataset
from cnn_jax.data.dataset import Examples
from cnn_jax.data.pieces import check_workers
from cnn_jax.data.recipe_data import load_data, read_data
from cnn_jax.data.spec import DataSpec
from cnn_jax.errors import UserError
from cnn_jax.restored import restore
from cnn_jax.run_folder import RunFolder, device_names, versions
from cnn_jax.training.evaluator import Evaluator

SplitName = Literal["train", "validation", "test"]


def evaluate(
    run: Path,
    checkpoint: str = "best",
    split: SplitName = "test",
    dataset: str | None = None,
    data_dir: Path | None = None,
    views: Views | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Evaluates a run's model on every example of a split, and writes what it finds.

    Args:
      run: a run folder.
      checkpoint: `best`, `latest` or a step.
      split: which part of the data.
      dataset: another data set of the same classes, by default that of the run.
      data_dir: where data sets lie, by default as TFDS has it.
      views: whose logits are averaged, by default those of the recipe.
      workers: processes that read a set that streams, by default as many as there are processors.

    Returns:
      The metrics, with what they were measured on; also written to the run's `evaluations/`.

    Raises:
      UserError: there is no such run, checkpoint or split, or the data do not fit the model.
    """
    check_workers(workers)
    restored = restore(run, checkpoint)
    recipe, spec = restored.recipe, restored.spec
    if views is not None:
        recipe = dataclasses.replace(recipe, views=views)
    config = recipe.data
    if dataset is not None:
        config = dataclasses.replace(config, name=dataset, image_size=_side(spec))
    # A test split is whole without a validation part being cut from train.
    data = (read_data if split == "test" else load_data)(config, data_dir)
    _check(data, spec)
    examples: Examples | None = getattr(data, split)
    if examples is None:
        raise UserError(f"{data.name} has no {split} split")
    metrics = Evaluator(recipe, spec, restored.mesh, workers)(
        restored.variables, examples, chosen=restored.chosen
    )
    assert metrics is not None
    found = {
        "dataset": data.name,
        "split": split,
        "checkpoint": checkpoint,
        "step": restored.step,
        "views": recipe.views,
        **metrics,
        "devices": device_names(list(restored.mesh.devices.flat)),
        "versions": versions(),
    }
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in data.name)
    name = f"{name}-{split}-step{restored.step}"
    if recipe.views != restored.recipe.views:
        name += f"-views-{recipe.views}"
    try:
        RunFolder(run).write_evaluation(name, found)
    except OSError as error:
        # What was found is worth more than the file.
        print(f"not written beside the run: {error.strerror}", file=sys.stderr)
    return found


def _side(spec: DataSpec) -> int | None:
    height, width, _ = spec.image_shape
    return height if height == width else None


def _check(data: Dataset, spec: DataSpec) -> None:
    if len(data.class_names) != len(spec.class_names):
        raise UserError(
            f"{data.name} has {len(data.class_names)} classes, but the model was trained on the "
            f"{len(spec.class_names)} of {spec.name}"
        )
    if tuple(data.class_names) != spec.class_names:
        pairs = zip(spec.class_names, data.class_names, strict=True)
        place, (ours, theirs) = next(
            (place, pair) for place, pair in enumerate(pairs) if pair[0] != pair[1]
        )
        raise UserError(
            f"{data.name} has other classes than {spec.name}, which the model was trained on: "
            f"class {place} is {theirs!r}, not {ours!r}"
        )
    shape = data.train.image_shape
    if shape != spec.image_shape:
        raise UserError(
            f"{data.name} has images of {shape} (height, width, channels), but the model was "
            f"trained on {spec.image_shape}"
        )
