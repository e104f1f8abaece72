"""Vectors of words that others have published: the files of word2vec and GloVe."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from cnn_jax.errors import UserError


class WordRows(NamedTuple):
    """The vectors of some words.

    Attributes:
      places: (k,) int, of the words that were asked for and found.
      vectors: (k, d) float32.
    """

    places: np.ndarray
    vectors: np.ndarray


def read_word_vectors(file: Path, places: Mapping[str, int]) -> WordRows:
    """The vectors of the words that are wanted; of a word that stands there twice the first.

    Args:
      file: in text, with a word and its numbers a line, a blank between them (GloVe; word2vec has
        a first line with the number of words and of numbers); or `.bin`, word2vec's binary form,
        that line before words with float32 numbers; either may be compressed, `.gz`.
      places: each word that is wanted, with its place.

    Raises:
      UserError: it cannot be read, is written in another way, or has none of the words.
    """
    binary = ".bin" in file.suffixes
    try:
        opening: Any = gzip.open if file.suffix == ".gz" else open
        with opening(file, "rb") as opened:
            found: dict[int, np.ndarray] = {}
            for word, vector in (_binary if binary else _lines)(file, opened, places):
                found.setdefault(places[word], vector)
    except (OSError, EOFError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UserError(f"--init.words {file} cannot be read: {why}") from None
    if not found:
        raise UserError(
            f"--init.words {file} has a vector for none of the {len(places):,} words of the "
            "vocabulary; it may be of another language, or write words in another way"
        )
    return WordRows(np.array(list(found)), np.stack(list(found.values())))


def _lines(
    file: Path, opened: IO[bytes], places: Mapping[str, int]
) -> Iterator[tuple[str, np.ndarray]]:
    """Wanted words with their vectors, of a text."""
    size = None
    for number, line in enumerate(opened, start=1):
        cells = line.rstrip().split(b" ")
        if number == 1 and len(cells) == 2 and all(cell.isdigit() for cell in cells):
            size = int(cells[1])
            continue
        size = size or len(cells) - 1
        # A few words of GloVe have blanks in them.
        word = b" ".join(cells[:-size]).decode(errors="replace")
        if len(cells) > size > 0 and word not in places:
            continue
        try:
            vector = np.array(cells[-size:], np.float32) if len(cells) > size > 0 else None
        except ValueError:
            vector = None
        if vector is None or not np.isfinite(vector).all():
            raise UserError(
                f"line {number:,} of --init.words {file} is not a word with "
                f"{size or 'its'} finite numbers behind it; files are read in the text "
                "of GloVe or word2vec, and as word2vec's .bin"
            )
        yield word, vector


def _binary(
    file: Path, opened: IO[bytes], places: Mapping[str, int]
) -> Iterator[tuple[str, np.ndarray]]:
    """The same of word2vec's binary form."""
    head = opened.readline().split()
    if len(head) != 2 or not all(cell.isdigit() for cell in head) or int(head[1]) < 1:
        raise UserError(
            f"--init.words {file} does not begin with a number of words and of numbers, as a .bin "
            "of word2vec does"
        )
    count, size = map(int, head)
    for number in range(1, count + 1):
        word = bytearray()
        while (letter := opened.read(1)) not in (b" ", b""):
            word += letter
        values = opened.read(4 * size)
        if len(values) < 4 * size:
            raise UserError(
                f"--init.words {file} ends within word {number:,} of {count:,}; bring it again"
            )
        # Some programs end each with a line's end, which then stands before the next word.
        text = word.lstrip(b"\n").decode(errors="replace")
        if text in places:
            yield text, np.frombuffer(values, "<f4")
