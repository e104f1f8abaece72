"""What the places and names of sound files tell: classes, parts, and folds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cnn_jax.data.files_below import below
from cnn_jax.data.folder_names import Told, told_by_folders
from cnn_jax.errors import UserError


class _Corpus(NamedTuple):
    """How a known corpus names its files.

    Attributes:
      name: of the corpus.
      form: of the names, without what stands behind the last dot.
      folds: what the names say of the folds, in words.
    """

    name: str
    form: re.Pattern[str]
    folds: str


_DIGITS = _Corpus(
    "the Free Spoken Digit Dataset",
    re.compile(r"(?P<label>\d)_(?P<fold>[A-Za-z]+)_(?P<index>\d+)"),
    "recordings 0 to 4 are the test part; --folds leaves out one speaker after the other",
)
_ENVIRONMENT = _Corpus(
    "ESC",
    re.compile(r"(?P<fold>\d)-\d+-[A-Z](-(?P<label>\d+))?"),
    "they begin with the fold",
)
_URBAN = _Corpus("UrbanSound8K", re.compile(r"\d+-(?P<label>\d)-\d+-\d+"), "")
_TESTED_DIGITS = 5
"""Of each speaker and digit so many recordings, the first, are the test part."""


def told_by_places(top: Path, files: Sequence[Path]) -> tuple[list[Told], list[str]]:
    """What the folders and the names of sound files tell, and notes of it.

    Folders tell as `cnn_jax.data.folder_names.told_by_folders` has it. Where they tell no class,
    names are read as those of known corpora.

    Args:
      top: the folder of the set.
      files: below it, one at least.

    Raises:
      UserError: nothing tells the class of a file.
    """
    found, notes = [], list[str]()
    folders = told_by_folders(top, files)
    if len({each.label for each in folders}) == 1 and _corpus(files):
        # One folder for all, such as `audio`, is no class.
        folders = [each._replace(label="") for each in folders]
    bare = [file for file, each in zip(files, folders, strict=True) if not each.label]
    corpus = _corpus(bare) if bare else None
    if bare and (corpus is None or len(bare) < len(files)):
        raise UserError(_no_class(top, bare, len(files)))
    # In folders of classes, too, names of ESC begin with the fold.
    environment = corpus is None and all(_ENVIRONMENT.form.fullmatch(each.stem) for each in files)
    if environment:
        corpus = _ENVIRONMENT
    for file, each in zip(files, folders, strict=True):
        match = corpus.form.fullmatch(file.stem) if corpus else None
        words = match.groupdict() if match else {}
        label = each.label or words.get("label") or ""
        fold = each.fold or words.get("fold")
        part = each.part
        if corpus is _DIGITS:
            part = "test" if int(words["index"]) < _TESTED_DIGITS else "train"
        found.append(Told(label, part, fold))
    if corpus is not None:
        also = f": {corpus.folds}" if corpus.folds else ""
        notes.append(f"files are called as in {corpus.name}{also}")
    if any(each.fold is None for each in found):
        found = [each._replace(fold=None) for each in found]
    return found, notes


def _corpus(files: Sequence[Path]) -> _Corpus | None:
    """The known corpus in whose way all files are called, with the class in the name."""
    for each in (_DIGITS, _ENVIRONMENT, _URBAN):
        matches = [each.form.fullmatch(file.stem) for file in files]
        if all(match is not None and match["label"] is not None for match in matches):
            return each
    return None


def _no_class(top: Path, bare: Sequence[Path], count: int) -> str:
    tables = [file for file in below(top) if file.suffix == ".csv"]
    advice = "put the sounds of each class in a folder, or write a table of file names and classes"
    if tables:
        advice = f"its tables are {', '.join(map(str, tables[:5]))}: give one as sound:{tables[0]}"
    return (
        f"{len(bare):,} of the {count:,} sounds of {top} lie in no folder of a class, such as "
        f"{bare[0].relative_to(top)}; {advice}"
    )
