"""What an experiment script calls: the recipe's fields as flags, then the training."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from cnn_jax.commands.command_line import added_options, parse, quiet_libraries
from cnn_jax.devices.compilation_cache import no_cache, use_cache
from cnn_jax.devices.mesh import Parallel
from cnn_jax.devices.processes import (
    Processes,
    connect,
    connected,
    is_first,
    leave,
    process_index,
    together,
)
from cnn_jax.errors import UserError, shown_to_user
from cnn_jax.json_values import write_json
from cnn_jax.output_streams import forgiving_output
from cnn_jax.recipe import Recipe
from cnn_jax.runs.run import Summary, train
from cnn_jax.runs.seeds import spread, train_seeds
from cnn_jax.training.stop import StopRequest


@dataclass(frozen=True)
class Launch:
    """How a recipe is run: what does not change its result."""

    recipe: Annotated[Recipe, tyro.conf.arg(name="")]
    parallel: Parallel = field(default_factory=Parallel)
    processes: Processes = field(default_factory=Processes)
    workdir: Path | None = None
    """The run folder; by default runs/NAME. A run that lies there is gone on with."""
    seeds: int | None = None
    """Run so many seeds in turn, from --seed on, compiling once; their run folders are
    WORKDIR/seed-S, by default in runs/NAME-seeds."""
    at_once: bool = False
    """Run the seeds at once, each on a device of its own, as many as there are devices."""
    workers: int | None = None
    """Processes that read and decode images of a set which streams, by default as many as there
    are processors; 0 reads in threads of the one that trains."""
    restarts: int = 0
    """After a loss that is not finite go back to the last good checkpoint and leave out the
    batches from there to the failure, so many times at most."""
    debug: bool = False
    """Wait for every step, forbid copies between host and devices that nobody asked for, and name
    the operation that gave the first number which is not finite."""
    allow_recipe_change: bool = False
    """Go on with the run in the folder although its recipe was another."""
    compilation_cache: bool = True
    """Keep compiled programs in ~/.cache/cnn_jax/compiled (or $XDG_CACHE_HOME/cnn_jax/compiled, or
    $JAX_COMPILATION_CACHE_DIR), so that the next start need not compile them."""
    data_dir: Path | None = None
    """Where data sets lie, by default as TFDS has it."""


def main(recipe: Recipe, arguments: Sequence[str] | None = None) -> None:
    """Trains the recipe as the command line changes it; ends the process on an error.

    Args:
      recipe: the experiment.
      arguments: the words of the command line, by default those of the process.
    """
    quiet_libraries()
    try:
        with (
            forgiving_output(),
            shown_to_user(process_index),
            StopRequest(ends_process=True) as stop,
            together(),
        ):
            _main(recipe, arguments, stop)
    except BaseException as end:
        # The others may be waiting for this process, and JAX's farewell waits for them.
        if connected() and not (isinstance(end, SystemExit) and end.code in (None, 0)):
            if not isinstance(end, SystemExit):
                traceback.print_exc()
            leave(end.code if isinstance(end, SystemExit) and isinstance(end.code, int) else 1)
        raise


def _main(recipe: Recipe, arguments: Sequence[str] | None, stop: StopRequest) -> None:
    launch = parse(Launch, default=Launch(recipe), arguments=arguments)
    connect(launch.processes)
    stop.hear()
    console = Console(quiet=not is_first())
    if not launch.compilation_cache:
        no_cache()
    elif (why := use_cache()) is not None:
        _tell(console, why)
    recipe = added_options(recipe, launch.recipe)
    if launch.restarts < 0:
        raise UserError(f"--restarts {launch.restarts} must be at least 0")
    if launch.at_once and launch.seeds is None:
        raise UserError("--at-once is for several seeds: give --seeds as well")
    if launch.seeds is None:
        workdir = launch.workdir or Path("runs") / recipe.name
        summary = train(
            recipe,
            workdir,
            parallel=launch.parallel,
            restarts=launch.restarts,
            debug=launch.debug,
            allow_change=launch.allow_recipe_change,
            data_dir=launch.data_dir,
            workers=launch.workers,
            console=console,
            stop=stop,
        )
        _tell(console, result_line(summary))
        _tell(console, f"run folder: {workdir}")
        return
    if launch.seeds < 1:
        raise UserError(f"--seeds {launch.seeds} must be at least 1")
    workdir = launch.workdir or Path("runs") / f"{recipe.name}-seeds"
    summaries = train_seeds(
        recipe,
        workdir,
        launch.seeds,
        at_once=launch.at_once,
        parallel=launch.parallel,
        restarts=launch.restarts,
        debug=launch.debug,
        allow_change=launch.allow_recipe_change,
        data_dir=launch.data_dir,
        workers=launch.workers,
        console=console,
        stop=stop,
    )
    for summary in summaries:
        _tell(console, f"seed {summary['recipe']['seed']}: {result_line(summary)}")
    found = spread(summaries)
    try:
        if is_first():
            write_json(workdir / "seeds.json", found)
    except OSError as error:
        raise UserError(f"{workdir}/seeds.json cannot be written: {error.strerror}") from None
    for name, values in found.items():
        deviation = "" if values["deviation"] is None else f" ± {values['deviation']:.2g}"
        _tell(console, f"{name}: {values['mean']:.6g}{deviation} (n={values['n']})")
    _tell(console, f"run folders: {workdir}")


def result_line(summary: Summary) -> str:
    """The result of a run in a line."""
    test, best = summary["test"], summary["best"]
    times = (
        f"{summary['seconds']['train']:.0f} s in training steps "
        f"({summary['images_per_second']:,.0f} images/s), "
        f"{summary['seconds']['total']:.0f} s in all"
    )
    if best is None:
        chosen = f"last state, of step {summary['steps']}, without validation"
    else:
        chosen = f"checkpoint of step {best['step']} (validation accuracy {best['accuracy']:.2%})"
    if test is None:
        return f"{'best is the ' * (best is not None)}{chosen}; no test split; {times}"
    return (
        f"test accuracy {test['accuracy']:.2%}, nll {test['nll']:.4f} "
        f"on all {test['examples']:,} examples; {chosen}; {times}"
    )


def _tell(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
