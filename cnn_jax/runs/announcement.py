"""The lines that a run begins with."""

from __future__ import annotations

from pathlib import Path

import jax
from rich.console import Console

from cnn_jax.data.pieces import default_workers
from cnn_jax.devices.mesh import FSDP
from cnn_jax.optimisation.optimizers import decay_line
from cnn_jax.recipe import Recipe
from cnn_jax.runs.experiment import Experiment
from cnn_jax.terminal import say
from cnn_jax.training.display import Display
from cnn_jax.training.program import Program


def announce_recipe(
    console: Console, recipe: Recipe, path: Path, experiment: Experiment | None = None
) -> None:
    """Says what is known before the data are read.

    Args:
      console: where it is said.
      recipe: what is about to be trained.
      path: the run folder.
      experiment: the recipe made ready on its devices; by default it will have all.
    """
    devices = jax.devices() if experiment is None else list(experiment.program.mesh.devices.flat)
    where = f"{len(devices)} × {devices[0].device_kind}"
    if jax.process_count() > 1:
        where += f" of {jax.process_count()} processes"
    say(
        console,
        f"{recipe.name}: {recipe.model.name} on {recipe.data.name}, {where}; run folder {path}",
    )


def announce(display: Display, experiment: Experiment, path: Path) -> None:
    """Says what is about to be trained, and on what.

    Args:
      display: where it is said.
      experiment: what is trained; its program need not be compiled.
      path: the run folder.
    """
    program = experiment.program
    recipe, spec, plan = program.recipe, program.spec, program.plan
    counts = ", ".join(f"{count:,} {name}" for name, count in spec.examples.items())
    decays = decay_line(recipe.optimizer, program.abstract_state.params, program.frozen)
    parts = program.mesh.shape[FSDP]
    display.say(
        f"{program.parameters:,} parameters; {counts}"
        + (f"; the state in {parts} parts" if parts > 1 else "")
    )
    if spec.streamed:
        workers = default_workers() if experiment.workers is None else experiment.workers
        who = f"{workers} worker{'s' * (workers != 1)}" if workers else "threads"
        display.say(f"images are read from disk by {who}")
        display.say(f"means and deviations are {spec.statistics}")
    for note in spec.notes:
        first, *more = note.splitlines()
        display.say(first.rstrip(":") + (f": see {path / 'data.json'}" if more else ""))
    if experiment.preparation_note:
        display.say(experiment.preparation_note)
    if twins := experiment.parts.twins():
        display.say(twins)
    display.say(f"{recipe.optimizer.name}, {decays}")
    for line in program.update_lines():
        display.say(line)
    display.say(
        f"{plan.total:,} steps of {plan.batch_size} ({plan.epoch(plan.total):.4g} epochs)"
        + (f", {program.steps_per_call} a call" if program.steps_per_call > 1 else "")
    )


def announce_compilations(display: Display, program: Program) -> None:
    """Says how the programs of a run were come by."""
    compilations = program.compilations
    rest = sum(compilations[what].seconds for what in ("init", "seal"))
    display.say(
        f"training step {compilations['train']}; evaluation {compilations['evaluate']}; "
        f"the rest in {rest:.1f} s"
    )
