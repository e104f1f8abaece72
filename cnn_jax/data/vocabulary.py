"""Words as whole numbers: how a text is parted, and the place of each word."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from cnn_jax.data.dataset import Dataset, Examples, Split
from cnn_jax.recipe import Text

PADDING, UNKNOWN = 0, 1
"""What stands after the end of a text, and for a word that is not in the vocabulary."""
FIRST = 2
"""The place of the first word of the vocabulary."""

# What is neither a letter nor a digit, of any alphabet, nor one of Kim's signs.
_OTHER = re.compile(r"[^\w(),!?'`]|_")
_ENDINGS = re.compile(r"(n't|'(?:s|ve|re|d|ll))", re.IGNORECASE)
_SIGNS = re.compile(r"([(),!?])")


class Vocabulary(NamedTuple):
    """What texts are encoded by.

    Attributes:
      words: whose places begin with `FIRST`.
      length: of every text in places; what is longer is cut.
    """

    words: tuple[str, ...]
    length: int


def words_of(text: str, config: Text) -> list[str]:
    """The words of a text, as Kim (2014, https://arxiv.org/abs/1408.5882) cleans it.

    Letters of every alphabet are kept, where his code keeps those of English.

    Args:
      text: any.
      config: how it is cleaned.
    """
    if config.cleaning == "words":
        text = _OTHER.sub(" ", text)
        text = _SIGNS.sub(r" \1 ", _ENDINGS.sub(r" \1", text))
    return (text.lower() if config.lower_case else text).split()


def by_frequency(texts: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """The words of some texts, the most frequent first, and by the alphabet where equal."""
    counts = Counter(word for words in texts for word in words)
    return tuple(sorted(counts, key=lambda word: (-counts[word], word)))


def encoded(texts: Sequence[Sequence[str]], vocabulary: Vocabulary) -> np.ndarray:
    """Texts as places in a vocabulary, (n, length) int32; what is longer is cut.

    Args:
      texts: n lists of words.
      vocabulary: what they are encoded by.
    """
    places = {word: place for place, word in enumerate(vocabulary.words, start=FIRST)}
    found = np.full((len(texts), vocabulary.length), PADDING, np.int32)
    for row, words in zip(found, texts, strict=True):
        own = [places.get(word, UNKNOWN) for word in words[: vocabulary.length]]
        row[: len(own)] = own
    return found


def lengths(tokens: np.ndarray) -> np.ndarray:
    """How many words texts (n, t) have, (n,) int."""
    return np.sum(tokens != PADDING, axis=1)


def with_training_words(dataset: Dataset) -> Dataset:
    """A set of texts with the words of its training part alone; any other as it is.

    Other words become `UNKNOWN`, and texts have the length of the longest that is learnt from.

    Args:
      dataset: with all its parts.
    """
    train = dataset.train
    if not dataset.words or not isinstance(train, Split):
        return dataset
    counts = np.bincount(train.inputs.ravel(), minlength=FIRST + len(dataset.words))
    words = dict(enumerate(dataset.words, start=FIRST))
    # As `by_frequency` has it, so that nothing but the training part counts.
    there = [int(each) for each in np.flatnonzero(counts) if each >= FIRST]
    kept = sorted(there, key=lambda each: (-counts[each], words[each]))
    place = np.full(FIRST + len(dataset.words), UNKNOWN, np.int32)
    place[PADDING] = PADDING
    place[kept] = np.arange(FIRST, FIRST + len(kept))
    longest = max(1, int(lengths(train.inputs).max()))
    notes = []

    def of(name: str, part: Examples | None) -> Split | None:
        if part is None:
            return None
        assert isinstance(part, Split)
        tokens = place[part.inputs]
        said = []
        if count := int(np.sum(tokens == UNKNOWN)):
            said.append(f"{count / np.sum(tokens != PADDING):.1%} of the words are not in it")
        if count := int(np.sum(lengths(tokens) > longest)):
            said.append(f"{count:,} longer texts are cut")
        if said:
            notes.append(f"{name}: {', '.join(said)}")
        return Split(np.ascontiguousarray(tokens[:, :longest]), part.targets, part.groups)

    learnt, validation = of("train", train), of("validation", dataset.validation)
    assert learnt is not None
    test = of("test", dataset.test)
    about = (
        f"the vocabulary is the {len(kept):,} words of the {len(train):,} training texts, of "
        f"{longest:,} words at most"
    )
    return dataclasses.replace(
        dataset,
        train=learnt,
        validation=validation,
        test=test,
        words=tuple(words[each] for each in kept),
        notes=(*dataset.notes, "; ".join([about, *notes])),
    )
