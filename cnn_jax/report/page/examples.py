"""Examples of the data of a run, and what its model makes of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cnn_jax.data.dataset import Examples, Split
from cnn_jax.errors import UserError
from cnn_jax.evaluation.judged import Judged
from cnn_jax.evaluation.own_data import own_part
from cnn_jax.inside.examples import Looked, prepared
from cnn_jax.report.page.thumbnails import Input, Picture, inputs_shown, picture_of
from cnn_jax.report.told_boxes import boxes_told
from cnn_jax.report.told_sheet import masks_told
from cnn_jax.restored import Restored, restore
from cnn_jax.run_folder import RunFolder
from cnn_jax.tasks import target_kind
from cnn_jax.trained import TrainedModel

_WIDE = 320
"""Pixels of the longer side of a picture with boxes or masks."""


@dataclass(frozen=True)
class Examined:
    """The model of a run, and examples that it is looked at by.

    Attributes:
      restored: the model as it was read.
      trained: the same with its functions.
      part: of the data.
      judged: the part as it is now.
      shown: some of its examples, raw.
    """

    restored: Restored
    trained: TrainedModel
    part: str
    judged: Judged
    shown: Split

    @functools.cached_property
    def looked(self) -> Looked:
        """The same examples as the net takes them."""
        names = tuple(f"{self.part} {place}" for place in range(len(self.shown)))
        return prepared(self.trained, self.shown, self.part, names)


class Sample(NamedTuple):
    """An example of a sheet.

    Attributes:
      shown: what it is.
      title: what is true of it.
    """

    shown: Input
    title: str


class ToldSample(NamedTuple):
    """An example with what is true of each of its places, and what is told.

    Attributes:
      true: with boxes or masks that are true.
      told: with those that are told.
    """

    true: Picture
    told: Picture


def examined(
    run: Path,
    count: int,
    data_dir: Path | None = None,
    code: Sequence[Path] = (),
    split: str | None = None,
) -> Examined:
    """The model of a run with some examples, of each class as many as can be.

    Args:
      run: its folder.
      count: how many examples at most.
      data_dir: where TFDS sets lie.
      code: files to use for code of one's own that has changed.
      split: of which part; by default the validation part, or the training part if there is none.

    Raises:
      UserError: the model or the data cannot be had.
    """
    restored = restore(run, "best", code)
    held_out = "validation" if "validation" in restored.spec.examples else "train"
    part: Any = split or held_out
    judged = own_part(restored, part, data_dir, RunFolder(run).parts())
    places = spread_places(judged.examples, count)
    shown = judged.examples.decoded(places)
    return Examined(restored, TrainedModel(restored), part, judged, shown)


def spread_places(examples: Examples, count: int) -> np.ndarray:
    """Places of some examples: by turns of each class, evenly spread; else evenly spread of all."""
    total = len(examples)
    evenly = np.unique(np.linspace(0, total - 1, min(count, total)).astype(int))
    targets = examples.targets
    if not isinstance(targets, np.ndarray) or targets.ndim != 1 or targets.dtype.kind not in "iu":
        return evenly
    classes = np.unique(targets)
    if not 1 < len(classes) <= count:
        return evenly
    each, more = divmod(min(count, total), len(classes))
    chosen = []
    for turn, label in enumerate(classes):
        own = np.flatnonzero(targets == label)
        wanted = min(len(own), each + (turn < more))
        chosen.append(own[np.unique(np.linspace(0, len(own) - 1, wanted).astype(int))])
    return np.concatenate(chosen)


def samples(given: Examined) -> list[Sample]:
    """The examples with what is true of them."""
    names = given.restored.spec.class_names
    titles = [true_words(given.shown.targets, place, names) for place in range(len(given.shown))]
    alts = [f"an example of {title}" if title else "an example" for title in titles]
    inputs = inputs_shown(given.restored, given.shown.inputs, alts)
    return [Sample(*pair) for pair in zip(inputs, titles, strict=True)]


def true_words(targets: Any, place: int, names: Sequence[str]) -> str:
    """What is true of an example in few words; empty of what has places in an image."""
    if isinstance(targets, Mapping):
        found = targets.get("class", targets.get("tags", targets.get("number")))
        if found is None:
            return ""
        targets = found
    own = np.asarray(targets)[place]
    if own.ndim == 0 and own.dtype.kind in "iub":
        return names[int(own)]
    if own.ndim == 1 and own.dtype.kind in "iub" and len(own) == len(names):
        return ", ".join(names[tag] for tag in np.flatnonzero(own > 0).tolist()) or "none"
    if own.ndim == 1 and own.dtype.kind == "f" and len(own) == len(names):
        several = len(names) > 1
        return ", ".join(
            f"{name} {value:.4g}" if several else f"{value:.4g}"
            for name, value in zip(names, own.tolist(), strict=True)
        )
    if own.ndim == 0 and own.dtype.kind == "f":
        return f"{float(own):.4g}"
    return ""


def told_samples(given: Examined, count: int) -> list[ToldSample]:
    """Examples with boxes or masks that are true and told; none of other tasks."""
    kind = target_kind(given.restored.recipe)
    if kind not in ("boxes", "mask"):
        return []
    shown = given.shown.take(np.arange(min(count, len(given.shown))))
    if not len(shown):
        raise UserError(f"the {given.part} part has no examples")
    rows: Sequence[tuple[np.ndarray, ...]]
    rows = (
        masks_told(given.restored, shown) if kind == "mask" else boxes_told(given.restored, shown)
    )
    what = "the class of each pixel" if kind == "mask" else "boxes"
    return [
        ToldSample(
            picture_of(row[-2], f"an image with {what} as is true", _WIDE),
            picture_of(row[-1], f"the same image with {what} as is told", _WIDE),
        )
        for row in rows
    ]
