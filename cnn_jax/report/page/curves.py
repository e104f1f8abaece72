"""Learning curves as charts, of one run or of several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cnn_jax.report.page.charts import Chart, table, thinned
from cnn_jax.report.page.facts import RunFacts, metric_of

_MOST = 400
"""Points of a curve at most; of more, evenly spread ones are drawn."""
_MOST_ROWS = 120
_FEW = 20
"""Points of a curve up to which they are marked."""
_FAR = 100.0
"""A loss that falls by more than this is drawn on a logarithmic scale."""
_KINDS = {"train": "training", "validation": "validation"}

Points = list[tuple[int, float]]


def points(facts: RunFacts, kind: str, metric: str) -> Points:
    """The steps and values of a metric, of a step that was told twice the last.

    Args:
      facts: of the run.
      kind: `train` or `validation`.
      metric: its name.
    """
    told = {
        int(line["step"]): float(line[metric])
        for line in facts.lines
        if line["kind"] == kind and isinstance(line.get(metric), int | float)
    }
    return sorted(told.items())


def run_charts(facts: RunFacts) -> list[Chart]:
    """The loss, the metric that counts and the learning rate of a run, as far as it has them."""
    best = (facts.best_validation or {}).get("step")
    charts = []
    for name in dict.fromkeys(("loss", facts.metric.name, "learning_rate")):
        found = {
            label: pairs for kind, label in _KINDS.items() if (pairs := points(facts, kind, name))
        }
        if found and not (name == "learning_rate" and len(found["training"]) == 1):
            charts.append(_chart(name, found, best))
    return charts


def overlaid(runs: Mapping[str, RunFacts], groups: Mapping[str, str]) -> list[Chart]:
    """The validation loss and the metric that counts of several runs in one chart each.

    Args:
      runs: facts by label.
      groups: the group of each label, which has its colour.
    """
    charts = []
    counted = [facts.metric.name for facts in runs.values()]
    for name in dict.fromkeys(("loss", *counted)):
        found = {
            label: pairs
            for label, facts in runs.items()
            if (pairs := points(facts, "validation", name))
        }
        if found:
            charts.append(_chart(name, found, None, groups))
    return charts


def _chart(
    name: str,
    curves: Mapping[str, Points],
    best: int | None,
    groups: Mapping[str, str] | None = None,
) -> Chart:
    metric, thin = metric_of(name), False
    values: list[dict[str, Any]] = []
    for label, pairs in curves.items():
        kept = thinned(len(pairs), _MOST)
        thin = thin or len(kept) < len(pairs)
        values += [
            {
                "step": pairs[place][0],
                "value": pairs[place][1],
                "of": label,
                "group": (groups or {}).get(label, label),
                "shown": _written(name, pairs[place][1]),
            }
            for place in kept
        ]
    numbers = [each["value"] for each in values]
    logarithmic = name == "loss" and min(numbers) > 0 and max(numbers) > _FAR * min(numbers)
    title = name.replace("_", " ")
    axis: dict[str, Any] = {"title": None, "tickCount": 5}
    if "%" in metric.form:
        axis["format"] = "~%"
    if logarithmic:
        axis["values"] = _decades(min(numbers), max(numbers))
    y = {
        "field": "value",
        "type": "quantitative",
        "axis": axis,
        "scale": {"type": "log"} if logarithmic else {"zero": False},
    }
    x = {"field": "step", "type": "quantitative", "axis": {"title": "step", "tickCount": 6}}
    several = len({each["group"] for each in values}) > 1
    colour: dict[str, Any] = {
        "field": "group",
        "type": "nominal",
        "sort": None,
        "legend": {} if several else None,
    }
    few = {"size": 22} if min(map(len, curves.values())) <= _FEW else False
    layers: list[dict[str, Any]] = []
    if best is not None:
        layers.append(
            {
                "data": {"values": [{"step": best}]},
                "mark": {"type": "rule", "strokeDash": [3, 3], "color": "currentColor",
                         "opacity": 0.6},
                "encoding": {"x": x},
            }
        )  # fmt: skip
    layers += [
        {
            "mark": {"type": "line", "strokeWidth": 2, "point": few},
            "encoding": {"detail": {"field": "of"}},
        },
        {
            "params": [
                {
                    "name": "near",
                    "select": {"type": "point", "on": "pointerover", "nearest": True,
                               "clear": "pointerout"},
                }
            ],
            "mark": {"type": "point", "filled": True, "size": 60},
            "encoding": {
                "opacity": {"condition": {"param": "near", "empty": False, "value": 1}, "value": 0},
                "tooltip": [
                    {"field": "of", "title": " "},
                    {"field": "step", "title": "step", "format": ","},
                    {"field": "shown", "title": title},
                ],
            },
        },
    ]  # fmt: skip
    for layer in layers[-2:]:
        layer["encoding"] |= {"x": x, "y": y, "color": colour}
    says = "; ".join(
        f"{label}: {_written(name, pairs[0][1])} at step {pairs[0][0]:,}, "
        f"{_written(name, pairs[-1][1])} at step {pairs[-1][0]:,}"
        for label, pairs in curves.items()
    )
    notes = [
        "logarithmic scale" * logarithmic,
        f"dashed: the best validation, step {best:,}" if best is not None else "",
        f"evenly spread points, at most {_MOST} of a curve" * thin,
    ]
    return Chart(
        title + (" on the validation part" if groups is not None else ""),
        f"{title} by step. {says}.",
        {"data": {"values": values}, "layer": layers},
        ("step", *curves),
        _rows(name, curves),
        "; ".join(filter(None, notes)),
    )


def _decades(low: float, high: float) -> list[float]:
    """The powers of ten that a logarithmic scale over these values shows."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [float(f"1e{power}") for power in range(first, last + 1)]


def _rows(name: str, curves: Mapping[str, Points]) -> tuple[tuple[str, ...], ...]:
    by_label = {label: dict(pairs) for label, pairs in curves.items()}
    steps = sorted({step for pairs in by_label.values() for step in pairs})
    rows: list[Sequence[str]] = []
    for place in thinned(len(steps), _MOST_ROWS):
        step = steps[place]
        cells = (_written(name, pairs[step]) if step in pairs else "" for pairs in
                 by_label.values())  # fmt: skip
        rows.append([f"{step:,}", *cells])
    return table(rows)


def _written(name: str, value: float) -> str:
    return f"{value:.3g}" if name == "learning_rate" else metric_of(name).written(value)
