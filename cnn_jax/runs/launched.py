"""What a command line asks for is carried out: a run, or several seeds of it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax
from rich.console import Console

from cnn_jax.devices.compilation_cache import no_cache, use_cache
from cnn_jax.devices.device_failure import devices_told
from cnn_jax.devices.jax_settings import fix_settings
from cnn_jax.devices.processes import (
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
from cnn_jax.own.importing import stop_if_importing
from cnn_jax.recipe import Recipe
from cnn_jax.run_folder import Taken
from cnn_jax.runs.folds import of_folds, train_folds
from cnn_jax.runs.launch_options import Launch
from cnn_jax.runs.own_folder import own_folder
from cnn_jax.runs.run import train
from cnn_jax.runs.seeds import spread, train_seeds
from cnn_jax.runs.start import Summary
from cnn_jax.tasks import headline, metric_that_counts, resolved
from cnn_jax.terminal import say
from cnn_jax.training.callbacks import Callback
from cnn_jax.training.display import per_second
from cnn_jax.training.stop import StopRequest
from cnn_jax.training.trackers import trackers

T = TypeVar("T")


def carry_out(
    launch: Launch,
    default: Recipe,
    words: Sequence[str],
    told: Sequence[str] = (),
    callbacks: Sequence[Callback] = (),
) -> None:
    """Trains what a command line asks for; ends the process on an error.

    Args:
      launch: what was asked for, its options added to those of the default.
      default: the recipe before the command line changed it.
      words: of the command line.
      told: lines that are said first.
      callbacks: as of `cnn_jax.train`.
    """
    stop_if_importing()
    try:
        with (
            forgiving_output(),
            shown_to_user(process_index),
            StopRequest(ends_process=True) as stop,
            together(),
            devices_told(),
        ):
            _train(launch, default, words, told, stop, callbacks)
    except BaseException as end:
        # The others may be waiting for this process, and JAX's farewell waits for them.
        if connected() and not (isinstance(end, SystemExit) and end.code in (None, 0)):
            if not isinstance(end, SystemExit):
                traceback.print_exc()
            leave(end.code if isinstance(end, SystemExit) and isinstance(end.code, int) else 1)
        raise


def _train(
    launch: Launch,
    default: Recipe,
    words: Sequence[str],
    told: Sequence[str],
    stop: StopRequest,
    callbacks: Sequence[Callback],
) -> None:
    connect(launch.processes)
    stop.hear()
    fix_settings()
    console = Console(quiet=not is_first())
    if not launch.compilation_cache:
        no_cache()
    elif (why := use_cache()) is not None:
        say(console, why)
    recipe, changed = with_own_rate(default, launch.recipe, words)
    recipe = resolved(recipe)
    for line in (*told, *changed):
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
        "callbacks": [*callbacks, *trackers(launch.log)] if is_first() else (),
    }
    if launch.seeds is not None and launch.folds is not None:
        raise UserError("--seeds and --folds are two kinds of repetition: give one of them")
    if launch.folds is not None:
        _folds(launch, recipe, console, how)
        return
    if launch.seeds is None:
        workdir, summary = _in_folder(
            launch, recipe, console, lambda path: train(recipe, path, **how, console=console)
        )
        say(console, result_line(summary, recipe))
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
    for each in summaries:
        say(console, f"seed {each['recipe']['seed']}: {result_line(each, recipe)}")
    _tell_spread(workdir / "seeds.json", summaries, recipe, console)


def _folds(launch: Launch, recipe: Recipe, console: Console, how: dict[str, Any]) -> None:
    """Runs every fold, and tells what came of each and of all."""
    folds = launch.folds
    assert folds is not None
    if folds < 2:
        raise UserError(f"--folds {folds} must be at least 2")
    workdir, summaries = _in_folder(
        launch,
        of_folds(recipe, folds)[0],
        console,
        lambda path: train_folds(recipe, path, folds, **how, console=console),
    )
    for each in summaries:
        called = f" ({each['fold']})" if each.get("fold") else ""
        fold = each["recipe"]["data"]["fold"]
        say(console, f"fold {fold}{called}: {result_line(each, recipe)}")
    _tell_spread(workdir / "folds.json", summaries, recipe, console)


def _tell_spread(file: Path, summaries: list[Summary], recipe: Recipe, console: Console) -> None:
    """Writes mean and deviation of several runs, and says those that count."""
    found = spread(summaries)
    try:
        if is_first():
            write_json(file, found)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}") from None
    means, deviations = (
        {name.removeprefix("test "): values[each] for name, values in found.items()}
        for each in ("mean", "deviation")
    )
    test = headline(recipe, means, deviations)
    told = f"test {test}" if test else "no test split"
    say(
        console,
        f"mean{' ± deviation' * (len(summaries) > 1)} of {len(summaries)}: {told}; "
        f"{means['seconds']:.0f} s each; more in {file}",
    )
    say(console, f"run folders: {file.parent}")


def _in_folder(
    launch: Launch, recipe: Recipe, console: Console, run: Callable[[Path], T]
) -> tuple[Path, T]:
    """The folder that is asked for, or else the recipe's own, and what a run there gives."""
    if launch.workdir is not None:
        return launch.workdir, run(launch.workdir)
    members = None
    if launch.seeds is not None:
        members = "seeds"
    elif launch.folds is not None:
        members = "folds"
    base = Path("runs") / (f"{recipe.name}-{members}" if members else recipe.name)
    allow_change = launch.allow_recipe_change

    def look() -> list[str]:
        own = own_folder(recipe, base, members=members, allow_change=allow_change)
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


def result_line(summary: Summary, recipe: Recipe | None = None) -> str:
    """The result of a run in a line.

    Args:
      summary: of the run.
      recipe: that was trained, needed where it has code of the user's own.
    """
    test, best = summary["test"], summary["best"]
    recipe = recipe or from_json(summary["recipe"], Recipe, "the summary")
    times = (
        f"{summary['seconds']['train']:.0f} s in training steps "
        f"({per_second(summary['images_per_second'])} {summary.get('unit', 'images')}/s), "
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
