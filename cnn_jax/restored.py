"""A trained model from a run folder, on whatever devices there are here."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from cnn_jax.checkpoints.checkpoints import Checkpoints
from cnn_jax.data.spec import DataSpec
from cnn_jax.devices.jax_settings import fix_settings
from cnn_jax.devices.mesh import make_mesh
from cnn_jax.recipe import Recipe
from cnn_jax.run_folder import RunFolder
from cnn_jax.state import Variables
from cnn_jax.tasks import metric_that_counts
from cnn_jax.training.recipe_functions import abstract_state


@dataclass(frozen=True)
class Restored:
    """A model as it stood at a checkpoint.

    Attributes:
      recipe: how it was trained.
      spec: facts of the data it was trained on.
      step: the updates it had had.
      variables: what it is applied with in evaluation: the averages where there are any.
      mesh: the devices they lie on.
      chosen: what its task chose on the validation part at this step, such as thresholds.
      crop: part of the shorter side that the central square has which is cut out of a user's
        image before it is resized; None takes the whole image.
    """

    recipe: Recipe
    spec: DataSpec
    step: int
    variables: Variables
    mesh: Mesh
    crop: float | None = None
    chosen: dict[str, Any] | None = None


def restore(run: Path, checkpoint: str = "best", code: Sequence[Path] = ()) -> Restored:
    """Restores a run's model.

    Args:
      run: a run folder.
      checkpoint: `best`, `latest` or a step; of a run without validation the best is the latest.
      code: files to use for code of one's own that has changed, moved or gone since.

    Raises:
      UserError: this is no run folder, it holds no such checkpoint, or its own code is not found.
    """
    fix_settings()
    folder = RunFolder(run)
    recipe, mesh = folder.recipe(code), make_mesh()
    metric = metric_that_counts(recipe)
    checkpoints = Checkpoints(folder.checkpoints, recipe.checkpoints, metric, read_only=True)
    try:
        spec = folder.data_spec()
        if checkpoint == "best" and "validation" not in spec.examples:
            checkpoint = "latest"
        step = checkpoints.find(checkpoint)
        state, _ = checkpoints.restore(step, abstract_state(recipe, spec, mesh))
        chosen = checkpoints.metrics(step).get("chosen")
    finally:
        checkpoints.close()
    # Whatever is read for this model is read as its training images were.
    data = dataclasses.replace(recipe.data, grey_range=spec.grey_range)
    recipe = dataclasses.replace(recipe, data=data)
    return Restored(recipe, spec, step, state.evaluated, mesh, recipe.data.central_crop, chosen)
