"""What an experiment script calls: the recipe's fields as flags, then the training."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import jax
import tyro
from rich.console import Console

from cnn_jax.commands.command_line import added_options, parse, quiet_libraries
from cnn_jax.data.main_guard import end_if_imported
from cnn_jax.devices.compilation_cache import no_cache, use_cache
from cnn_jax.devices.device_failure import devices_told
from cnn_jax.devices.jax_settings import fix_settings
from cnn_jax.devices.mesh import Parallel
from cnn_jax.devices.processes import (
    Processes,
    connect,
    connected,
    first_does,
    is_first,
    leave,
    process_index,
    together,
)
from cnn_jax.errors import UserError, shown_to_user
from cnn_jax.json_values import from_json, write_json
from cnn_jax.optimisation.optimizer_change import with_own_rate
from cnn_jax.output_streams import forgiving_output
from cnn_jax.recipe import Recipe
from cnn_jax.run_folder import Taken
from cnn_jax.runs.own_folder import own_folder
from cnn_jax.runs.run import Summary, train
from cnn_jax.runs.seeds import spread, train_seeds
from cnn_jax.tasks import headline, metric_that_counts, resolved
from cnn_jax.terminal import never_fail, say
from cnn_jax.training.stop import StopRequest

T = TypeVar("T")


@dataclass(frozen=True)
class Launch:
    """How a recipe is run: what does not change its result."""

    recipe: Annotated[Recipe, tyro.conf.arg(name="")]
    parallel: Parallel = field(default_factory=Parallel)
    processes: Processes = field(default_factory=Processes)
    workdir: Path | None = None
    """The run folder. A run of the same recipe that lies there is gone on with. By default
    runs/NAME, or where that holds another recipe runs/NAME-2, runs/NAME-3 and so on."""
    seeds: int | None = None
    """Run so many seeds in turn, from --seed on, compiling once; their run folders are
    WORKDIR/seed-S, by default in runs/NAME-seeds, runs/NAME-seeds-2 and so on."""
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
    end_if_imported()
    never_fail()
    quiet_libraries()
    try:
        with (
            forgiving_output(),
            shown_to_user(process_index),
            StopRequest(ends_process=True) as stop,
            together(),
            devices_told(),
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
    fix_settings()
    console = Console(quiet=not is_first())
    if not launch.compilation_cache:
        no_cache()
    elif (why := use_cache()) is not None:
        say(console, why)
    words = sys.argv[1:] if arguments is None else arguments
    recipe, told = with_own_rate(recipe, added_options(recipe, launch.recipe), words)
    recipe = resolved(recipe)
    for line in told:
        say(console, line)
    if launch.restarts < 0:
        raise UserError(f"--restarts {launch.restarts} must be at least 0")
    if launch.at_once and launch.seeds is None:
        raise UserError("--at-once is for several seeds: give --seeds as well")
    how: dict[str, Any] = {
        "parallel": launch.parallel,
        "restarts": launch.restarts,
        "debug": launch.debug,
        "allow_change": launch.allow_recipe_change,
        "data_dir": launch.data_dir,
        "workers": launch.workers,
        "stop": stop,
    }
    if launch.seeds is None:
        workdir, summary = _in_folder(
            launch, recipe, console, lambda path: train(recipe, path, **how, console=console)
        )
        say(console, result_line(summary))
        say(console, f"run folder: {workdir}")
        return
    if launch.seeds < 1:
        raise UserError(f"--seeds {launch.seeds} must be at least 1")
    seeds, at_once = launch.seeds, launch.at_once
    workdir, summaries = _in_folder(
        launch,
        recipe,
        console,
        lambda path: train_seeds(recipe, path, seeds, at_once=at_once, **how, console=console),
    )
    for summary in summaries:
        say(console, f"seed {summary['recipe']['seed']}: {result_line(summary)}")
    found = spread(summaries)
    try:
        if is_first():
            write_json(workdir / "seeds.json", found)
    except OSError as error:
        raise UserError(f"{workdir}/seeds.json cannot be written: {error.strerror}") from None
    for name, values in found.items():
        deviation = "" if values["deviation"] is None else f" ± {values['deviation']:.2g}"
        say(console, f"{name}: {values['mean']:.6g}{deviation} (n={values['n']})")
    say(console, f"run folders: {workdir}")


def _in_folder(
    launch: Launch, recipe: Recipe, console: Console, run: Callable[[Path], T]
) -> tuple[Path, T]:
    """The folder that is asked for, or else the recipe's own, and what a run there gives."""
    if launch.workdir is not None:
        return launch.workdir, run(launch.workdir)
    seeds, allow_change = launch.seeds is not None, launch.allow_recipe_change
    base = Path("runs") / (f"{recipe.name}-seeds" if seeds else recipe.name)

    def look() -> list[str]:
        own = own_folder(recipe, base, seeds=seeds, allow_change=allow_change)
        return [str(own.path), own.why]

    path, why = first_does(look)
    while True:
        if why:
            say(console, why)
        try:
            return Path(path), run(Path(path))
        except Taken:
            # Another start may have been faster, with another recipe of this name.
            if jax.process_count() > 1:
                raise
            before = path
            path, why = look()
            if path == before:
                raise


def result_line(summary: Summary) -> str:
    """The result of a run in a line."""
    test, best = summary["test"], summary["best"]
    recipe = from_json(summary["recipe"], Recipe, "the summary")
    times = (
        f"{summary['seconds']['train']:.0f} s in training steps "
        f"({summary['images_per_second']:,.0f} {summary.get('unit', 'images')}/s), "
        f"{summary['seconds']['total']:.0f} s in all"
    )
    if best is None:
        chosen = f"last state, of step {summary['steps']}, without validation"
    else:
        metric = metric_that_counts(recipe)
        value = metric.written(best[metric.name])
        chosen = f"checkpoint of step {best['step']} (validation {metric.name} {value})"
    if test is None:
        return f"{'best is the ' * (best is not None)}{chosen}; no test split; {times}"
    return f"test {headline(recipe, test)} on all {test['examples']:,} examples; {chosen}; {times}"
