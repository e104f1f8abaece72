"""What the model of a run tells of its held-out examples, stored beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cnn_jax.data.dataset import Examples
from cnn_jax.devices.processes import first_does
from cnn_jax.evaluation.predictions import file_name, predictions_of, why_none
from cnn_jax.recipe import Recipe
from cnn_jax.run_folder import RunFolder
from cnn_jax.runs.experiment import Experiment
from cnn_jax.state import TrainState
from cnn_jax.tasks import predicted_kind


def evaluated(
    split: str,
    state: TrainState,
    *,
    recipe: Recipe,
    folder: RunFolder,
    experiment: Experiment,
    say: Callable[[str], None],
    chosen: Mapping[str, Any] | None = None,
) -> dict[str, Any] | None:
    """The metrics of a part of the data; what is told of each example is written to the run.

    A run does not fail where that cannot be written.

    Args:
      split: the part.
      state: that is evaluated.
      recipe: of the run.
      folder: of the run.
      experiment: its data and program.
      say: shows a line.
      chosen: as of `cnn_jax.training.evaluator.Evaluator`.

    Returns:
      None where there is no such part.
    """
    examples: Examples | None = getattr(experiment.dataset, split)
    if examples is None:
        return None
    kept: dict[str, np.ndarray] = {}
    metrics = experiment.program.evaluate(state.evaluated, examples, chosen=chosen, kept=kept)
    dataset, step = str(recipe.data.name), int(state.step)
    validated = experiment.dataset.validation is not None

    def write() -> None:
        predictions = predictions_of(
            kept,
            examples,
            experiment.parts.digests[split],
            recipe=recipe,
            spec=experiment.program.spec,
            run=str(folder.path.resolve()),
            dataset=dataset,
            split=split,
            checkpoint="best" if validated else "latest",
            step=step,
        )
        if predictions is None:
            if predicted_kind(recipe):
                say(f"{split}: {why_none(recipe)}")
            return
        try:
            predictions.write(folder.predictions / f"{file_name(dataset, split, step)}.parquet")
        except OSError as error:
            say(f"{split}: predictions are not kept: {error.strerror or error}")

    first_does(write)
    return metrics
