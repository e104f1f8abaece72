"""Metrics of a restored model on a split."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnn_jax.augment.views import Views
from cnn_jax.data.pieces import check_workers
from cnn_jax.evaluation.judged import SplitName, judged_set
from cnn_jax.evaluation.own_data import is_own, lies_in, own_part
from cnn_jax.evaluation.predictions import TOO_LARGE, file_name, predictions_of
from cnn_jax.restored import restore
from cnn_jax.run_folder import RunFolder, device_names, versions
from cnn_jax.training.evaluator import Evaluator


def evaluate(
    run: Path,
    checkpoint: str = "best",
    split: SplitName | None = None,
    dataset: str | None = None,
    data_dir: Path | None = None,
    views: Views | None = None,
    workers: int | None = None,
    skip_bad: bool = False,
    code: Sequence[Path] = (),
) -> dict[str, Any]:
    """Evaluates a run's model on every example of a split, and writes what it finds.

    Of the run's own data it is the part as it was when the run began, told by what the images
    hold. Another set is judged whole: images are brought to the model's shape, classes are
    matched by name and may be lacking. Where some of it was learnt from, the metrics of the rest
    are given beside those of all, as `unseen`.

    Args:
      run: a run folder.
      checkpoint: `best`, `latest` or a step.
      split: which part of the data, by default test, or all of another set that has no test part.
      dataset: another data set, by default that of the run.
      data_dir: where data sets lie, by default as TFDS has it.
      views: whose logits are averaged, by default those of the recipe.
      workers: processes that read a set that streams, by default as many as there are processors.
      skip_bad: leave out image files of another set that cannot be read.
      code: as of `restore`.

    Returns:
      The metrics, with what they were measured on and notes of it; also written to the run's
      `evaluations/`, and what was told of each example to its `predictions/`.

    Raises:
      UserError: there is no such run, checkpoint or split, or the data do not fit the model.
    """
    check_workers(workers)
    folder, restored = RunFolder(run), restore(run, checkpoint, code)
    recipe, spec, parts = restored.recipe, restored.spec, folder.parts()
    if views is not None:
        recipe = dataclasses.replace(recipe, views=views)
    if dataset is None or is_own(recipe.data, dataset, parts):
        data = own_part(restored, split, data_dir, parts)
    elif lies_in(restored, dataset, parts):
        data = own_part(restored, split, data_dir, parts, dataset)
    else:
        skip_bad = skip_bad or recipe.data.skip_bad
        data = judged_set(restored, dataset, split, data_dir, skip_bad=skip_bad, learnt=parts)
    evaluator = Evaluator(recipe, spec, restored.mesh, workers)
    kept: dict[str, np.ndarray] = {}
    metrics = evaluator(restored.variables, data.examples, chosen=restored.chosen, kept=kept)
    assert metrics is not None
    unseen = None if data.unseen is None else evaluator(restored.variables, data.unseen)
    found = {
        "dataset": data.name,
        "split": data.split,
        "checkpoint": checkpoint,
        "step": restored.step,
        "views": recipe.views,
        **metrics,
        "unseen": unseen,
        "notes": list(data.notes),
        "devices": device_names(list(restored.mesh.devices.flat)),
        "versions": versions(),
    }
    other = None if recipe.views == restored.recipe.views else recipe.views
    name = file_name(data.name, data.split, restored.step, other)
    predictions = predictions_of(
        kept,
        data.examples,
        data.digests,
        recipe=recipe,
        spec=spec,
        run=str(run.resolve()),
        dataset=data.name,
        split=data.split,
        checkpoint=checkpoint,
        step=restored.step,
    )
    try:
        if predictions is None:
            found["notes"].append(TOO_LARGE)
        else:
            file = folder.predictions / f"{name}.parquet"
            predictions.write(file)
            found["predictions"] = str(file)
        folder.write_evaluation(name, found)
    except OSError as error:
        # What was found is worth more than the files.
        print(f"not written beside the run: {error.strerror}", file=sys.stderr)
    return found
