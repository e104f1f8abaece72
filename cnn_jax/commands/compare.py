"""The command that compares runs."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from cnn_jax.commands.found_runs import find_runs
from cnn_jax.commands.output import print_json, print_rows
from cnn_jax.commands.run_list import field_named
from cnn_jax.errors import UserError

if TYPE_CHECKING:
    from cnn_jax.evaluation.compared_runs import ComparedRun, Group, Part
    from cnn_jax.evaluation.comparison import Comparison, Row


@dataclass(frozen=True)
class Compare:
    """Compare runs: mean, deviation and 95 % interval over seeds, and tests of the differences
    between groups.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders, or folders that contain them."""
    group: str | None = None
    """A field of the recipe, such as model or optimizer.learning_rate: runs with the same value of
    it form a group. By default a group is all runs that differ only in the seed, the name or the
    fold."""
    metric: tuple[str, ...] = ()
    """Metrics to show, such as accuracy ece; groups are compared by the first. By default the main
    metric of the task, and the others of its result line."""
    split: Literal["test", "validation"] | None = None
    """Part of the data. By default test, or validation if no run was tested."""
    format: Literal["text", "markdown", "csv", "latex"] = "text"
    """Format of the table. Only text also prints what can be concluded."""
    plot: Path | None = None
    """Also draw the validation curves into this PNG file: for each group the mean, with a band of
    one standard deviation."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the result as JSON."""

    def __call__(self) -> None:
        """Prints a table with a row for each group, and what can be concluded.

        Raises:
          UserError: there are no such runs, fields or metrics, or they cannot be compared.
        """
        from cnn_jax.evaluation.compared_runs import in_groups
        from cnn_jax.evaluation.comparison import compare

        if self.plot is not None:
            from cnn_jax.report.learning_curves import check_png

            check_png(self.plot)
        runs, notes = self._runs()
        field = None
        if self.group is not None:
            names = dict.fromkeys(name for run in runs for name in run.fields)
            field = field_named("--group", self.group, list(names))
        groups = in_groups(runs, field)
        found = compare(groups, self._part(runs), self.metric)
        if self.plot is not None:
            self._draw(groups, found)
        if self.json:
            print_json(_as_json(found, groups, runs, notes))
        elif self.format != "text":
            print(_document(found, self.format))
            for note in notes:  # apart from the table, which may go to a file
                print(note, file=sys.stderr)
        else:
            self._show(found, groups, runs, notes)

    def _runs(self) -> tuple[list[ComparedRun], list[str]]:
        """The finished ones, and what is said of the others."""
        from cnn_jax.evaluation.compared_runs import ComparedRun

        paths: list[Path] = []
        for given in self.runs:
            below = find_runs(given) if given.is_dir() else []
            if not below:
                raise UserError(f"{given} is no run folder, and there is none below it")
            paths += below
        if not paths:
            raise UserError("no run is given: cnn-jax compare RUN...")
        every = {path.resolve(): path for path in paths}
        read = [(path, ComparedRun.of(path)) for path in every.values()]
        runs = [run for _, run in read if run is not None]
        left = [str(path) for path, run in read if run is None]
        if not runs:
            raise UserError(f"none of these runs has finished: {', '.join(left)}")
        return runs, [f"left out, not finished: {', '.join(left)}"] if left else []

    def _part(self, runs: Sequence[ComparedRun]) -> Part:
        tested = [run for run in runs if run.summary["test"]]
        if self.split is None and not tested:
            return "validation"
        part: Part = self.split or "test"
        name = "test" if part == "test" else "best"
        if lacking := [str(run.path) for run in runs if not run.summary[name]]:
            raise UserError(f"without a {part} part: {', '.join(lacking)}; give other runs")
        return part

    def _draw(self, groups: Sequence[Group], found: Comparison) -> None:
        from cnn_jax.report.learning_curves import draw_curves

        assert self.plot is not None
        metric = found.metrics[0].name
        curves = {each.label: [run.curve(metric) for run in each.runs] for each in groups}
        draw_curves(curves, metric, self.plot)

    def _show(
        self,
        found: Comparison,
        groups: Sequence[Group],
        runs: Sequence[ComparedRun],
        notes: Sequence[str],
    ) -> None:
        from cnn_jax.commands.output import show
        from cnn_jax.evaluation.comparison import sentences
        from cnn_jax.report.comparison_table import comparison_table

        heads, rows = comparison_table(found)
        table = [dict(zip(heads, row, strict=True)) for row in rows]
        print_rows(table, heads, as_json=False, empty="", wrap=("group",))
        print(f"{found.part} part; mean ± deviation over runs, [95 % interval of the mean]")
        said = [*notes, *sentences(found), *_fields(groups, runs)]
        if self.plot is not None:
            said.append(f"learning curves: {self.plot}")
        show([("", line) for line in said])


def _fields(groups: Sequence[Group], runs: Sequence[ComparedRun]) -> list[str]:
    """Which fields of the recipes differ, between groups and within them."""
    from cnn_jax.report.comparison_table import fields_that_differ

    found = fields_that_differ(groups, runs)
    lines = ["fields that differ:"] * bool(found)
    for each in found:
        lines.append(f"  {each.name}: {each.values}" + " (within groups as well)" * each.inside)
    return lines


def _document(found: Comparison, format: str) -> str:
    from cnn_jax.report import tables
    from cnn_jax.report.comparison_table import comparison_table

    if format == "csv":
        heads = ["group", "data", "part", "metric", "n", "mean", "deviation", "low", "high"]
        rows = [
            [row.group, row.dataset, found.part, name, *map(_number, spread)]
            for row in found.rows
            for name, spread in row.spreads.items()
        ]
        return tables.comma_separated(heads, rows)
    heads, rows = comparison_table(found)
    numbers = [head not in ("group", "data") for head in heads]
    write = tables.markdown if format == "markdown" else tables.latex
    return write(heads, rows, numbers)


def _number(value: float) -> str:
    return "" if math.isnan(value) else repr(value)


def _as_json(
    found: Comparison,
    groups: Sequence[Group],
    runs: Sequence[ComparedRun],
    notes: Sequence[str],
) -> dict[str, Any]:
    from cnn_jax.evaluation.compared_runs import differing
    from cnn_jax.evaluation.comparison import sentences

    def row(each: Row) -> dict[str, Any]:
        return {
            "group": each.group,
            "data": each.dataset,
            **{name: _plain(spread._asdict()) for name, spread in each.spreads.items()},
        }

    return {
        "part": found.part,
        "groups": {group.label: [str(run.path) for run in group.runs] for group in groups},
        "rows": [row(each) for each in found.rows],
        "pairs": [
            {
                "first": pair.first,
                "second": pair.second,
                "data": pair.dataset,
                "metric": pair.metric,
                "paired": pair.difference.paired,
                "p": _plain(pair.difference.p),
                "difference": _plain(pair.difference.spread._asdict()),
                "mcnemar": [{"runs": key, **met._asdict()} for key, met in pair.disagreements],
            }
            for pair in found.pairs
        ],
        "rankings": [each._asdict() for each in found.rankings],
        "differing": differing(runs),
        "said": [*notes, *sentences(found)],
    }


def _plain(value: Any) -> Any:
    """What JSON can hold: no number is null."""
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
