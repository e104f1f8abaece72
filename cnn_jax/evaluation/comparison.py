"""Groups of runs compared: how they spread, and which differences are more than chance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cnn_jax.errors import UserError
from cnn_jax.evaluation import significance
from cnn_jax.evaluation.compared_runs import ComparedRun, Group, Part, of_other_data
from cnn_jax.evaluation.measured import same_examples
from cnn_jax.evaluation.significance import Difference, Disagreement, Spread
from cnn_jax.tasks import kind_of, metric_named
from cnn_jax.tasks.contract import Metric

ENOUGH = 6
"""Data sets from which on the signed ranks of two groups can differ at 5 %: 2 / 2^6 = 0.03."""


class Row(NamedTuple):
    """A group on a data set.

    Attributes:
      group: its label.
      dataset: the name of the data.
      spreads: over its runs, by metric.
    """

    group: str
    dataset: str
    spreads: dict[str, Spread]


class Pair(NamedTuple):
    """Two groups on a data set.

    Attributes:
      first: label of one.
      second: of the other.
      dataset: the name of the data.
      metric: that is compared.
      difference: of the second less the first.
      runs: how many each has.
      disagreements: of the predictions of runs that belong together, with what they share; not of
        tasks that tell numbers.
    """

    first: str
    second: str
    dataset: str
    metric: str
    difference: Difference
    runs: tuple[int, int]
    disagreements: list[tuple[str, Disagreement]]


class Ranking(NamedTuple):
    """Two groups over several data sets.

    Attributes:
      first: label of one.
      second: of the other.
      datasets: how many both have.
      better: on how many the second is better.
      worse: on how many it is worse.
      p: of Wilcoxon's signed ranks, adjusted by Holm for all pairs.
    """

    first: str
    second: str
    datasets: int
    better: int
    worse: int
    p: float


@dataclass(frozen=True)
class Comparison:
    """What is known of some groups of runs.

    Attributes:
      part: of the data.
      metrics: that are shown, the one by which groups are compared first.
      rows: a group on a data set each.
      pairs: the first group with each other, on each data set.
      rankings: of every two groups, where there are several data sets.
      notes: what else is to be known, such as what has been left out.
    """

    part: Part
    metrics: tuple[Metric, ...]
    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...]
    rankings: tuple[Ranking, ...]
    notes: tuple[str, ...]


def compare(groups: Sequence[Group], part: Part, names: Sequence[str] = ()) -> Comparison:
    """Compares groups of finished runs.

    Args:
      groups: the first is the one that others are compared with.
      part: of the data.
      names: of metrics, the one by which they are compared first; by default the metric that counts
        and those that a result in one line names.

    Raises:
      UserError: runs count by different metrics or have none of these names; or one counts twice.
    """
    runs = [run for group in groups for run in group.runs]
    names = list(dict.fromkeys(names)) or _names(runs, part)
    datasets = list(dict.fromkeys(run.dataset for run in runs))
    rows = [
        Row(group.label, dataset, {name: _spread(group, dataset, name, part) for name in names})
        for group in groups
        for dataset in datasets
        if group.on(dataset)
    ]
    notes = of_other_data(runs, part)
    notes += [
        f"{other.label} is not compared with {groups[0].label}: they have no data set in common"
        for other in groups[1:]
        if not any(groups[0].on(dataset) and other.on(dataset) for dataset in datasets)
    ]
    pairs = [
        _pair(groups[0], other, dataset, names[0], part, notes)
        for other in groups[1:]
        for dataset in datasets
        if groups[0].on(dataset) and other.on(dataset)
    ]
    metrics = tuple(metric_named(name) or Metric(name) for name in names)
    rankings = _rankings(groups, datasets, metrics[0], part) if len(datasets) > 1 else []
    return Comparison(part, metrics, tuple(rows), tuple(pairs), tuple(rankings), tuple(notes))


def _names(runs: Sequence[ComparedRun], part: Part) -> list[str]:
    """The metric that counts, and those of a result in one line that every run has."""
    counting = list(dict.fromkeys(run.metric for run in runs))
    if len(counting) > 1:
        raise UserError(
            f"these runs count by different metrics, {' and '.join(counting)}; name one that all "
            "have: --metric NAME"
        )
    stored = [run.summary["best" if part == "validation" else "test"] or {} for run in runs]
    line = [each.name for each in kind_of(_recipe(runs[0])).HEADLINE]
    return [
        name
        for name in dict.fromkeys([*counting, *line])
        if name in counting or all(name in each for each in stored)
    ]


def _recipe(run: ComparedRun) -> Any:
    from cnn_jax.run_folder import RunFolder

    return RunFolder(run.path).recipe()


def _spread(group: Group, dataset: str, metric: str, part: Part) -> Spread:
    return significance.spread(list(group.values(dataset, metric, part).values()))


def _pair(
    first: Group, second: Group, dataset: str, metric: str, part: Part, notes: list[str]
) -> Pair:
    a, b = (group.values(dataset, metric, part) for group in (first, second))
    shared = [key for key in a if key in b]
    if len(shared) > 1 or len(a) == len(b) == len(shared):
        difference = significance.paired([a[key] for key in shared], [b[key] for key in shared])
        left = [key for key in (*a, *b) if key not in shared]
        if left:
            notes.append(
                f"{second.label} less {first.label} is over the {len(shared)} runs that both have; "
                f"of one side alone are {', '.join(dict.fromkeys(left))}"
            )
    else:
        difference = significance.unpaired(list(a.values()), list(b.values()))
    met: list[tuple[str, Disagreement]] = []
    mine, theirs = first.on(dataset), second.on(dataset)
    keys = [(key, key) for key in shared]
    if not keys and len(mine) == len(theirs) == 1:
        keys = [(next(iter(mine)), next(iter(theirs)))]
    for one, other in keys:
        try:
            met.append((one, _disagreement(mine[one], theirs[other], part)))
        except UserError as error:
            notes.append(f"predictions are not compared: {error}")
            break
    return Pair(first.label, second.label, dataset, metric, difference, (len(a), len(b)), met)


def _disagreement(one: ComparedRun, other: ComparedRun, part: Part) -> Disagreement:
    a, b = one.predictions(part), other.predictions(part)
    places = same_examples(a, b)
    right = [each.predictions.predicted(str(each.place)).right() for each in (a, b)]
    if right[0] is None or right[1] is None:
        raise UserError(f"the task {a.predictions.about['task']} tells no example simply right")
    return significance.mcnemar(right[0], right[1][places])


def _rankings(
    groups: Sequence[Group], datasets: Sequence[str], metric: Metric, part: Part
) -> list[Ranking]:
    means = {
        group.label: {
            dataset: _spread(group, dataset, metric.name, part).mean
            for dataset in datasets
            if group.on(dataset)
        }
        for group in groups
    }
    found = []
    for first, second in itertools.combinations(means, 2):
        both = [
            dataset for dataset in datasets if dataset in means[first] and dataset in means[second]
        ]
        if len(both) < 2:
            continue
        a, b = ([means[label][dataset] for dataset in both] for label in (first, second))
        gain = [(y - x) * (1 if metric.higher else -1) for x, y in zip(a, b, strict=True)]
        better, worse = sum(each > 0 for each in gain), sum(each < 0 for each in gain)
        p = significance.wilcoxon(a, b)
        found.append(Ranking(first, second, len(both), better, worse, p))
    adjusted = significance.holm([each.p for each in found])
    return [each._replace(p=p) for each, p in zip(found, adjusted, strict=True)]


def sentences(comparison: Comparison) -> list[str]:
    """What can be concluded from a comparison, and what cannot, in words."""
    lines = list(comparison.notes)
    several = len({row.dataset for row in comparison.rows}) > 1
    for pair in comparison.pairs:
        where = f"{pair.dataset}: " if several else ""
        lines += [where + line for line in _of_pair(pair, comparison.metrics[0])]
    for each in comparison.rankings:
        lines.append(
            f"over {each.datasets} data sets {each.second} is better than {each.first} on "
            f"{each.better} and worse on {each.worse}; Wilcoxon's signed ranks, with Holm: "
            f"p = {each.p:.2g}"
        )
        if each.datasets < ENOUGH:
            lines.append(
                f"of {each.datasets} data sets p is at least {2 / 2**each.datasets:.2g}, whatever "
                f"the differences are; at 5 % something can be shown from {ENOUGH} on"
            )
    return lines


def _of_pair(pair: Pair, metric: Metric) -> list[str]:
    if not math.isfinite(pair.difference.spread.mean):
        return [
            f"{pair.metric} is no finite number in some runs of {pair.first} or {pair.second}, so "
            "that nothing can be concluded from it; leave these runs out, or name another --metric",
            *_met(pair),
        ]
    mean, low, high = (
        _signed(getattr(pair.difference.spread, each), metric) for each in ("mean", "low", "high")
    )
    what = f"{pair.metric} of {pair.second} less that of {pair.first}: {mean}"
    lines = []
    if math.isnan(pair.difference.p):
        first, second = pair.runs
        sides = "one run a side" if pair.runs == (1, 1) else f"{first} and {second} runs"
        lines.append(
            f"{what}. With {sides} nothing can be concluded about the recipes: such a difference "
            "may come of the seed alone. Train at least three seeds of each"
        )
    else:
        spread, p = pair.difference.spread, pair.difference.p
        how = f"paired, n={spread.n}" if pair.difference.paired else "unpaired, Welch's"
        shown = "the interval holds zero: no difference is shown"
        if not spread.low <= 0 <= spread.high:
            better = (spread.mean > 0) == metric.higher
            shown = f"{pair.second} is {'better' if better else 'worse'}"
        lines.append(f"{what} [{low} to {high}], {how}, t test p = {p:.2g}; {shown}")
        if spread.n == 2:
            lines.append("of two differences the interval is so wide that it shows little")
    return lines + _met(pair)


def _met(pair: Pair) -> list[str]:
    """What McNemar's test says of the predictions of two groups."""
    return [
        f"{key}{': ' * bool(key)}{met.first:,} examples are told right by {pair.first} alone, "
        f"{met.second:,} by {pair.second} alone; McNemar's exact p = {met.p:.2g}, of these two "
        "nets and not of their recipes"
        for key, met in pair.disagreements
    ]


def _signed(value: float, metric: Metric) -> str:
    return ("+" if value > 0 else "") + metric.written(value)
