"""What an experiment script calls: it reads the recipe's fields as flags, then trains."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnn_jax.commands.experiment_line import run_experiment
from cnn_jax.recipe import Recipe
from cnn_jax.runs.launch_options import Launch as Launch

if TYPE_CHECKING:
    from cnn_jax.training.callbacks import Callback


def main(
    recipe: Recipe,
    arguments: Sequence[str] | None = None,
    *,
    callbacks: Sequence[Callback] = (),
) -> None:
    """Trains the recipe, changed by the flags of the command line; ends the process on an error.

    Args:
      recipe: the experiment.
      arguments: the words of the command line, by default those of the process.
      callbacks: as of `train`.
    """
    caller = inspect.currentframe()
    caller = None if caller is None else caller.f_back
    about = None if caller is None else caller.f_globals.get("__doc__")
    run_experiment(
        recipe,
        sys.argv[1:] if arguments is None else arguments,
        name=sys.argv[0],
        about=about,
        callbacks=callbacks,
    )
