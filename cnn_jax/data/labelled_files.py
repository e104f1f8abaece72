"""Files of sounds or videos, with a class or something else told of each by folders or a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np

from cnn_jax.data.arrays import Kind
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.folder import check_classes_left, left_out
from cnn_jax.data.folder_names import Told
from cnn_jax.data.images import UnreadableImage, in_threads
from cnn_jax.data.splits import cut_test
from cnn_jax.data.table import numbered, read_table
from cnn_jax.errors import UserError
from cnn_jax.recipe_of_data import Columns
from cnn_jax.user_path import user_path

T = TypeVar("T")

What = Literal["sound", "video"]
"""What each file is; data names begin with it."""

SHOWN = 3
"""So many files are named in a note."""

_PARTS = ("train", "validation", "test")


class LabelledFiles(NamedTuple):
    """The files of a set, not yet read.

    Attributes:
      what: they are.
      class_names: the k classes or tags, or what the numbers are of.
      files: n of them, by part; videos may be folders of frames.
      parts: (n,) the part of each.
      targets: (n, ...), see `cnn_jax.data.fields`.
      groups: (n,) int32, where there are groups.
      folds: (n,) int from 0, where the set comes with folds.
      fold_names: what these are called.
      notes: what a user should know.
    """

    what: What
    class_names: tuple[str, ...]
    files: list[Path]
    parts: np.ndarray
    targets: np.ndarray
    groups: np.ndarray | None
    folds: np.ndarray | None
    fold_names: tuple[str, ...]
    notes: list[str]


def find_labelled(
    what: What,
    path: str | Path,
    name: str,
    columns: Columns,
    kind: Kind,
    *,
    suffixes: Sequence[str],
    in_folder: Callable[[Path], LabelledFiles],
    judged: bool,
) -> LabelledFiles:
    """The files of a folder or of a table, with what is to be told of them.

    Args:
      what: they are.
      path: the folder, or a table as `cnn_jax.data.table.read_table` reads it.
      name: of the set.
      columns: of a table.
      kind: of the targets.
      suffixes: what such files are called, so that a table is not taken for one.
      in_folder: finds those of a folder, whose targets are classes.
      judged: nothing is learnt from them, so that any parts will do.

    Raises:
      UserError: there is no such set.
    """
    place = user_path(path)
    if place.is_dir():
        if columns != Columns():
            raise UserError(f"--data.columns are of {what}:FILE, a table, and {path} is a folder")
        if kind != "class":
            raise UserError(
                f"{name} has classes, and the task learns {kind}; a table, {what}:FILE, can have "
                "these"
            )
        return in_folder(place)
    if not place.exists():
        raise UserError(f"{name}: there is no {path}")
    if place.suffix.lower() in suffixes:
        raise UserError(
            f"{name} is one {what}; give the folder that holds a folder a class, or a table of "
            "file names and classes"
        )
    table = read_table(path, columns, kind, what=what, judged=judged)
    rows = [(part, table.parts[part]) for part in _PARTS if part in table.parts]
    groups, folds = ([getattr(each, which) for _, each in rows] for which in ("groups", "folds"))
    return LabelledFiles(
        what,
        table.class_names,
        [file for _, each in rows for file in each.paths],
        np.concatenate([np.full(len(each.paths), part, object) for part, each in rows]),
        np.concatenate([each.targets for _, each in rows]),
        None if groups[0] is None else np.concatenate(groups),
        None if folds[0] is None else np.concatenate(folds),
        table.fold_names,
        [each.replace("image files", f"{what}s") for each in table.notes],
    )


def passed_over(what: What, others: Sequence[str]) -> list[str]:
    """The note of files that are none of these, if there are any."""
    more = f" and {len(others) - SHOWN:,} more" * (len(others) > SHOWN)
    return [f"passed over what is no {what}: {', '.join(others[:SHOWN])}{more}"] if others else []


def of_classes(
    what: What,
    files: Sequence[Path],
    told: Sequence[Told],
    name: str,
    *,
    judged: bool,
    groups: np.ndarray | None = None,
    notes: Sequence[str] = (),
) -> LabelledFiles:
    """Files in the order of their parts, with the classes and folds that are told of them.

    Args:
      what: they are.
      files: n of them.
      told: of each, a class at least.
      name: of the set.
      judged: nothing is learnt from them, so that any number of classes will do.
      groups: (n,) int32, where there are groups.
      notes: what a user should know.

    Raises:
      UserError: there is one class only, or a class is in no train part.
    """
    parts = np.array([each.part or "train" for each in told], object)
    labels, names = numbered([each.label for each in told])
    if not judged:
        learnt = {each.label for each, part in zip(told, parts, strict=True) if part == "train"}
        if strange := sorted(set(names) - learnt):
            raise UserError(f"{name} has classes that are in no train part: {', '.join(strange)}")
        if len(names) < 2:
            raise UserError(f"{name} has one class only, {names[0]}; there must be at least 2")
    folds: np.ndarray | None = None
    fold_names: tuple[str, ...] = ()
    # One fold is none.
    if len({each.fold for each in told}) > 1 and all(each.fold is not None for each in told):
        folds, fold_names = numbered([str(each.fold) for each in told])
    order = np.argsort([_PARTS.index(part) for part in parts], kind="stable")
    return LabelledFiles(
        what,
        names,
        [files[place] for place in order],
        parts[order],
        labels[order].astype(np.int32),
        None if groups is None else groups[order],
        None if folds is None else folds[order],
        fold_names,
        list(notes),
    )


def with_test_fold(found: LabelledFiles, test_part: float | None, *, dealt: bool) -> LabelledFiles:
    """The files with the last of the folds that they come with as test part.

    It is so where neither a test part nor folds are asked for. Files that come without folds, or
    with a test part, stay as they are.

    Args:
      found: the files.
      test_part: that is asked for.
      dealt: the set will be dealt into its folds, so that no test part is made.
    """
    if found.folds is None:
        return found
    parts = found.parts.copy()
    if dealt:
        parts[parts == "test"] = "train"
        return found._replace(parts=parts)
    count = len(found.fold_names)
    if "test" in parts or test_part is not None or count < 2:
        return found
    parts[(found.folds == count - 1) & (parts == "train")] = "test"
    note = (
        f"the test part is the last of the {count} folds that the set comes with, "
        f"{found.fold_names[-1]}; --folds {count} tests on each in turn"
    )
    return found._replace(parts=parts, notes=[*found.notes, note])


def heads_of(found: LabelledFiles, name: str, head: Callable[[Path], T]) -> list[T]:
    """What the heads of the files to learn from tell, but for those that cannot be read.

    Args:
      found: the files.
      name: of the set.
      head: reads that of one.

    Raises:
      UserError: none can.
    """

    def of(file: Path) -> T | None:
        try:
            return head(file)
        except UnreadableImage:
            return None  # which is told of when it is read

    files = [file for file, part in zip(found.files, found.parts, strict=True) if part == "train"]
    told = [each for each in in_threads(of, [(file,) for file in files]) if each is not None]
    if not told:
        raise UserError(
            f"none of the {len(files):,} {found.what}s of {name} can be read: {files[0]}, ..."
        )
    return told


def read_each(
    files: Sequence[Path], read: Callable[[Path], T]
) -> tuple[list[int], list[T], list[UnreadableImage]]:
    """The places of the files that can be read, what they hold, and what hinders the others."""

    def one(file: Path) -> T | UnreadableImage:
        try:
            return read(file)
        except UnreadableImage as error:
            return error

    every: list[Any] = in_threads(one, [(file,) for file in files])
    good = [place for place, each in enumerate(every) if not isinstance(each, UnreadableImage)]
    bad = [each for each in every if isinstance(each, UnreadableImage)]
    return good, [every[place] for place in good], bad


def read_labelled(
    found: LabelledFiles, name: str, read: Callable[[Path], T], *, skip_bad: bool
) -> tuple[LabelledFiles, list[T]]:
    """What files hold, and the files without those that cannot be read.

    Args:
      found: the files.
      name: of the set.
      read: reads one.
      skip_bad: leave out files that cannot be read.

    Raises:
      UserError: files cannot be read and may not be left out, or none of a class is left.
    """
    good, held, bad = read_each(found.files, read)
    if not bad:
        return found, held
    note = left_out(name, bad, skip_bad)
    if not good:
        raise UserError(f"no {found.what} of {name} can be read")
    if found.targets.ndim == 1:
        pairs = list(zip(found.parts.tolist(), found.targets.tolist(), strict=True))
        check_classes_left(pairs, [pairs[place] for place in good], found.class_names)
    left = found._replace(
        files=[found.files[place] for place in good],
        parts=found.parts[good],
        targets=found.targets[good],
        groups=None if found.groups is None else found.groups[good],
        folds=None if found.folds is None else found.folds[good],
        notes=[*found.notes, note],
    )
    return left, held


def in_splits(
    found: LabelledFiles, arrays: Callable[[Sequence[int]], np.ndarray]
) -> dict[str, Split]:
    """The examples of each part that there is.

    Args:
      found: the files.
      arrays: what those at some places hold, (n, ...).
    """
    splits = {}
    for part in _PARTS:
        places = np.flatnonzero(found.parts == part)
        if len(places):
            splits[part] = Split(
                arrays(places.tolist()),
                found.targets[places],
                None if found.groups is None else found.groups[places],
            )
    return splits


def dataset_of(
    found: LabelledFiles,
    splits: dict[str, Split],
    name: str,
    path: str | Path,
    test_part: float | None,
    *,
    rate: int = 0,
) -> Dataset:
    """The data set of what was found and read.

    Args:
      found: the files.
      splits: what they hold, by part.
      name: of the set.
      path: where they lie.
      test_part: of train where there is no test part, as of `cnn_jax.data.splits.cut_test`.
      rate: of sounds, samples a second.
    """
    folds = None if found.folds is None else found.folds[found.parts == "train"]
    dataset = Dataset(
        name=name,
        class_names=found.class_names,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        source=str(user_path(path).resolve()),
        notes=tuple(found.notes),
        rate=rate,
    )
    dataset = cut_test(dataset, test_part)
    # Of a test part that is cut the folds no longer say which example is where.
    if folds is None or len(folds) != len(dataset.train):
        return dataset
    return dataclasses.replace(dataset, folds=folds, fold_names=found.fold_names)
