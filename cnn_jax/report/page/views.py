"""Views of a user's own in a report: a function of a run, which gives HTML or a picture."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from cnn_jax.errors import UserError
from cnn_jax.evaluation.predictions import Predictions
from cnn_jax.own.in_files import named_code
from cnn_jax.report.page.facts import RunFacts
from cnn_jax.report.page.results import PartResults
from cnn_jax.report.page.thumbnails import Picture, picture_of

_WIDEST = 1600
"""Pixels of the longer side of a picture at most."""


@dataclass(frozen=True)
class ViewedRun:
    """What a view is made of.

    Attributes:
      folder: of the run.
      recipe: its fields by path, such as `optimizer.learning_rate`.
      summary: what came of it, as in `summary.json`; None where it has not finished.
      lines: what it has measured, as in `metrics.jsonl`.
      class_names: of its data; empty where it has not read them.
      predictions: what was told of every example, by part, where it is kept.
    """

    folder: Path
    recipe: Mapping[str, Any]
    summary: Mapping[str, Any] | None
    lines: Sequence[Mapping[str, Any]]
    class_names: tuple[str, ...]
    predictions: Mapping[str, Predictions]


class View(NamedTuple):
    """A view.

    Attributes:
      name: as it was given, FILE.py:NAME.
      make: the function.
    """

    name: str
    make: Callable[[ViewedRun], Any]

    @property
    def title(self) -> str:
        """The first line of what the function says of itself, or its name."""
        said = inspect.getdoc(self.make) or ""
        first = said.partition("\n")[0].strip().rstrip(".")
        return first or getattr(self.make, "__name__", self.name).replace("_", " ")


class Made(NamedTuple):
    """What a view has made.

    Attributes:
      title: of it.
      html: as the function wrote it; empty of a picture.
      picture: None of HTML.
    """

    title: str
    html: str
    picture: Picture | None


def view_named(name: str) -> View:
    """The view FILE.py:NAME.

    Raises:
      UserError: there is no such file, or no function of this name in it.
    """
    found = named_code("--view", name)
    if not callable(found):
        raise UserError(f"--view {name} is no function of a run")
    return View(name, found)


def shown_view(view: View, facts: RunFacts, results: Sequence[PartResults]) -> Made:
    """What a view makes of a run.

    Raises:
      UserError: it fails, or gives neither HTML nor a picture.
    """
    run = ViewedRun(
        facts.folder,
        {each.name: each.value for each in facts.fields},
        facts.summary,
        facts.lines,
        () if facts.spec is None else facts.spec.class_names,
        {each.name: each.predictions for each in results if each.predictions is not None},
    )
    try:
        made = view.make(run)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"the view {view.name} fails: {type(error).__name__}: {error}") from error
    if isinstance(made, str):
        return Made(view.title, made, None)
    return Made(view.title, "", picture_of(_pixels(view, made), view.title, _WIDEST))


def _pixels(view: View, made: Any) -> np.ndarray:
    """A picture of Pillow, an array or a figure of matplotlib as (h, w, 3) uint8."""
    if isinstance(made, Image.Image):
        return np.asarray(made.convert("RGB"))
    if hasattr(made, "savefig"):
        file = io.BytesIO()
        made.savefig(file, format="png", dpi=150)
        return np.asarray(Image.open(file).convert("RGB"))
    array = made if isinstance(made, np.ndarray) else None
    if array is not None and array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3:
        return array
    what = type(made).__name__ if array is None else f"an array {array.shape} of {array.dtype}"
    raise UserError(
        f"the view {view.name} gives {what}; valid are HTML as text, a picture of Pillow, a figure "
        "of matplotlib, and an array (h, w, 3) of uint8"
    )
