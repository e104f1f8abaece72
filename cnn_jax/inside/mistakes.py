"""Which stored predictions are wrong, and how."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cnn_jax.errors import UserError
from cnn_jax.evaluation.predictions import Predictions
from cnn_jax.tasks.predicted.classes import Classes
from cnn_jax.tasks.predicted.numbers import Numbers
from cnn_jax.tasks.predicted.tags import Tags


class Mistake(NamedTuple):
    """An example that is told wrong.

    Attributes:
      place: among the predictions.
      title: what is true and what is told, in few words.
    """

    place: int
    title: str


class Mistakes(NamedTuple):
    """Examples that are told wrong, each kind from the most to the least.

    Attributes:
      kinds: by a heading, such as `worst`.
      wrong: how many are wrong in all; None of numbers, of which none is simply right.
      total: how many predictions there are.
    """

    kinds: dict[str, list[Mistake]]
    wrong: int | None
    total: int


def mistakes(predictions: Predictions, count: int) -> Mistakes:
    """The most telling mistakes of each kind.

    Of classes the worst, whose true class is the least probable; the most confident, whose told
    class is the most probable; and the borderline, whose two classes are nearly equally probable.
    Of tags those with most wrong tags, of numbers those farthest off.

    Args:
      predictions: of some examples.
      count: how many of each kind at most.

    Raises:
      UserError: single examples of such a task are neither right nor wrong.
    """
    told: Any = predictions.predicted()
    if isinstance(told, Classes):
        return _of_classes(told, count)
    if isinstance(told, Tags):
        return _of_tags(told, count)
    if isinstance(told, Numbers):
        return _of_numbers(told, count)
    raise UserError(f"of the task {predictions.about['task']} there are no mistakes to be shown")


def _of_classes(told: Classes, count: int) -> Mistakes:
    values, logs = told.values(), told.log_probabilities()
    wrong = np.flatnonzero(~values["right"])
    own = -values["nll"][wrong]
    # The margin is that of the probabilities of what is told and what is true.
    margin = np.exp(logs[wrong, values["told"][wrong]]) - np.exp(own)
    names, shares = told.names, np.exp(logs)

    def mistake(place: int) -> Mistake:
        true, said = int(values["truth"][place]), int(values["told"][place])
        return Mistake(
            place,
            f"{names[said]} {_share(shares[place, said])}, true {names[true]} "
            f"{_share(shares[place, true])}",
        )

    def first(order: np.ndarray) -> list[Mistake]:
        return [mistake(int(wrong[each])) for each in order[:count]]

    kinds = {
        "worst: the true class is the least probable": first(np.argsort(own, kind="stable")),
        "most confident: the class that is told is the most probable": first(
            np.argsort(-values["confidence"][wrong], kind="stable")
        ),
        "borderline: the two classes are nearly equally probable": first(
            np.argsort(margin, kind="stable")
        ),
    }
    return Mistakes(kinds if len(wrong) else {}, len(wrong), len(values["truth"]))


def _share(value: float) -> str:
    if value >= 0.01 or value == 0:
        return f"{value:.0%}"
    return f"{value:.2%}" if value >= 1e-4 else "<0.01%"


def _of_tags(told: Tags, count: int) -> Mistakes:
    values, names = told.values(), told.names
    apart = values["truth"] != values["told"]
    wrong = apart.sum(axis=-1)
    loss = np.where(values["known"], values["nll"], 0.0).sum(axis=-1)
    order = np.lexsort((-loss, -wrong))[:count]

    def mistake(place: int) -> Mistake:
        signs = [
            ("+" if values["told"][place, tag] else "-") + names[tag]
            for tag in np.flatnonzero(apart[place])
        ]
        return Mistake(place, " ".join(signs))

    found = [mistake(int(place)) for place in order if wrong[place]]
    heading = "worst: most wrong tags, + told and not there, - there and not told"
    return Mistakes({heading: found} if found else {}, int((wrong > 0).sum()), len(wrong))


def _of_numbers(told: Numbers, count: int) -> Mistakes:
    values, names = told.values(), told.names
    errors = values["error"]
    # In the deviations of each number, so that one in large units does not hide the others.
    scale = errors.std(axis=0)
    far = np.abs(errors / np.where(scale > 0, scale, 1)).max(axis=-1)

    def mistake(place: int) -> Mistake:
        parts = [
            f"{name + ' ' if len(names) > 1 else ''}{truth + error:.4g}, true {truth:.4g}"
            for name, truth, error in zip(names, values["truth"][place], errors[place], strict=True)
        ]
        return Mistake(place, "; ".join(parts))

    found = [mistake(int(place)) for place in np.argsort(-far, kind="stable")[:count]]
    return Mistakes({"farthest off": found}, None, len(errors))
