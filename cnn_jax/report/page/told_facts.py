"""The facts of a run in words, as a page and a card tell them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from cnn_jax.report.page.described import Described
from cnn_jax.report.page.facts import Field, RunFacts

Pairs = list[tuple[str, str]]
"""Names and what they are, in words."""


class Answer(NamedTuple):
    """The result that counts.

    Attributes:
      text: the number as it is written.
      what: it is, such as `test accuracy`.
      interval: in which 95 % of bootstraps lie; empty where there is none.
      examples: it is of.
      unit: what these are called.
      part: of the data.
      why: there is no interval.
    """

    text: str
    what: str
    interval: str
    examples: int | None
    unit: str
    part: str
    why: str


def answer_of(run: Described) -> Answer | None:
    """The metric that counts on the test part, or on the validation part where there is no other.

    None where nothing has been evaluated.
    """
    metric = run.facts.metric.name
    for each in run.results:
        if metric in each.values:
            value, spec = each.values[metric], run.facts.spec
            unit = "examples" if spec is None else spec.unit
            what = f"{each.name} {metric.replace('_', ' ')}"
            return Answer(
                value.text, what, value.interval, each.examples, unit, each.name,
                each.why or "no interval is made of this metric",
            )  # fmt: skip
    return None


def kicker_of(facts: RunFacts) -> str:
    """What the run is, in a line: its task, model and data."""
    return f"{facts.value('task.name')} · {facts.value('model.name')} · {facts.value('data.name')}"


def state_of(facts: RunFacts) -> str:
    """What is to be known of a run that has not ended as it was meant to; else empty."""
    if facts.summary is None:
        duration = facts.value("duration")
        return (
            f"This run has not finished: it has come to step {facts.last_step:,}, of a training of "
            f"{duration}. What stands here may change."
        )
    stopped, test = facts.summary.get("stopped", "end"), facts.summary["test"]
    lines = []
    if stopped != "end":
        lines.append(f"The training was stopped: {stopped}.")
    if not test and facts.summary["best"]:
        lines.append("The test part was not evaluated; the validation part was chosen by.")
    return " ".join(lines)


def summary_of(run: Described) -> Pairs:
    """What stands on the first screen beside the result."""
    facts = run.facts
    pairs = [("checkpoint", _checkpoint(facts))]
    if facts.spec is not None:
        pairs.append(("data", _counts(facts)))
    summary = facts.summary
    if summary is not None:
        pairs.append(("time", seconds(summary["seconds"].get("total"))))
        pairs.append(("parameters", f"{summary['parameters']:,}"))
    pairs.append(("seed", str(facts.value("seed"))))
    if facts.starts:
        pairs.append(("started", _moment(facts.starts[0].get("time"))))
    return pairs


def _moment(time: Any) -> str:
    """A time of ISO 8601 to the minute."""
    text = str(time or "not known")
    return f"{text[:10]} {text[11:16]} {text[19:]}".strip() if text[10:11] == "T" else text


def _checkpoint(facts: RunFacts) -> str:
    best, metric, summary = facts.best_validation, facts.metric, facts.summary
    if summary is not None and not best:
        return f"the last, step {summary['steps']:,}; there was no validation part to choose by"
    if not best or metric.name not in best:
        return "none is chosen yet"
    text = metric.written(float(best[metric.name]))
    of = f" of {summary['steps']:,}" if summary is not None else ""
    return f"step {int(best['step']):,}{of}: the best validation {_plain(metric.name)}, {text}"


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _counts(facts: RunFacts) -> str:
    assert facts.spec is not None
    counts = ", ".join(f"{part} {count:,}" for part, count in facts.spec.examples.items())
    return f"{facts.value('data.name')}: {counts}"


def data_of(facts: RunFacts) -> Pairs:
    """The facts of the data."""
    spec = facts.spec
    if spec is None:
        return [("data", str(facts.value("data.name")))]
    names = spec.class_names
    shown = ", ".join(names[:12]) + f" and {len(names) - 12:,} more" * (len(names) > 12)
    what = {"class": "classes", "mask": "classes", "boxes": "classes", "tags": "tags"}
    kind = next((each.kind for each in spec.targets.values()), "class")
    return [
        ("set", str(facts.value("data.name"))),
        *((f"{part} part", f"{count:,} {spec.unit}") for part, count in spec.examples.items()),
        ("inputs", f"{spec.input_kind}, {'x'.join(map(str, spec.image_shape))}"),
        (f"{len(names)} {what.get(kind, 'numbers' if len(names) > 1 else 'number')}", shown),
    ]


def cost_of(run: Described) -> Pairs:
    """What the run took."""
    facts, summary = run.facts, run.facts.summary
    pairs: Pairs = []
    if summary is not None:
        pairs.append(("parameters", f"{summary['parameters']:,}"))
    if run.multiply_adds is not None:
        pairs.append(("multiply-adds an example, as evaluated", _large(run.multiply_adds)))
    pairs.append(("steps", f"{facts.last_step:,} of {facts.value('batch_size'):,} examples"))
    if summary is not None:
        took = summary["seconds"]
        pairs.append(("time in training steps", seconds(took.get("train"))))
        pairs.append(("time in all", seconds(took.get("total"))))
        compiled = took.get("compile")
        if isinstance(compiled, Mapping):
            pairs.append(("of which compiling", seconds(sum(compiled.values()))))
        rate = summary.get("images_per_second")
        if isinstance(rate, int | float):
            pairs.append(
                (f"{summary.get('unit', 'examples')} a second in training", f"{rate:,.0f}")
            )
    devices = (summary or {}).get("devices") or (facts.starts[-1].get("devices") if facts.starts
                                                 else None)  # fmt: skip
    if devices:
        pairs.append(("devices", _devices(devices)))
    return pairs


def _devices(names: list[str]) -> str:
    kinds = [name.rpartition(":")[0] for name in names]
    counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    return ", ".join(f"{count} × {kind}" for kind, count in counts.items())


def _large(count: int) -> str:
    for size, name in ((10**12, "T"), (10**9, "G"), (10**6, "M")):
        if count >= size:
            return f"{count / size:.3g} {name}"
    return f"{count:,}"


def seconds(value: Any) -> str:
    """A time in words."""
    if not isinstance(value, int | float) or math.isnan(value):
        return "not known"
    whole = round(value)
    if whole < 120:
        return f"{value:.0f} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def versions_of(facts: RunFacts) -> Pairs:
    """Versions of what the run was made with."""
    pairs = [(name, version) for name, version in facts.versions.items()]
    return [*pairs, ("commit", facts.commit or "not known")]


def command_of(facts: RunFacts) -> str:
    """The command line that began the run; empty where it is not known."""
    return str(facts.starts[0].get("command", "")) if facts.starts else ""


def field_words(value: Any) -> str:
    """The value of a field as it is shown."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    return json.dumps(value)


def changed_of(facts: RunFacts) -> list[tuple[str, str, str]]:
    """The fields that are not the default: name, value, default."""
    return [
        (each.name, field_words(each.value), field_words(each.default))
        for each in facts.fields
        if each.differs
    ]


def recipe_says(fields: tuple[Field, ...]) -> str:
    """How many fields are not the default."""
    count = sum(each.differs for each in fields)
    return (
        f"{count} of {len(fields)} fields are not the default of a recipe; "
        "what the task itself decides counts as default."
    )
