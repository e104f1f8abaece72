"""The command that tries many recipes and chooses one by validation."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from cnn_jax.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from cnn_jax.recipe import Recipe
    from cnn_jax.runs.optuna_search import Suggestions
    from cnn_jax.runs.sweep import Trial
    from cnn_jax.runs.sweep_record import Outcome, Record
    from cnn_jax.runs.trial_folder import Request
    from cnn_jax.tasks import Metric


@dataclass(frozen=True)
class Sweep:
    """Train a recipe with many values of some fields, and choose the best by validation.

    Each trial is an ordinary run folder. The same command continues a sweep that was stopped.
    Trials run one after the other, side by side on the devices here (--devices-per-trial), or as
    jobs of a cluster (--cluster). Trials one after the other that differ only in the seed or the
    learning rate are compiled once.
    """

    recipe: tyro.conf.Positional[Path]
    """An experiment's .py file, a run folder, or a recipe.json."""
    grid: tuple[str, ...] = ()
    """Fields with their values; all combinations are tried: `optimizer.learning_rate=0.1,0.01
    batch_size=64,128`."""
    space: tuple[str, ...] = ()
    """Fields with values or ranges, from which --random and --optuna draw: `lr=log:0.001..0.1
    model.options.dropout=0,0.2`."""
    random: int | None = None
    """Try this many random combinations from --space."""
    optuna: int | None = None
    """Try this many combinations from --space that Optuna suggests. Trials that do worse than the
    median of the others are stopped early."""
    set: tuple[str, ...] = ()
    """Fields that have the same value in all trials, such as `duration=2 data.validation=0.2`."""
    seeds: int = 1
    """Number of seeds of each trial; trials are compared by their mean."""
    draw: int = 0
    """Seed of --random and --optuna."""
    workdir: Path | None = None
    """Folder of the sweep. By default runs/NAME-sweep."""
    devices_per_trial: int | None = None
    """Run trials side by side, each in its own process on this many devices: GPUs, or CPU devices,
    of which XLA_FLAGS=--xla_force_host_platform_device_count=N makes N."""
    cluster: Literal["slurm", "local"] | None = None
    """Submit each trial as a job of its own, with submitit, and end; the same command then shows
    the state of the jobs. `local` starts all at once on this machine, to try it out."""
    cluster_options: Mapping[str, Any] = field(default_factory=dict)
    """What a job asks for, as options of submitit or Slurm: `timeout_min=240 gpus_per_node=1
    cpus_per_task=8 mem_gb=32 partition=NAME array_parallelism=8`."""
    again: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Submit again the trials whose jobs have ended without a result."""
    plot: Path | None = None
    """Also draw the metric over the values of each field into this PNG file."""
    workers: int | None = None
    """Number of processes that read a streamed data set. By default one for each processor, shared
    between trials that run side by side."""
    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the result as JSON at the end; progress goes to stderr."""

    def __call__(self) -> None:
        """Runs what has not been run, and prints a table with the best first.

        Raises:
          UserError: something is unknown or does not fit; before anything is trained.
        """
        from rich.console import Console

        from cnn_jax.commands.sweep_table import show_sweep
        from cnn_jax.commands.swept_trials import base_recipe, check_apart
        from cnn_jax.json_values import to_json
        from cnn_jax.runs.sweep_record import Record
        from cnn_jax.tasks import metric_that_counts, resolved

        self._check()
        base = base_recipe(self.recipe, self.set)
        flag, swept = ("--grid", self.grid) if self.grid else ("--space", self.space)
        check_apart(base, self.set, flag, swept)
        top = self.workdir or Path("runs") / f"{base.name}-sweep"
        metric = metric_that_counts(base)
        record, console = (
            Record(top, metric, to_json(resolved(base))),
            Console(file=sys.stderr if self.json else None),
        )
        suggestions = self._suggestions(base, top, metric)
        trials = self._trials(base, top, record, suggestions)

        def ended(trial: Trial, outcome: Outcome) -> None:
            record.add(outcome)
            if suggestions is not None:
                suggestions.tell(trial, outcome)

        if self.cluster is not None:
            left = self._on_cluster(trials, top, record, console)
        elif self.devices_per_trial is not None:
            left = self._side_by_side(trials, top, ended, console)
        else:
            left = self._in_turn(trials, ended, console)
        outcomes = list({**record.outcomes, **{each.folder: each for each in left}}.values())
        elsewhere = self.cluster is not None
        show_sweep(
            top, metric, outcomes, base.seed, plot=self.plot, as_json=self.json, goes_on=elsewhere
        )
        if left and not elsewhere:
            failed = UserError(
                f"{len(left)} of {len(outcomes)} trials have no result; the same command tries "
                "them again"
            )
            failed.exit_code = 1
            raise failed

    def _in_turn(
        self, trials: Iterable[Trial], ended: Callable[[Trial, Outcome], None], console: Console
    ) -> list[Outcome]:
        """Runs trials in this process, on all devices; none is left."""
        from cnn_jax.runs.optuna_search import told_of
        from cnn_jax.runs.sweep import Experiments, run_trial
        from cnn_jax.training.stop import StopRequest

        experiments = Experiments(self.data_dir, self.workers)
        with StopRequest() as stop:
            how: dict[str, Any] = {"stop": stop, "console": console}
            for trial in trials:
                told = told_of(trial)
                ended(trial, run_trial(trial, self.seeds, experiments, callbacks=told, **how))
        return []

    def _side_by_side(
        self,
        trials: Iterable[Trial],
        top: Path,
        ended: Callable[[Trial, Outcome], None],
        console: Console,
    ) -> list[Outcome]:
        """Runs trials in processes of their own; returns those that left no outcome."""
        from cnn_jax.data.pieces import default_workers
        from cnn_jax.devices.shares import shares
        from cnn_jax.runs.side_by_side import SideBySide
        from cnn_jax.terminal import say
        from cnn_jax.training.stop import StopRequest

        assert self.devices_per_trial is not None
        found, there = shares(self.devices_per_trial, "--devices-per-trial")
        say(
            console,
            f"{len(found)} at once, each on {self.devices_per_trial} of the {there} devices here; "
            f"what they print is in {top / 'trials' / 'NAME' / 'log.txt'}",
        )
        workers = max(1, default_workers() // len(found)) if self.workers is None else self.workers
        with StopRequest() as stop:
            run = SideBySide(
                found,
                lambda trial: self._request(trial, workers=workers, devices=self.devices_per_trial),
                ended,
                stop=stop,
                console=console,
            )
            run(trials)
        return run.left

    def _on_cluster(
        self, trials: Iterable[Trial], top: Path, record: Record, console: Console
    ) -> list[Outcome]:
        """Hands trials in; returns those that have no outcome yet."""
        from cnn_jax.runs.cluster import carry_out_on_cluster, executor

        assert self.cluster is not None
        hands_in = executor(self.cluster, self.cluster_options, top)
        return carry_out_on_cluster(
            list(trials), self._request, record, hands_in, again=self.again, console=console
        )

    def _request(
        self, trial: Trial, *, workers: int | None = None, devices: int | None = None
    ) -> Request:
        """What the process of a trial is to do."""
        from cnn_jax.runs.trial_folder import Request

        trial.check(self.seeds)
        return Request(
            trial.recipe,
            trial.values,
            seeds=self.seeds,
            data_dir=None if self.data_dir is None else str(self.data_dir),
            workers=self.workers if workers is None else workers,
            devices=devices,
            number=trial.number,
        )

    def _suggestions(self, base: Recipe, top: Path, metric: Metric) -> Suggestions | None:
        if self.optuna is None:
            return None
        from cnn_jax.commands.swept_trials import read_space
        from cnn_jax.runs.optuna_search import Suggestions

        return Suggestions(read_space(base, self.space), self.optuna, self.draw, metric, top)

    def _trials(
        self, base: Recipe, top: Path, record: Record, suggestions: Suggestions | None
    ) -> Iterator[Trial]:
        """The trials that are not known to have failed; those of Optuna when they are asked for."""
        from cnn_jax.commands.swept_trials import check_differ, make_trial, read_grid, read_space
        from cnn_jax.runs.search_space import drawn
        from cnn_jax.runs.sweep import by_program

        if suggestions is not None:
            for number, values in suggestions:
                yield make_trial(base, values, top, number)
            return
        if self.random is None:
            each = read_grid(base, self.grid)
        else:
            each = drawn(read_space(base, self.space), self.random, self.draw)
        trials = [make_trial(base, values, top) for values in each]
        check_differ(trials)
        for trial in trials:
            trial.check(self.seeds)
        for trial in by_program(trials):
            known = record.outcomes.get(trial.folder.name)
            if known is None or known.state == "finished":
                yield trial

    def _check(self) -> None:
        if self.plot is not None:
            from cnn_jax.report.learning_curves import check_png

            check_png(self.plot)
        if self.random is not None and self.optuna is not None:
            raise UserError("--random and --optuna are two ways of drawing; give one of them")
        drawn = self.random if self.optuna is None else self.optuna
        if bool(self.grid) == (drawn is not None):
            raise UserError(
                "give what is tried: --grid field=value,value, or --space field=low..high with "
                "--random N or --optuna N"
            )
        if (drawn is not None) != bool(self.space):
            raise UserError("--space says what --random and --optuna draw from: give it with them")
        for flag, value in (
            ("random", self.random),
            ("optuna", self.optuna),
            ("seeds", self.seeds),
        ):
            if value is not None and value < 1:
                raise UserError(f"--{flag} {value} must be at least 1")
        if self.cluster is None and (self.cluster_options or self.again):
            flag = "--cluster-options" if self.cluster_options else "--again"
            raise UserError(f"{flag} is for jobs of a cluster: give --cluster as well")
        if self.cluster is not None and self.devices_per_trial is not None:
            raise UserError(
                "--devices-per-trial is for the devices of this machine; a job of --cluster asks "
                "for its own, as --cluster-options gpus_per_node=1"
            )
        if self.cluster is not None and self.optuna is not None:
            raise UserError(
                "--optuna suggests each trial from what others came to, so that jobs cannot be "
                "handed in at once: give --random with --cluster, or leave --cluster out"
            )
