"""Metrics of stored predictions with their intervals; temperatures and ensembles of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cnn_jax.errors import UserError
from cnn_jax.evaluation.found_predictions import Source
from cnn_jax.evaluation.predictions import Predictions

BOOTSTRAPS = 1000

_SEED = 20_261


class Measured(NamedTuple):
    """What some predictions come to.

    Attributes:
      metrics: by name.
      intervals: of those that are quickly computed again, in which 95 % of the values lie that
        come of examples drawn again, (low, high).
      by_name: a row of metrics for each class, tag or number.
      confusion: see `cnn_jax.tasks.predicted.Predicted`; None where there is none.
    """

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    by_name: list[dict[str, Any]]
    confusion: np.ndarray | None


def measure(predictions: Predictions, bootstraps: int = BOOTSTRAPS) -> Measured:
    """All metrics of some predictions.

    Args:
      predictions: those.
      bootstraps: how often as many examples are drawn with replacement for the intervals (Efron
        1979); 0 for no intervals.

    Raises:
      UserError: there are no metrics of such predictions.
    """
    told = predictions.predicted()
    values = told.values()
    found = {**told.statistics(values), **told.rankings()}
    random, count = np.random.default_rng(_SEED), len(predictions)
    drawn: list[dict[str, float]] = []
    for _ in range(bootstraps):
        places = random.integers(0, count, count)
        drawn.append(told.statistics({name: each[places] for name, each in values.items()}))
    intervals = {}
    for name in drawn[0] if drawn else ():
        every = np.array([each.get(name, math.nan) for each in drawn])
        every = every[np.isfinite(every)]
        if len(every) and math.isfinite(found[name]):
            intervals[name] = _interval(every, found[name])
    return Measured(found, intervals, told.by_name(), told.confusion())


def _interval(drawn: np.ndarray, value: float) -> tuple[float, float]:
    """Percentiles of what was drawn, around the value.

    Examples that are drawn twice make calibration look worse than it is: what the mean of the draws
    is away from the value by is taken off.
    """
    low, high = np.percentile(drawn, [2.5, 97.5]) + (value - drawn.mean())
    least = 0.0 if drawn.min() >= 0 else -math.inf
    return max(float(low), least), min(float(high), max(float(drawn.max()), value))


def fitted_temperature(predictions: Predictions) -> float:
    """The temperature that makes the negative log-likelihood of a validation part least.

    Raises:
      UserError: they are of another part, or there is none.
    """
    split = predictions.about["split"]
    if split != "validation":
        raise UserError(
            f"a temperature is not fitted on the {split} part, on which a model is then judged: it "
            "would be judged by what it was fitted to. Fit it on validation"
        )
    return predictions.predicted().temperature()


def at_temperature(predictions: Predictions, temperature: float) -> Predictions:
    """The same predictions with logits divided by a temperature."""
    columns = predictions.predicted().at_temperature(temperature)
    return predictions.with_columns(columns, temperature=temperature)


def ensemble(sources: Sequence[Source]) -> Predictions:
    """The predictions of an ensemble: the mean of its members' probabilities, or numbers.

    Args:
      sources: of the members, at least two.

    Raises:
      UserError: they are not of the same examples, or tell other things; or one is given twice.
    """
    if len(sources) < 2:
        raise UserError("an ensemble has at least two members; give several runs")
    first = sources[0].predictions
    _check_others(sources)
    order = [np.arange(len(first))]
    for other in sources[1:]:
        order.append(same_examples(sources[0], other))
    members = [
        each.predictions.with_columns(
            {name: column[places] for name, column in each.predictions.columns.items()}
        )
        for each, places in zip(sources, order, strict=True)
    ]
    told, *others = (each.predicted(str(s.place)) for each, s in zip(members, sources, strict=True))
    return first.with_columns(
        told.averaged(others),
        name=f"ensemble of {len(sources)}",
        model=" ".join(dict.fromkeys(str(each.about.get("model")) for each in members)),
        run="",
        step=0,
        seed=None,
        checkpoint="ensemble",
        members=[dict(each.about) for each in members],
    )


def same_examples(one: Source, other: Source) -> np.ndarray:
    """The place (n,) among the examples of another of each example of one.

    Examples are the same that hold the same. Where none do, as of images in two sizes, they are
    the same by their places, if as many of the same part of a set have the same truth.

    Raises:
      UserError: they are other examples, or other classes.
    """
    a, b = one.predictions, other.predictions
    kinds = [(each.about["predicted"], each.about["class_names"]) for each in (a, b)]
    if kinds[0] != kinds[1]:
        raise UserError(
            f"{one.place} and {other.place} tell other things of examples: {_kinds(a, b)}"
        )
    if len(a) == len(b):
        mine, theirs = _order(a), _order(b)
        if np.array_equal(a.ids[mine], b.ids[theirs]):
            places = np.empty(len(a), np.int64)
            places[mine] = theirs
            _check_truth(one, other, places)
            return places
        same = all(a.about[each] == b.about[each] for each in ("dataset", "split"))
        if same and np.array_equal(a.columns["truth"], b.columns["truth"]):
            return np.arange(len(a))
    raise UserError(
        f"{one.place} and {other.place} are of other examples: {len(a):,} ({a.what}) and "
        f"{len(b):,} ({b.what}); evaluate both on the same part of the same data"
    )


def _order(each: Predictions) -> np.ndarray:
    """The places of examples by what they hold, equal ones by what is true of them."""
    truth = each.columns.get("truth")
    keys = [] if truth is None else list(truth.reshape(len(each), -1).T)
    return np.lexsort([*keys, each.ids])


def _check_truth(one: Source, other: Source, places: np.ndarray) -> None:
    """Refuses examples that have been labelled anew between two evaluations."""
    mine, theirs = (each.predictions.columns.get("truth") for each in (one, other))
    if mine is None or theirs is None:
        return
    pairs = (each.reshape(len(places), -1) for each in (mine, theirs[places]))
    if count := int((np.not_equal(*pairs)).any(axis=-1).sum()):
        raise UserError(
            f"{one.place} and {other.place} are of the same examples, but of {count:,} of them "
            "another truth is known; evaluate both on the same data"
        )


def _check_others(sources: Sequence[Source]) -> None:
    """Refuses a model that is given twice, which would count twice."""
    for one, other in itertools.combinations(sources, 2):
        told = [each.predictions.columns for each in (one, other)]
        if told[0].keys() == told[1].keys() and all(
            np.array_equal(column, told[1][name]) for name, column in told[0].items()
        ):
            raise UserError(
                f"{one.place} and {other.place} tell the same of every example, as one model that "
                "is given twice does, which would count twice; give one of them"
            )


def _kinds(a: Predictions, b: Predictions) -> str:
    told: list[Mapping[str, Any]] = [a.about, b.about]
    if told[0]["task"] != told[1]["task"]:
        return f"the tasks are {told[0]['task']} and {told[1]['task']}"
    counts = [len(each["class_names"]) for each in told]
    return f"of {counts[0]} and {counts[1]} names, or in another order"
