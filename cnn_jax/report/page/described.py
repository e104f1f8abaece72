"""All that a page or a card says of a run, gathered once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import jax

from cnn_jax.errors import UserError
from cnn_jax.models.cost import multiply_adds_of
from cnn_jax.report.page.attention import Attention, attended
from cnn_jax.report.page.calibration import trust_charts
from cnn_jax.report.page.charts import Chart
from cnn_jax.report.page.curves import run_charts
from cnn_jax.report.page.examples import (
    Examined,
    Sample,
    ToldSample,
    examined,
    samples,
    told_samples,
)
from cnn_jax.report.page.facts import RunFacts
from cnn_jax.report.page.gallery import Gallery, gallery
from cnn_jax.report.page.results import PARTS, Confusion, PartResults, confusion, part_results
from cnn_jax.report.page.views import Made, View, shown_view

T = TypeVar("T")

_ATTENDED = 12
_TOLD = 8
_MOST_CLASSES = 30
"""Of more classes there is no matrix, only the pairs that are confused most."""


@dataclass(frozen=True)
class Asked:
    """What is asked of a report.

    Attributes:
      split: the part whose examples are looked at; by default the validation part, of a run
        without one the training part, and of mistakes the test part.
      examples: of the sheet of samples.
      mistakes: that are shown at most.
      data_dir: where TFDS sets lie.
      code: files to use for code of one's own that has changed.
      views: of a user's own.
    """

    split: str | None = None
    examples: int = 24
    mistakes: int = 150
    data_dir: Path | None = None
    code: Sequence[Path] = ()
    views: Sequence[View] = ()


DEFAULT = Asked()


@dataclass(frozen=True)
class Described:
    """A run, described.

    Attributes:
      facts: of its folder.
      results: of each part that it has been judged by, that which counts first.
      curves: of what it has measured.
      trust: how far what is told can be trusted, of the first of the results.
      looked: the results of the part whose mistakes are shown.
      matrix: which classes are taken for which there.
      mistakes: that are shown.
      examined: the model and some examples; None where they cannot be had.
      samples: these examples.
      told: with boxes or masks.
      attention: where the net looks in them.
      multiply_adds: of an example; None where that is not known.
      views: of a user's own.
      left_out: why a section is not there, by its name.
    """

    facts: RunFacts
    results: tuple[PartResults, ...]
    curves: tuple[Chart, ...]
    trust: tuple[Chart, ...]
    looked: PartResults | None
    matrix: Confusion | None
    mistakes: Gallery | None
    examined: Examined | None
    samples: tuple[Sample, ...]
    told: tuple[ToldSample, ...]
    attention: Attention | None
    multiply_adds: int | None
    views: tuple[Made, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)


def described(run: Path, asked: Asked = DEFAULT) -> Described:
    """Describes a run; what cannot be had, such as its data, is left out and said.

    Raises:
      UserError: it is no run folder, or it is damaged; or a view of one's own fails.
    """
    facts, left = RunFacts.of(run), dict[str, str]()

    def had(section: str, make: Callable[[], T]) -> T | None:
        try:
            return make()
        except UserError as error:
            left[section] = str(error)
            return None

    results = tuple(each for part in PARTS if (each := part_results(facts, part)) is not None)
    looked = _looked_part(results, asked.split)
    curves = tuple(run_charts(facts))
    if not curves:
        left["curves"] = "nothing has been measured yet"
    given = had(
        "examples",
        lambda: examined(run, asked.examples, asked.data_dir, asked.code, asked.split),
    )
    first = results[0] if results else None
    trust: tuple[Chart, ...] = ()
    if first is not None and first.predictions is not None:
        trust = tuple(trust_charts(first.predictions))
    mistakes: Gallery | None = None
    if looked is not None and looked.predictions is not None and given is not None:
        told_of, model = looked.predictions, given
        mistakes = had(
            "mistakes", lambda: gallery(run, model, told_of, asked.mistakes, asked.data_dir)
        )
    elif looked is not None and looked.predictions is None:
        left["mistakes"] = looked.why
    shown: tuple[Sample, ...] = ()
    told: tuple[ToldSample, ...] = ()
    attention, adds = None, None
    if given is not None:
        here = given
        shown = tuple(had("samples", lambda: samples(here)) or ())
        told = tuple(had("told", lambda: told_samples(here, _TOLD)) or ())
        if not told:
            attention = had("attention", lambda: attended(here, _ATTENDED))
        adds = had("multiply-adds", lambda: _multiply_adds(here))
    views = tuple(shown_view(each, facts, results) for each in asked.views)
    return Described(
        facts,
        results,
        curves,
        trust,
        looked,
        _matrix(looked),
        mistakes,
        given,
        shown,
        told,
        attention,
        adds,
        views,
        left,
    )


def _looked_part(results: Sequence[PartResults], split: str | None) -> PartResults | None:
    """The part whose single examples are looked at: the test part only where it is asked for."""
    by_name = {each.name: each for each in results}
    if split is not None:
        return by_name.get(split)
    return by_name.get("validation", by_name.get("test"))


def _matrix(looked: PartResults | None) -> Confusion | None:
    if looked is None or looked.measured is None or looked.measured.confusion is None:
        return None
    assert looked.predictions is not None
    names = looked.predictions.about["class_names"]
    return None if len(names) > _MOST_CLASSES else confusion(looked.measured.confusion, names)


def _multiply_adds(given: Examined) -> int:
    one = jax.eval_shape(lambda: jax.tree.map(lambda leaf: leaf[:1], given.looked.inputs))
    return multiply_adds_of(given.trained.inferred, given.trained.variables, one)
