"""The command line of an experiment: read without JAX, which is imported once there is work."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnn_jax.commands.command_line import added_options, parse, quiet_libraries
from cnn_jax.errors import UserError, shown_to_user
from cnn_jax.interruption import importing
from cnn_jax.output_streams import forgiving_output
from cnn_jax.own.in_files import with_files
from cnn_jax.recipe import Recipe
from cnn_jax.runs.launch_options import Launch
from cnn_jax.terminal import never_fail

if TYPE_CHECKING:
    from cnn_jax.training.callbacks import Callback

MOST_USED = (
    "duration", "batch_size", "optimizer.learning_rate", "model.name", "data.name",
    "data.image_size", "init.source", "optimizer.name", "seed", "workdir",
)  # fmt: skip
"""The fields that are changed most, in the order of the help page."""


def read_launch(recipe: Recipe, words: Sequence[str], *, name: str, about: str | None) -> Launch:
    """What a command line makes of an experiment; `--help` prints its page and ends the process.

    Args:
      recipe: of the experiment.
      words: of the command line.
      name: of the program in its help.
      about: what its help begins with: the experiment's docstring.

    Raises:
      UserError: a flag is unknown, an option is none, code is named that is not there, or a
        function is given for a schedule that has none.
    """
    launch = parse(
        Launch,
        default=Launch(recipe),
        arguments=words,
        name=name,
        about=about or f"Train {recipe.name}.",
        most_used=MOST_USED,
    )
    schedule = launch.recipe.schedule
    # A recipe's own function may stay behind where another schedule is asked for.
    if schedule.name != "own" and schedule.own not in (None, recipe.schedule.own):
        raise UserError(
            f"--schedule.own is only for --schedule.name own, and not for {schedule.name}: give "
            "both, or leave it out"
        )
    return dataclasses.replace(launch, recipe=with_files(added_options(recipe, launch.recipe)))


def run_experiment(
    recipe: Recipe,
    words: Sequence[str],
    *,
    name: str,
    about: str | None,
    callbacks: Sequence[Callback] = (),
) -> None:
    """Trains an experiment as a command line changes it; ends the process on an error.

    Args:
      recipe: of the experiment.
      words: of the command line.
      name: as of `read_launch`.
      about: as of `read_launch`.
      callbacks: as of `cnn_jax.train`.
    """
    never_fail()
    quiet_libraries()
    with forgiving_output(), shown_to_user():
        launch = read_launch(recipe, words, name=name, about=about)
    with importing():
        from cnn_jax.runs.launched import carry_out
    carry_out(launch, recipe, words, callbacks=callbacks)
