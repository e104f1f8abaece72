"""A table of image files with what is to be told of each: `csv:FILE`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cnn_jax.data.arrays import Kind
from cnn_jax.data.csv_rows import csv_rows
from cnn_jax.data.files_below import below
from cnn_jax.data.image_folders import visible
from cnn_jax.data.strata import check_groups
from cnn_jax.data.table_targets import TARGETS, by_number, check_several
from cnn_jax.data.usual_names import PARTS, SPLIT_COLUMNS
from cnn_jax.data.utf8 import read_utf8
from cnn_jax.data.written_paths import with_slashes
from cnn_jax.errors import UserError, unknown
from cnn_jax.recipe import Columns
from cnn_jax.user_path import user_path

_FILE_NAMES = ("file", "filename", "file_name", "path", "filepath", "image", "image_path", "img")
_SOUND_NAMES = (*_FILE_NAMES, "slice_file_name", "audio", "audio_path", "wav", "sound", "clip")
_CLASS_NAMES = ("class", "category", "label", "target", "class_name", "class_label")
"""What the column with the class of a sound or video is called, where a table tells more of it."""
_VIDEO_NAMES = (*_FILE_NAMES, "video", "video_path", "video_name", "clip", "clip_path")
_FOLDERS = {
    "sound": ("audio", "sounds", "recordings", "clips", "wav", "wavs"),
    "video": ("videos", "video", "clips", "frames"),
}
What = Literal["image", "sound", "video"]

_DELIMITERS = ",;\t|"
_NAMED = 20
"""So many missing files are named."""


@dataclass(frozen=True)
class Rows:
    """The rows of one part.

    Attributes:
      paths: of n files, all of which are there.
      targets: (n, ...), see `cnn_jax.data.fields`.
      groups: (n,) int32, where there are groups.
      folds: (n,) int from 0, where there are folds.
    """

    paths: list[Path]
    targets: np.ndarray
    groups: np.ndarray | None
    folds: np.ndarray | None = None


@dataclass(frozen=True)
class Table:
    """What a table of image files holds.

    Attributes:
      class_names: the classes or tags, or what the numbers are of.
      parts: the rows of each part.
      folder: which the files are named from.
      notes: what a user should know of how it was read.
      fold_names: of the folds, numbers in their order.
    """

    class_names: tuple[str, ...]
    parts: dict[str, Rows]
    folder: Path
    notes: tuple[str, ...]
    fold_names: tuple[str, ...] = ()


def read_table(
    path: str | Path, columns: Columns, kind: Kind, *, what: What = "image", judged: bool = False
) -> Table:
    """Reads a table of image files, of sound files, or of videos.

    The first line names the columns; the delimiter is the one of comma, semicolon, tab and | that
    the first line has most of. File names are relative to the table's folder, or to a folder
    beside it, such as `images`, where they lie there.

    Args:
      path: a text file in UTF-8.
      columns: which columns hold what.
      kind: of the targets. Of `tags` one column holds the tags of an image, separated by one of
        ; | , and blank, or several columns hold 1, 0, or nothing for unknown.
      what: the files are. Sounds and videos may also lie in a folder beside the table's, and
        below; a column may hold folds, and of several that could be the class the one is taken
        that is called so. A video may be a folder of frames.
      judged: nothing is learnt, so that there may be no training part, and one class only.

    Raises:
      UserError: there is no such file or column, files are missing, or a value cannot be read.
    """
    file = user_path(path)
    header, lines = _lines(file)
    notes: list[str] = []
    places = _places(file, header, columns, kind, what, notes)
    names = [line[places.file].strip() for line in lines]
    folder, paths = _files(file, names, what, notes)
    splits = _splits(file, lines, places.split, header)
    cells = [[line[place].strip() for place in places.targets] for line in lines]
    titles = [header[place] for place in places.targets]
    listed = listed_names(columns.names)
    class_names, targets, told = TARGETS[kind](
        file, titles, cells, listed, lambda place: f"row {place + 2} of {file}"
    )
    notes += told
    if kind == "class" and not judged:
        check_several(file, class_names)
    groups = None
    if places.group is not None:
        group = places.group
        groups = np.unique([line[group] for line in lines], return_inverse=True)[1].astype(np.int32)
    folds: np.ndarray | None = None
    fold_names: tuple[str, ...] = ()
    if places.fold is not None:
        folds, fold_names = numbered([line[places.fold].strip() for line in lines])
    parts: dict[str, Rows] = {}
    for split in ("train", "validation", "test"):
        chosen = np.flatnonzero(splits == split)
        if len(chosen):
            parts[split] = Rows(
                [paths[place] for place in chosen],
                targets[chosen],
                None if groups is None else groups[chosen],
                None if folds is None else folds[chosen],
            )
    if "train" not in parts and not judged:
        raise UserError(f"{file} holds no row of the train part; its rows are of {set(splits)}")
    again = [path for path, count in Counter(paths).items() if count > 1]
    if again:
        notes.append(
            f"{len(again):,} files are named in several rows, each of which is an example: "
            f"{', '.join(str(path) for path in again[:3])}{', ...' * (len(again) > 3)}"
        )
    if folder != file.parent:
        notes.append(f"image files are named from {folder}")
    if groups is not None:
        held = {part: rows.groups for part, rows in parts.items() if rows.groups is not None}
        check_groups(file, held, header[places.group or 0])
    return Table(class_names, parts, folder, tuple(notes), fold_names)


def numbered(words: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The place (n,) int of each word among all that there are, and these, numbers in their order.

    As folds are called, such as `3` or `lucas`.
    """
    names = tuple(sorted(set(words), key=by_number))
    known = {name: place for place, name in enumerate(names)}
    return np.array([known[word] for word in words], np.int64), names


