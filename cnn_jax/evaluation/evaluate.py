"""Metrics of a restored model on a split."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnn_jax.augment.views import Views
from cnn_jax.data.dataset import Examples, Split
from cnn_jax.data.fields import fields_of, is_spatial
from cnn_jax.data.pieces import check_workers
from cnn_jax.evaluation.judged import SplitName, judged_set
from cnn_jax.evaluation.own_data import is_own, lies_in, own_part
from cnn_jax.evaluation.predictions import file_name, predictions_of, why_none
from cnn_jax.evaluation.sounds_to_tell import for_length
from cnn_jax.evaluation.videos_to_tell import for_frames
from cnn_jax.restored import Restored, restore
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
    options: Mapping[str, Any] | None = None,
    look: Callable[[Restored, Examples], None] | None = None,
) -> dict[str, Any]:
    """Evaluates a run's model on every example of a split, and writes what it finds.

    Of the run's own data it is the part as it was when the run began, told by what the examples
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
      options: of the task, which take the place of those of the recipe, such as `window` of
        segmentation.
      look: is called with the model and the examples that it was judged by.

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
    if options:
        task = dataclasses.replace(recipe.task, options={**recipe.task.options, **options})
        recipe = dataclasses.replace(recipe, task=task)
    if dataset is None or is_own(recipe.data, dataset, parts):
        data = own_part(restored, split, data_dir, parts)
    elif lies_in(restored, dataset, parts):
        data = own_part(restored, split, data_dir, parts, dataset)
    else:
        skip_bad = skip_bad or recipe.data.skip_bad
        data = judged_set(restored, dataset, split, data_dir, skip_bad=skip_bad, learnt=parts)
    if spec.input_kind == "sound":
        recipe, spec = for_length(recipe, spec, data.examples.image_shape[0])
    if spec.input_kind == "clip":
        spec = for_frames(spec, data.examples.image_shape[0])
    if is_spatial(spec.targets) and isinstance(data.examples, Split):
        # Masks are as large as the largest image, boxes as many as in the fullest.
        spec = dataclasses.replace(spec, targets=fields_of(data.examples.targets))
    evaluator = Evaluator(recipe, spec, restored.mesh, workers)
    kept: dict[str, np.ndarray] = {}
    metrics = evaluator(
        restored.variables, data.examples, chosen=restored.chosen, details=True, kept=kept
    )
    assert metrics is not None
    unseen = None if data.unseen is None else evaluator(restored.variables, data.unseen)
    if look is not None:
        look(restored, data.examples)
    found = {
        "dataset": data.name,
        "split": data.split,
        "checkpoint": checkpoint,
        "step": restored.step,
        "views": recipe.views,
        **({"options": dict(options)} if options else {}),
        **metrics,
        "unseen": unseen,
        "notes": list(data.notes),
        "devices": device_names(list(restored.mesh.devices.flat)),
        "versions": versions(),
    }
    other = None if recipe.views == restored.recipe.views else recipe.views
    name = file_name(data.name, data.split, restored.step, other)
    for option, value in (options or {}).items():
        name += f"-{option}-{value}"
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
            found["notes"].append(why_none(recipe))
        else:
            file = folder.predictions / f"{name}.parquet"
            predictions.write(file)
            found["predictions"] = str(file)
        folder.write_evaluation(name, found)
    except OSError as error:
        # What was found is worth more than the files.
        print(f"not written beside the run: {error.strerror}", file=sys.stderr)
    return found
