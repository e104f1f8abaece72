"""The command that tries many recipes and chooses one by validation."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from cnn_jax.commands.output import metric_text, print_json, print_rows
from cnn_jax.commands.recipe_file import read_recipe
from cnn_jax.commands.swept_fields import full_name, with_fields
from cnn_jax.errors import UserError
from cnn_jax.recipe import Recipe

if TYPE_CHECKING:
    from cnn_jax.runs.search_space import Values
    from cnn_jax.runs.sweep import Outcome, Trial
    from cnn_jax.tasks import Metric

_LONGEST = 120
"""Signs of the name of a trial's folder at most."""


@dataclass(frozen=True)
class Sweep:
    """Train a recipe with many values of some fields, and choose among them by validation.

    Each trial is an ordinary run folder; the same command goes on with a sweep that was stopped.
    Trials that differ in the seed or the learning rate alone share a compilation.
    """

    recipe: tyro.conf.Positional[Path]
    """An experiment's .py file, a run folder, or a recipe.json."""
    grid: tuple[str, ...] = ()
    """Fields with values, all combinations of which are tried: `optimizer.learning_rate=0.1,0.01
    batch_size=64,128`."""
    space: tuple[str, ...] = ()
    """Fields with values or ranges that --random and --optuna draw from:
    `lr=log:0.001..0.1 model.options.dropout=0,0.2`."""
    random: int | None = None
    """Draw so many combinations from --space."""
    optuna: int | None = None
    """Let Optuna suggest so many combinations from --space, and give up trials that do worse than
    the median of others."""
    set: tuple[str, ...] = ()
    """Fields that all trials have, as `duration=2 data.validation=0.2`."""
    seeds: int = 1
    """Run so many seeds of each trial, and choose by their mean."""
    draw: int = 0
    """Seed of what is drawn."""
    workdir: Path | None = None
    """The folder of the sweep, by default runs/NAME-sweep."""
    plot: Path | None = None
    """A PNG file with the metric over the values of each field."""
    workers: int | None = None
    """Processes that read a set that streams, by default as many as there are processors."""
    data_dir: Path | None = None
    """Where data sets lie, by default as TFDS has it."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON at the end; what goes on is written to stderr."""

    def __call__(self) -> None:
        """Runs what has not been run, and prints a table with the best first.

        Raises:
          UserError: something is unknown or does not fit; before anything is trained.
        """
        from rich.console import Console

        from cnn_jax.runs.sweep import Experiments, Record, by_program, run_trial
        from cnn_jax.tasks import metric_that_counts
        from cnn_jax.training.callbacks import Callback
        from cnn_jax.training.stop import StopRequest

        self._check()
        base = self._base()
        top = self.workdir or Path("runs") / f"{base.name}-sweep"
        metric = metric_that_counts(base)
        record, console = Record(top, metric), Console(file=sys.stderr if self.json else None)
        experiments = Experiments(self.data_dir, self.workers)
        with StopRequest() as stop:

            def run(trial: Trial, callbacks: Sequence[Callback] = ()) -> Outcome:
                found = run_trial(
                    trial, self.seeds, experiments, stop=stop, console=console, callbacks=callbacks
                )
                return record.add(found)

            if self.optuna is None:
                trials = [self._trial(base, values, top) for values in self._values(base)]
                for trial in by_program(trials):
                    if self._given_up(record.outcomes.get(trial.folder.name)):
                        continue
                    run(trial)
            else:
                from cnn_jax.runs.optuna_search import search

                search(
                    self._space(base), self.optuna, self.draw, metric, top,
                    lambda values, callbacks: run(self._trial(base, values, top), callbacks),
                )  # fmt: skip
        self._show(top, metric, list(record.outcomes.values()))

    def _check(self) -> None:
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

    def _base(self) -> Recipe:
        from cnn_jax.runs.search_space import parse_lists

        recipe = read_recipe(self.recipe)
        given = parse_lists("--set", self.set)
        if several := [name for name, values in given.items() if len(values) > 1]:
            raise UserError(f"--set {several[0]} has several values; those are for --grid")
        values = {full_name("--set", name, recipe): each[0] for name, each in given.items()}
        return with_fields(recipe, values) if values else recipe

    def _space(self, base: Recipe) -> Mapping[str, Any]:
        """What is drawn from, each end and each value tried on the recipe."""
        from cnn_jax.runs.search_space import Range, parse_space

        found = {
            full_name("--space", name, base): each
            for name, each in parse_space("--space", self.space).items()
        }
        for name, each in found.items():
            ends = (each.at(0.0), each.at(1.0)) if isinstance(each, Range) else each
            for value in ends:
                with_fields(base, {name: value})
        return found

    def _values(self, base: Recipe) -> list[Values]:
        from cnn_jax.runs.search_space import all_of, drawn, parse_lists

        if self.random is not None:
            return drawn(self._space(base), self.random, self.draw)
        lists = parse_lists("--grid", self.grid)
        return all_of({full_name("--grid", name, base): each for name, each in lists.items()})

    def _trial(self, base: Recipe, values: Values, top: Path) -> Trial:
        from cnn_jax.runs.sweep import Trial
        from cnn_jax.tasks import resolved

        recipe = resolved(with_fields(base, values))
        return Trial(values, recipe, top / _folder(values))

    def _given_up(self, known: Outcome | None) -> bool:
        return known is not None and known.state != "finished"

    def _show(self, top: Path, metric: Metric, outcomes: Sequence[Outcome]) -> None:
        from cnn_jax.runs.sweep import ranked

        order = ranked(outcomes, metric)
        if self.plot is not None:
            from cnn_jax.report.sweep_plot import draw_sweep

            tried = [(each.values, each.mean) for each in order if each.mean is not None]
            draw_sweep(tried, metric.name, self.plot)
        best = order[0] if order and order[0].mean is not None else None
        tests = [] if best is None else _tests(top / best.folder, metric.name)
        if self.json:
            trials = [each._asdict() for each in order]
            chosen = None if best is None else {**best._asdict(), "test": tests}
            print_json({"metric": metric.name, "trials": trials, "chosen": chosen})
            return
        fields = list(dict.fromkeys(name for each in order for name in each.values))
        rows = [
            {
                **{_short(name, fields): each.values.get(name) for name in fields},
                f"validation {metric.name}": _mean(each, metric),
                "state": each.state,
            }
            for each in order
        ]
        print_rows(rows, list(rows[0]) if rows else [], as_json=False, empty="no trial was run")
        if best is None:
            raise UserError("no trial was finished, so that none is the best")
        print(f"best on the validation part, of {len(order)} trials: {top / best.folder}")
        if tests:
            told = ", ".join(str(metric_text(metric.name, value)) for value in tests)
            print(f"its test {metric.name}: {told}")
        if best.n == 1 and len(order) > 1:
            print("of one seed each: trials that are near to one another may change places")
        if self.plot is not None:
            print(f"plot: {self.plot}")


def _tests(folder: Path, metric: str) -> list[float]:
    """The metric on the test part of each run of a trial."""
    from cnn_jax.commands.found_runs import find_runs
    from cnn_jax.run_folder import RunFolder

    summaries = [RunFolder(path).summary() for path in find_runs(folder)]
    return [each["test"][metric] for each in summaries if each is not None and each["test"]]


def _mean(each: Outcome, metric: Metric) -> str:
    if each.mean is None:
        return ""
    more = "" if each.deviation is None else f" ± {metric.written(each.deviation)}"
    return metric.written(each.mean) + more


def _short(name: str, names: Sequence[str]) -> str:
    last = name.rpartition(".")[2]
    alone = sum(each.rpartition(".")[2] == last for each in names) == 1
    return last if alone and last != "name" else name


def _folder(values: Mapping[str, str]) -> str:
    """The name of a trial's folder, which tells its values."""
    told = ",".join(f"{_short(name, list(values))}={value}" for name, value in values.items())
    name = re.sub(r"[^\w.,=+-]+", "_", told)
    if len(name) <= _LONGEST and name == told:
        return name
    # Two values must not be one folder.
    return f"{name[: _LONGEST - 9]}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"