@dataclass(frozen=True)
class _Places:
    file: int
    targets: list[int]
    split: int | None
    group: int | None
    fold: int | None


def _lines(file: Path) -> tuple[list[str], list[list[str]]]:
    """The names of the columns, and the cells of every row."""
    text = read_utf8(file)
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    rows = [row for row in csv_rows(file, text, delimiter) if any(row)]
    if len(rows) < 2:
        raise UserError(f"{file} holds no rows below the line that names its columns")
    header = [name.strip() for name in rows[0]]
    if len(set(header)) < len(header) or len(header) < 2:
        raise UserError(
            f"the first line of {file} must name two columns or more, each otherwise; it names "
            f"{', '.join(header)}"
        )
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise UserError(
                f"row {number} of {file} has {len(row)} cells, but there are {len(header)} columns"
            )
    return header, rows[1:]


def _places(
    file: Path, header: list[str], columns: Columns, kind: Kind, what: What, notes: list[str]
) -> _Places:
    """Which column holds what; of sounds and videos also folds."""
    lower = [name.lower() for name in header]

    def place(flag: str, name: str) -> int:
        if name not in header:
            raise unknown(f"column of {file} in {flag}:", name, header)
        return header.index(name)

    def found(flag: str, name: str | None, usual: Sequence[str]) -> int | None:
        if name is not None:
            return place(flag, name)
        return next((lower.index(each) for each in usual if each in lower), None)

    usual = {"image": _FILE_NAMES, "sound": _SOUND_NAMES, "video": _VIDEO_NAMES}[what]
    images = what == "image"
    files = found("--data.columns.file", columns.file, usual)
    if files is None:
        raise UserError(
            f"{file} has no column called {', '.join(usual)}; say which of "
            f"{', '.join(header)} names the {what} files by --data.columns.file"
        )
    split = found("--data.columns.split", columns.split, SPLIT_COLUMNS)
    group = found("--data.columns.group", columns.group, ())
    fold = None if images else found("--data.columns.fold", columns.fold, ("fold",))
    targets = [place("--data.columns.targets", name) for name in columns.targets]
    if not targets:
        # Tables are often written with the numbers of their rows in a column without a name.
        nameless = [each + 1 for each, name in enumerate(header) if not name]
        if nameless:
            notes.append(f"column {nameless[0]} of {file.name} has no name and is left out")
        taken = (files, split, group, fold)
        targets = [each for each, name in enumerate(header) if name and each not in taken]
        named = [lower.index(each) for each in _CLASS_NAMES if each in lower]
        if not images and kind == "class" and len(targets) > 1 and named:
            targets = named[:1]
    if not targets:
        raise UserError(f"{file} has no column that could be told of its {what}s")
    return _Places(files, targets, split, group, fold)


def _files(file: Path, names: list[str], what: What, notes: list[str]) -> tuple[Path, list[Path]]:
    """The folder that names are relative to, and the files, all of which are there."""
    if "" in names:
        raise UserError(f"row {names.index('') + 2} of {file} names no file")
    folders = [file.parent, *[each for each in visible(file.parent) if each.is_dir()]]
    # os.path: a Path's methods raise where a name is too long for a file.
    images, is_there = what == "image", os.path.exists if what == "video" else os.path.isfile
    if not images:
        # As corpora have it: meta/esc50.csv and audio/, metadata/UrbanSound8K.csv and audio/fold1/.
        top = file.resolve().parent.parent
        folders += [top / each for each in _FOLDERS[what] if (top / each).is_dir()]
    names = with_slashes(
        names, lambda name: any(is_there(each / name) for each in folders), file.name, notes
    )
    folder = next((each for each in folders if is_there(each / names[0])), None)
    if folder is None and not images:
        for each in folders[1:]:
            inside = {path.name: path for path in below(each) if is_there(path)}
            if all(Path(name).name in inside for name in names):
                return each, [inside[Path(name).name] for name in names]
    folder = folder or file.parent
    paths = [folder / name for name in names]
    missing = [str(path) for path in paths if not is_there(path)]
    if missing:
        more = f"\n  and {len(missing) - _NAMED:,} more" if len(missing) > _NAMED else ""
        raise UserError(
            f"{len(missing):,} of the {len(paths):,} files that {file} names are not there:\n  "
            + "\n  ".join(missing[:_NAMED])
            + more
        )
    return folder, paths


def _splits(file: Path, lines: list[list[str]], place: int | None, header: list[str]) -> np.ndarray:
    """The part of each row."""
    if place is None:
        return np.full(len(lines), "train", object)
    found = []
    for number, line in enumerate(lines, start=2):
        word = line[place].strip().lower()
        if word not in PARTS:
            raise UserError(
                f"row {number} of {file} has {header[place]} {line[place]!r}; valid are "
                f"{', '.join(PARTS)}. If the column says something else, name another by "
                "--data.columns.split"
            )
        found.append(PARTS[word])
    return np.array(found, object)


def listed_names(path: str | None) -> list[str] | None:
    """The lines of a file with a name each; None where there is none.

    Raises:
      UserError: it cannot be read, or holds no names, or one twice.
    """
    if path is None:
        return None
    try:
        lines = user_path(path).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not written in UTF-8"
        raise UserError(f"--data.columns.names {path} cannot be read: {why}") from None
    names = [line.strip() for line in lines if line.strip()]
    if not names or len(set(names)) < len(names):
        raise UserError(f"--data.columns.names {path} must hold names, each once")
    return names
