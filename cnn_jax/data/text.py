"""One's own texts: `text:PATH`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnn_jax.data.arrays import Kind
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.splits import cut_test
from cnn_jax.data.table import listed_names
from cnn_jax.data.table_targets import TARGETS
from cnn_jax.data.text_files import find_texts
from cnn_jax.data.vocabulary import Vocabulary, by_frequency, encoded, words_of
from cnn_jax.errors import UserError
from cnn_jax.recipe import Columns, Text


def load_text(
    path: str | Path,
    config: Text,
    columns: Columns,
    *,
    kind: Kind = "class",
    name: str | None = None,
    vocabulary: Vocabulary | None = None,
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

    Raises:
      UserError: it cannot be read, or tells nothing of that kind.
    """
    parts, names, words, notes, source = text_parts(path, config, columns, kind, vocabulary)
    dataset = Dataset(
        name=name or f"text:{path}",
        class_names=names,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        source=str(source.resolve()),
        notes=tuple(notes),
        words=words,
    )
    return dataset if dataset.test is not None else cut_test(dataset)


def text_parts(
    path: str | Path,
    config: Text,
    columns: Columns,
    kind: Kind,
    vocabulary: Vocabulary | None = None,
) -> tuple[dict[str, Split], tuple[str, ...], tuple[str, ...], list[str], Path]:
    """The same as they are, no part cut from them.

    Returns:
      The parts, what is told of them, the words of the vocabulary, notes, and where they lie.
    """
    if config.longest < 1:
        raise UserError(f"--data.text.longest {config.longest} must be at least 1")
    found = find_texts(path, config.encoding, columns, kind)
    cells = [row for part in found.cells.values() for row in part]
    names, targets, notes = TARGETS[kind](
        found.source, found.titles, cells, listed_names(columns.names)
    )
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
        groups = [each for part in found.groups.values() for each in part]
    elif repeats := len(texts) - len(same := {tuple(words) for words in texts}):
        groups = [" ".join(words) for words in texts]
        notes.append(
            f"{repeats:,} texts are repeats of the other {len(same):,}; where parts are cut, the "
            "same text stays in one"
        )
    own = [None] * (len(ends) + 1)
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
    return parts, names, vocabulary.words, notes, found.source
