"""What a model makes of a user's own texts, and which of their windows decided."""

from __future__ import annotations

import os
import re
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from cnn_jax import models
from cnn_jax.data.text_files import TABLES, read_text
from cnn_jax.data.text_table import texts_of_table
from cnn_jax.data.vocabulary import encoded, words_of
from cnn_jax.errors import UserError
from cnn_jax.evaluation.predict import Answers, Told, told_of
from cnn_jax.recipe import Data
from cnn_jax.restored import Restored
from cnn_jax.tasks import make_task
from cnn_jax.training.evaluator import make_model

_BATCH = 128
_DECIDED = re.compile(r"decided(\d+)")


def texts_of(words: Sequence[Path], restored: Restored) -> list[str]:
    """The texts that the words of a command line stand for.

    Args:
      words: texts; files with a text a line, or tables with a column of them; `-` for standard
        input, a text a line.
      restored: the model, whose texts were written in an encoding.

    Raises:
      UserError: a file cannot be read, or there is no text.
    """
    found: list[str] = []
    for word in words:
        if str(word) == "-":
            lines = sys.stdin.read().split("\n")
        elif os.path.isfile(word):  # noqa: PTH113 - a Path's method raises where it may not look
            lines = _lines_of(word, restored.recipe.data)
        elif os.path.isdir(word):  # noqa: PTH112
            raise UserError(f"{word} is a folder; give a text, or a file with a text a line")
        elif word.suffix.lower() in (".txt", *TABLES) and " " not in str(word):
            raise UserError(f"{word}: there is no such file")
        else:
            lines = [str(word)]
        found += [line.rstrip("\r") for line in lines if line.strip()]
    if not found:
        raise UserError(f"{' '.join(map(str, words))}: there is no text")
    return found


def _lines_of(file: Path, data: Data) -> list[str]:
    """The lines of a file, of a table those of its column of texts, which is said."""
    content = read_text(file, data.text.encoding)
    table = None
    if file.suffix.lower() in TABLES and content.strip():
        table = texts_of_table(file, content, data.columns)
    if table is None:
        return content.split("\n")
    texts, column = table
    print(f"{file}: the texts are those of column {column}", file=sys.stderr)
    return texts


def predict_texts(
    restored: Restored, texts: Sequence[str], top: int = 5, apply: Answers | None = None
) -> list[Told]:
    """Predicts the classes or tags of texts, or the numbers that belong to them.

    Args:
      restored: the model.
      texts: each is cut where it is longer than those that the model was trained on.
      top: how many classes are named for each, or all if there are fewer.
      apply: the model's answers, by default compiled anew.
    """
    return told_of(restored, texts, tokens_of(restored, texts), top, apply)


@dataclass(frozen=True)
class Window:
    """Words that decided.

    Attributes:
      words: in their order; those that the model does not know are marked.
      share: what they add to the first class's logit, less what they add to the mean of all.
    """

    words: str
    share: float


def told_by_layers(restored: Restored) -> Any:
    """(variables, words (n, t)) -> what each layer of a model of texts gives, compiled."""
    model = make_model(restored.recipe, make_task(restored.recipe, restored.spec))
    return jax.jit(lambda variables, x: models.activations(model, variables, x))


def deciding_windows(
    restored: Restored, texts: Sequence[str], count: int = 3, activations: Any = None
) -> list[list[Window]]:
    """The windows of each text that speak most for the class that is told of it.

    Each map of a TextCNN has its maximum at one window, and the last layer is linear in the maxima:
    what a window adds is the sum over the maps that it decided.

    Args:
      restored: a model with a maximum over time and a linear layer after it, such as `text_cnn`;
        of others there are no windows.
      texts: n of them.
      count: how many windows at most, the strongest first.
      activations: as of `told_by_layers`, by default compiled anew.
    """
    assert restored.spec.vocabulary is not None
    known, length = set(restored.spec.words), restored.spec.vocabulary.length
    config = restored.recipe.data.text
    written = [
        [word if word in known else f"{word}?" for word in words_of(text, config)[:length]]
        for text in texts
    ]
    return windows_of(restored, tokens_of(restored, texts), written, count, activations)


def windows_of(
    restored: Restored,
    tokens: np.ndarray,
    written: Sequence[Sequence[str]],
    count: int = 3,
    activations: Any = None,
) -> list[list[Window]]:
    """The same of texts as a model takes them.

    Args:
      restored: as of `deciding_windows`.
      tokens: of the texts (n, t) int32.
      written: the words of each text, as they are shown.
      count: how many windows at most, the strongest first.
      activations: as of `told_by_layers`, by default compiled anew.
    """
    activations = activations or told_by_layers(restored)
    windows: list[list[Window]] = []
    for start in range(0, len(tokens), _BATCH):
        found = jax.device_get(activations(restored.variables, tokens[start : start + _BATCH]))
        windows += [
            _windows(restored, words, {name: value[place] for name, value in found.items()}, count)
            for place, words in enumerate(written[start : start + _BATCH])
        ]
    return windows


def _windows(
    restored: Restored, written: Sequence[str], found: dict[str, Any], count: int
) -> list[Window]:
    """The same of one text, from what the layers put out."""
    widths = [int(each[1]) for name in found if (each := _DECIDED.fullmatch(name))]
    if not widths:
        return []
    variables: Any = restored.variables
    head, logits = np.asarray(variables["params"]["head"]["kernel"]), found["logits"]
    if len(logits) > 1:
        towards = head[:, int(np.argmax(logits))] - head.mean(axis=1)
    else:
        towards = head[:, 0] * (1 if logits[0] > 0 else -1)
    shares = np.split(found["embedding"] * towards, len(widths))
    adds: dict[tuple[int, int], float] = defaultdict(float)
    for width, each in zip(widths, shares, strict=True):
        for place, share in zip(found[f"decided{width}"], each, strict=True):
            adds[int(place), width] += float(share)
    spoken = [
        Window(" ".join(written[max(place, 0) : max(place + width, 0)]), share)
        for (place, width), share in sorted(adds.items(), key=lambda item: -item[1])
    ]
    return [each for each in spoken if each.words and each.share > 0][:count]


def cut_texts(restored: Restored, texts: Sequence[str]) -> str:
    """How many texts are longer than the model takes, in words; empty if none is."""
    assert restored.spec.vocabulary is not None
    longest, config = restored.spec.vocabulary.length, restored.recipe.data.text
    count = sum(len(words_of(text, config)) > longest for text in texts)
    return f"{count:,} of {len(texts):,} texts are cut after {longest:,} words" if count else ""


def tokens_of(restored: Restored, texts: Sequence[str]) -> np.ndarray:
    """Texts as the words (n, t) int32 that a model knows, cut where they are longer."""
    assert restored.spec.vocabulary is not None
    config = restored.recipe.data.text
    return encoded([words_of(text, config) for text in texts], restored.spec.vocabulary)
