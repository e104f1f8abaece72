"""The metrics of a run's task, computed again from stored predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnn_jax.errors import UserError
from cnn_jax.evaluation.predictions import Predictions
from cnn_jax.run_folder import RunFolder
from cnn_jax.tasks import make_task


def metrics_of(run: Path, file: Path, code: Sequence[Path] = ()) -> dict[str, Any]:
    """The metrics of a run's task from stored predictions, without the model.

    What was chosen on the validation part, such as a threshold, is not used.

    Args:
      run: the run folder.
      file: of predictions.
      code: as of `cnn_jax.restored.restore`.

    Raises:
      UserError: there is no such run or file, or it holds something else.
    """
    folder = RunFolder(run)
    recipe, spec = folder.recipe(code), folder.data_spec()
    task, stored = make_task(recipe, spec), Predictions.read(file)
    theirs, ours = stored.about["task"], str(recipe.task.name)
    if theirs != ours or "sums" not in stored.about:
        raise UserError(f"--records {file} is of the task {theirs}; that of this run is {ours}")
    sums = {name: np.asarray(value) for name, value in stored.about["sums"].items()}
    metrics = task.finish(sums, stored.columns, None)
    found = {"records": str(file), **metrics, "examples": len(stored)}
    return {**found, "notes": [], "unseen": None}
