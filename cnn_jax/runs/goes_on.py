"""What a run cannot go on with, or a program cannot be used for."""

from __future__ import annotations

import dataclasses

from cnn_jax.errors import UserError
from cnn_jax.json_values import differences, to_json
from cnn_jax.recipe import Recipe
from cnn_jax.state import TrainState
from cnn_jax.tasks import resolved
from cnn_jax.training.program import Program


def check_same(made: Recipe, given: Recipe) -> None:
    """Refuses a program that was made for another recipe, but for its seed."""
    lines = differences(
        to_json(resolved(dataclasses.replace(made, seed=given.seed))), to_json(given)
    )
    if lines:
        raise UserError(
            "the experiment was made for another recipe (stored) than is to be trained (now):\n  "
            + "\n  ".join(lines)
            + "\nMake it with Experiment.of(recipe)."
        )


def check_goes_on(recipe: Recipe, program: Program, state: TrainState, latest: int) -> None:
    """Refuses a changed recipe that the run cannot go on with."""
    if latest > program.plan.total:
        raise UserError(
            f"the run has {latest} steps already, more than the {program.plan.total} of "
            f"--duration {recipe.duration}; choose another --workdir"
        )
    if int(state.seed) != recipe.seed:
        raise UserError(
            f"the run has begun with seed {int(state.seed)}, so it cannot go on with --seed "
            f"{recipe.seed}; choose another --workdir"
        )
