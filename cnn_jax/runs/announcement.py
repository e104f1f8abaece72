"""The lines that a run begins with."""

from __future__ import annotations

from pathlib import Path

import jax

from cnn_jax.data.pieces import default_workers
from cnn_jax.devices.mesh import FSDP
from cnn_jax.optimisation.optimizers import decay_line
from cnn_jax.runs.experiment import Experiment
from cnn_jax.training.display import Display
from cnn_jax.training.program import Program


def announce(display: Display, experiment: Experiment, devices: list[str], path: Path) -> None:
    """Says what is about to be trained, on what, and how long it took to compile.

    Args:
      display: where it is said.
      experiment: what is trained; its program is compiled.
      devices: their names.
      path: the run folder.
    """
    program = experiment.program
    recipe, spec, plan = program.recipe, program.spec, program.plan
    counts = ", ".join(f"{count:,} {name}" for name, count in spec.examples.items())
    compilations = program.compilations
    rest = sum(compilations[what].seconds for what in ("init", "seal"))
    decays = decay_line(recipe.optimizer, program.abstract_state.params, program.frozen)
    display.say(
        f"{recipe.name}: {recipe.model.name} ({program.parameters:,} parameters) on {spec.name} "
        f"({counts}), {_where(program, devices)}"
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
        + f"; run folder {path}"
    )
    display.say(
        f"training step {compilations['train']}; evaluation {compilations['evaluate']}; "
        f"the rest in {rest:.1f} s"
    )


def _where(program: Program, devices: list[str]) -> str:
    """The devices in a few words."""
    words = f"{len(devices)} × {devices[0].rsplit(':', 1)[0]}"
    if jax.process_count() > 1:
        words += f" of {jax.process_count()} processes"
    if (parts := program.mesh.shape[FSDP]) > 1:
        words += f", the state in {parts} parts"
    return words
