"""One's own texts: `text:PATH`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnn_jax.data.arrays import Kind
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.splits import cut_test
from cnn_jax.data.strata import check_groups
from cnn_jax.data.table import listed_names
from cnn_jax.data.table_targets import TARGETS, check_several
from cnn_jax.data.text_files import find_texts
from cnn_jax.data.vocabulary import Vocabulary, by_frequency, encoded, words_of
from cnn_jax.errors import UserError
from cnn_jax.recipe import Columns, Text


class TextParts(NamedTuple):
    """Texts as words.

    Attributes:
      parts: by name, train among them.
      names: of the classes or tags, or what the numbers are of.
      words: the vocabulary.
      notes: what a user should know of how they were read.
      source: where they lie.
    """

    parts: dict[str, Split]
    names: tuple[str, ...]
    words: tuple[str, ...]
    notes: list[str]
    source: Path


def load_text(
    path: str | Path,
    config: Text,
    columns: Columns,
    *,
    kind: Kind = "class",
    name: str | None = None,
    vocabulary: Vocabulary | None = None,
    test_part: float | None = None,
) -> Dataset:
    """The texts of a table or a folder as words, see `cnn_jax.data.text_files.find_texts`.

    Without a test part a tenth of train is cut as one. The same text, which may stand there more
    than once, stays in one part.

    Args:
      path: of the table or the folder.
      config: how texts become words.
      columns: which columns of a table hold what.
      kind: of the targets, see `cnn_jax.data.fields`.
      name: of the set.
      vocabulary: what a model knows; by default all words that are there.
      test_part: of train where there is no test part, as of `cnn_jax.data.splits.cut_test`.

    Raises:
      UserError: it cannot be read, or tells nothing of that kind.
    """
    found = text_parts(path, config, columns, kind, vocabulary)
    dataset = Dataset(
        name=name or f"text:{path}",
        class_names=found.names,
        train=found.parts["train"],
        validation=found.parts.get("validation"),
        test=found.parts.get("test"),
        source=str(found.source.resolve()),
        notes=tuple(found.notes),
        words=found.words,
    )
    return cut_test(dataset, test_part)


def text_parts(
    path: str | Path,
    config: Text,
    columns: Columns,
    kind: Kind,
    vocabulary: Vocabulary | None = None,
    *,
    judged: bool = False,
) -> TextParts:
    """The same as they are, no part cut from them; see `load_text`.

    Args:
      path: of the table or the folder.
      config: how texts become words.
      columns: which columns of a table hold what.
      kind: of the targets.
      vocabulary: what a model knows.
      judged: nothing is learnt, so that there may be no training part, and one class only.
    """
    if config.longest < 1:
        raise UserError(f"--data.text.longest {config.longest} must be at least 1")
    found = find_texts(path, config.encoding, columns, kind, judged=judged)
    cells = [row for part in found.cells.values() for row in part]
    names, targets, notes = TARGETS[kind](
        found.source, found.titles, cells, listed_names(columns.names), found.where
    )
    if kind == "class" and not judged:
        check_several(found.source, names)
    texts = [words_of(text, config) for part in found.texts.values() for text in part]
    longest = max(map(len, texts))
    if not longest:
        raise UserError(f"{found.source} holds no words, only {len(texts):,} empty texts")
    if vocabulary is None:
        vocabulary = Vocabulary(by_frequency(texts), min(longest, config.longest))
        limit = f"--data.text.longest {config.longest:,}"
    else:
        limit = "what the model was trained on"
    notes = [*found.notes, *notes]
    if cut := sum(len(words) > vocabulary.length for words in texts):
        notes.append(
            f"{cut:,} of {len(texts):,} texts are cut after {vocabulary.length:,} words ({limit})"
        )
    if empty := sum(not words for words in texts):
        notes.append(f"{empty:,} texts have no words; they are kept as examples")
    tokens = encoded(texts, vocabulary)
    ends = np.cumsum([len(part) for part in found.texts.values()])[:-1]
    groups = None
    if found.groups is not None:
        check_groups(found.source, found.groups, str(columns.group))
        groups = [each for part in found.groups.values() for each in part]
    elif repeats := len(texts) - len(same := {tuple(words) for words in texts}):
        groups = [" ".join(words) for words in texts]
        notes.append(
            f"{repeats:,} texts are repeats of the other {len(same):,}; where parts are cut, the "
            "same text stays in one"
        )
    own: Sequence[np.ndarray | None] = [None] * (len(ends) + 1)
    if groups is not None:
        places = np.unique(groups, return_inverse=True)[1].astype(np.int32)
        own = np.split(places, ends)
    parts = {
        part: Split(*each)
        for part, each in zip(
            found.texts,
            zip(np.split(tokens, ends), np.split(targets, ends), own, strict=True),
            strict=True,
        )
    }
    return TextParts(parts, names, vocabulary.words, notes, found.source)
