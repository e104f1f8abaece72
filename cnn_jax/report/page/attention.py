"""Where the net of a run finds what it tells, example by example."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from cnn_jax.errors import UserError
from cnn_jax.inside.attention import attention, scaled
from cnn_jax.inside.examples import Looked, as_seen
from cnn_jax.inside.net import Net, net_of
from cnn_jax.report.attended import attended_words, series_curves, sound_curves, upright
from cnn_jax.report.attention_sheet import series_attention
from cnn_jax.report.heat import in_bytes, over
from cnn_jax.report.page.examples import Examined, true_words
from cnn_jax.report.page.thumbnails import Picture, picture_of
from cnn_jax.tasks import kind_of
from cnn_jax.trained import TrainedModel


class Word(NamedTuple):
    """A word of a text.

    Attributes:
      text: itself.
      level: how much it adds, from -1 to 1.
    """

    text: str
    level: float


class Attended(NamedTuple):
    """An example with where the net looks.

    Attributes:
      plain: it as it is; None of series and texts.
      seen: the same in colour, orange where something speaks for what is told; None of texts.
      words: of a text.
      told: what is told, in words.
      true: what is true, in words; empty where that is not a word.
    """

    plain: Picture | None
    seen: Picture | None
    words: tuple[Word, ...]
    told: str
    true: str


class Attention(NamedTuple):
    """Examples with where the net looks.

    Attributes:
      examples: those.
      how: the maps were made, in words.
    """

    examples: list[Attended]
    how: str


def attended(given: Examined, count: int) -> Attention:
    """Where the net looks in some of the examples.

    Args:
      given: the model and its examples.
      count: how many at most.

    Raises:
      UserError: there are no maps of such a net.
    """
    trained, kind = given.trained, given.restored.spec.input_kind
    if kind == "clip":
        raise UserError("maps of videos are not made")
    net = net_of(trained)
    few = Looked(*given.looked)
    total = len(jax.tree.leaves(few.inputs)[0])
    chosen = np.unique(np.linspace(0, total - 1, min(count, total)).astype(int))
    inputs = jax.tree.map(lambda leaf: leaf[chosen], few.inputs)
    targets = None if few.targets is None else jax.tree.map(lambda leaf: leaf[chosen], few.targets)
    method = "hires_cam" if kind == "tokens" else "grad_cam"
    first = None
    if kind == "tokens":
        first = next((each.name for each in net.layers(inputs) if each.is_series), None)
    made = attention(net, inputs, None, first, method)
    told = _told(trained, net, inputs, made.classes)
    names = trained.spec.class_names
    true = [true_words(targets, place, names) for place in range(len(chosen))]
    draw = {"image": _images, "sound": _sounds, "series": _series, "tokens": _texts}[kind]
    cells = draw(given, inputs, made.maps, [f"told {each}" for each in told])
    examples = [Attended(*c, t, y) for c, t, y in zip(cells, told, true, strict=True)]
    name = "HiResCAM" if method == "hires_cam" else "Grad-CAM"
    return Attention(examples, f"{name} at layer {made.layer}, of what is told")


def _told(trained: TrainedModel, net: Net, inputs: Any, classes: np.ndarray) -> list[str]:
    """What is told of each example, with its probability or value."""
    task, names = trained.task, trained.spec.class_names

    @jax.jit
    def answered(variables: Any, inputs: Any) -> Any:
        return task.answers(trained.apply(variables, inputs))

    answers = np.asarray(answered(trained.variables, inputs))
    if kind_of(trained.recipe).NUMBERS:
        return [
            f"{names[int(c)]} {row[int(c)]:.4g}" for c, row in zip(classes, answers, strict=True)
        ]
    if answers.ndim != 2 or answers.shape[1] != len(names):
        return [names[int(each)] for each in classes]
    return [f"{names[int(c)]} {row[int(c)]:.0%}" for c, row in zip(classes, answers, strict=True)]


Cell = tuple[Picture | None, Picture | None, tuple[Word, ...]]


def _images(given: Examined, inputs: Any, maps: np.ndarray, alts: list[str]) -> list[Cell]:
    seen, large = as_seen(given.trained, inputs), scaled(maps, inputs.shape[1:3])
    return [_pair(picture, each, alt) for picture, each, alt in zip(seen, large, alts, strict=True)]


def _pair(picture: np.ndarray, level: np.ndarray, alt: str) -> Cell:
    plain = picture_of(in_bytes(picture), f"an example, {alt}")
    return plain, picture_of(over(picture, level), f"where the net looks, {alt}"), ()


def _sounds(given: Examined, inputs: Any, maps: np.ndarray, alts: list[str]) -> list[Cell]:
    if inputs.ndim == 2:
        return _curves(*sound_curves(inputs, maps), alts)
    pictures, turned = upright(inputs, {"": maps})
    return [_pair(*each) for each in zip(pictures, turned[""], alts, strict=True)]


def _series(given: Examined, inputs: Any, maps: np.ndarray, alts: list[str]) -> list[Cell]:
    return _curves(*series_curves(inputs, maps), alts)


def _curves(shown: np.ndarray, along: np.ndarray, alts: list[str]) -> list[Cell]:
    cells: list[Cell] = []
    for place, alt in enumerate(alts):
        one = slice(place, place + 1)
        drawn = np.asarray(series_attention(shown[one], [""], along[one]))
        cells.append((None, picture_of(drawn, f"where the net looks, {alt}", 340), ()))
    return cells


def _texts(given: Examined, inputs: Any, maps: np.ndarray, alts: list[str]) -> list[Cell]:
    texts, along = attended_words(given.trained, np.asarray(inputs), maps)
    cells: list[Cell] = []
    for words, levels in zip(texts, along, strict=True):
        pairs = zip(words, levels.tolist(), strict=False)
        cells.append((None, None, tuple(Word(word, round(each, 2)) for word, each in pairs)))
    return cells
