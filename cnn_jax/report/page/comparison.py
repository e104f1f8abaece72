"""The page of several runs beside each other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnn_jax.errors import UserError
from cnn_jax.evaluation.compared_runs import ComparedRun, Group, Part, in_groups
from cnn_jax.evaluation.comparison import Comparison, compare, sentences
from cnn_jax.report.comparison_table import comparison_table, fields_that_differ
from cnn_jax.report.page.charts import Chart, table
from cnn_jax.report.page.curves import overlaid
from cnn_jax.report.page.facts import RunFacts
from cnn_jax.report.page.libraries import check_libraries
from cnn_jax.report.page.page import ALONE, whole
from cnn_jax.report.page.results import Cell
from cnn_jax.report.page.told_facts import seconds
from cnn_jax.tasks import Metric

_SECTIONS = [
    ("results", "Results"),
    ("difference", "What can be concluded"),
    ("curves", "Curves"),
    ("runs", "Runs"),
    ("fields", "Fields that differ"),
]


@dataclass(frozen=True)
class Compared:
    """Several runs, compared.

    Attributes:
      facts: of each finished run, by its label.
      runs: the same as they are compared.
      groups: of one recipe each.
      found: what is known of the groups.
      notes: what was left out, or is to be known.
    """

    facts: Mapping[str, RunFacts]
    runs: tuple[ComparedRun, ...]
    groups: tuple[Group, ...]
    found: Comparison
    notes: tuple[str, ...]


def compared(folders: Sequence[Path], split: Part | None = None) -> Compared:
    """Compares runs as `cnn-jax compare` does.

    Args:
      folders: of the runs.
      split: by which part; by default test, or validation where nothing was tested.

    Raises:
      UserError: one is no run folder or damaged, none has finished, or they cannot be compared.
    """
    check_libraries()
    every = list({path.resolve(): path for path in folders}.values())
    facts = {path: RunFacts.of(path) for path in every}
    done = [path for path in every if facts[path].summary is not None]
    left = [str(path) for path in every if facts[path].summary is None]
    if not done:
        raise UserError(f"none of these runs has finished: {', '.join(left)}")
    read = [ComparedRun.of(path) for path in done]
    runs = tuple(run for run in read if run is not None)
    tested = any(run.summary["test"] for run in runs)
    part: Part = split or ("test" if tested else "validation")
    name = "test" if part == "test" else "best"
    if lacking := [str(run.path) for run in runs if not run.summary[name]]:
        raise UserError(f"without a {part} part: {', '.join(lacking)}; give other runs")
    groups = tuple(in_groups(runs))
    notes = [f"left out, not finished: {', '.join(left)}"] * bool(left)
    notes += _unlike({str(path): facts[path] for path in done})
    labels = _labels(done)
    return Compared(
        {labels[path]: facts[path] for path in done},
        runs,
        groups,
        compare(groups, part),
        tuple(notes),
    )


def comparison_page(given: Compared) -> str:
    """The page, a whole HTML document.

    Raises:
      UserError: the extra `report` is not installed.
    """
    found, groups = given.found, given.groups
    group_of = _group_of(given)
    heads, rows = comparison_table(found)
    charts = [_every_run(given), *overlaid(given.facts, group_of)]
    metric = found.metrics[0]
    return whole(
        "comparison.html",
        title=f"Report of {len(given.runs)} runs",
        policy=ALONE,
        sections=_SECTIONS,
        has_charts=True,
        kicker=" · ".join(_shared(given)),
        count=len(given.runs),
        groups=len(groups),
        answer=_answer(given),
        split=found.part,
        metric=metric.name.replace("_", " "),
        heads=[head.replace("_", " ") for head in heads],
        rows=rows,
        says=sentences(found) or [_alone(given)],
        notes=given.notes,
        first=charts[0],
        charts=charts[1:],
        run_heads=["run", "group", "seed", "validation", "test", "step", "time"],
        run_rows=[_run_row(given, label, group_of[label]) for label in given.facts],
        fields=fields_that_differ(groups, given.runs),
    )


def _labels(paths: Sequence[Path]) -> dict[Path, str]:
    """Names of runs that tell them apart, as short as can be."""
    names = [path.name for path in paths]
    if len(set(names)) == len(names) and all(names):
        return dict(zip(paths, names, strict=True))
    whole_paths = [path.resolve() for path in paths]
    top = os.path.commonpath(whole_paths)
    return {path: str(each.relative_to(top)) for path, each in zip(paths, whole_paths, strict=True)}


def _group_of(given: Compared) -> dict[str, str]:
    by_path = {run.path: group.label for group in given.groups for run in group.runs}
    return {label: by_path[facts.folder] for label, facts in given.facts.items()}


def _shared(given: Compared) -> list[str]:
    """The task, the model and the data, those that all runs share."""
    names = ("task.name", "model.name", "data.name")
    every = list(given.facts.values())
    values = [{str(facts.value(name)) for facts in every} for name in names]
    return [next(iter(each)) for each in values if len(each) == 1]


def _answer(given: Compared) -> dict[str, str] | None:
    """The mean of the metric that counts, where there is one group on one data set."""
    found, metric = given.found, given.found.metrics[0]
    if len(found.rows) != 1:
        return None
    spread = found.rows[0].spreads[metric.name]
    what = f"{found.part} {metric.name.replace('_', ' ')}"
    if spread.n < 2:
        return {"text": metric.written(spread.mean), "what": what, "says": "one run"}
    says = (
        f"mean ± deviation over {spread.n} runs; 95 % interval of the mean "
        f"{metric.written(spread.low)} to {metric.written(spread.high)}"
    )
    text = f"{metric.written(spread.mean)} ± {metric.written(spread.deviation)}"
    return {"text": text, "what": what, "says": says}


def _alone(given: Compared) -> str:
    return (
        "All runs are of one recipe, so that there is nothing to compare it with."
        if len(given.groups) == 1
        else "There is no pair of groups on the same data."
    )


def _unlike(facts: Mapping[str, RunFacts]) -> list[str]:
    """Versions and commits that are not the same in all runs."""
    notes = []
    commits = {each.commit or "not known" for each in facts.values()}
    if len(commits) > 1:
        notes.append(f"the runs are of {len(commits)} commits: {', '.join(sorted(commits))}")
    names = dict.fromkeys(name for each in facts.values() for name in each.versions)
    for name in names:
        versions = {each.versions.get(name, "not known") for each in facts.values()}
        if len(versions) > 1:
            notes.append(f"the runs are of several versions of {name}: {', '.join(versions)}")
    return notes


def _run_row(given: Compared, label: str, group: str) -> list[Cell]:
    facts = given.facts[label]
    summary, metric = facts.summary or {}, given.found.metrics[0]
    best, test = summary["best"], summary["test"]
    took = summary["seconds"].get("total")
    step = int((best or {}).get("step", summary["steps"]))
    return [
        Cell(label, label),
        Cell(group, group),
        Cell(str(facts.value("seed")), float(facts.value("seed"))),
        _number(best, metric),
        _number(test, metric),
        Cell(f"{step:,}", float(step)),
        Cell(seconds(took), float(took or 0)),
    ]


def _number(metrics: Mapping[str, Any] | None, metric: Metric) -> Cell:
    value = (metrics or {}).get(metric.name)
    if not isinstance(value, int | float):
        return Cell("", float("-inf"))
    return Cell(metric.written(float(value)), float(value))


def _every_run(given: Compared) -> Chart:
    """A dot a run, and the mean of each group with its interval."""
    metric, part = given.found.metrics[0], given.found.part
    name, labels = metric.name, {facts.folder: label for label, facts in given.facts.items()}
    dots = [
        {
            "group": group.label,
            "run": labels[run.path],
            "seed": run.seed,
            "value": run.value(name, part),
            "shown": metric.written(run.value(name, part)),
        }
        for group in given.groups
        for run in group.runs
    ]
    several = len({row.dataset for row in given.found.rows}) > 1
    means = [] if several else [
        {"group": row.group, "value": s.mean, "low": s.low, "high": s.high}
        for row in given.found.rows
        if (s := row.spreads[name]).n > 1
    ]  # fmt: skip
    axis: dict[str, Any] = {"title": f"{part} {name.replace('_', ' ')}", "tickCount": 6}
    if "%" in metric.form:
        axis["format"] = "~%"
    x = {"type": "quantitative", "scale": {"zero": False}, "axis": axis}
    y = {"field": "group", "type": "nominal", "sort": None,
         "axis": {"title": None, "labelLimit": 180, "grid": True}}  # fmt: skip
    colour = {"field": "group", "type": "nominal", "sort": None, "legend": None}
    layers = [
        {
            "mark": {"type": "point", "filled": True, "size": 70, "opacity": 0.7},
            "encoding": {
                "x": {"field": "value", **x},
                "y": y,
                "color": colour,
                "tooltip": [
                    {"field": "run", "title": " "},
                    {"field": "seed", "title": "seed"},
                    {"field": "shown", "title": name.replace("_", " ")},
                ],
            },
        },
        {
            "data": {"values": means},
            "mark": {"type": "rule", "strokeWidth": 2, "color": "currentColor"},
            "encoding": {"x": {"field": "low", **x}, "x2": {"field": "high"}, "y": y},
        },
        {
            "data": {"values": means},
            "mark": {"type": "tick", "thickness": 3, "size": 22, "color": "currentColor"},
            "encoding": {"x": {"field": "value", **x}, "y": y},
        },
    ]
    rows = [[str(each[head]) for head in ("group", "run", "seed", "shown")] for each in dots]
    return Chart(
        f"{part} {name.replace('_', ' ')} of every run",
        f"{len(dots)} runs in {len(given.groups)} groups; the values are in the table.",
        {"data": {"values": dots}, "layer": layers if means else layers[:1]},
        ("group", "run", "seed", name.replace("_", " ")),
        table(rows),
        "a dot a run; the line is the 95 % interval of the mean, by Student's t" * bool(means),
        height=60 + 46 * len(given.groups),
    )
