"""A data set of sounds: `sound:PATH`."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnn_jax.data.arrays import Kind
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.folder import check_classes_left, left_out
from cnn_jax.data.images import UnreadableImage, in_threads
from cnn_jax.data.memory_limit import default_limit
from cnn_jax.data.sound_files import SUFFIXES, Head, SoundFile, head_of, padded, read_sound
from cnn_jax.data.sound_names import told_by_places
from cnn_jax.data.splits import cut_test
from cnn_jax.data.table import numbered, read_table
from cnn_jax.errors import UserError
from cnn_jax.recipe_of_data import Columns
from cnn_jax.user_path import user_path

_SHOWN = 3
_PARTS = ("train", "validation", "test")


class FoundSounds(NamedTuple):
    """The sound files of a set, not yet read.

    Attributes:
      class_names: the k classes or tags, or what the numbers are of.
      files: n of them, by part.
      parts: (n,) the part of each.
      targets: (n, ...), see `cnn_jax.data.fields`.
      groups: (n,) int32, where there are groups.
      folds: (n,) int from 0, where the set comes with folds.
      fold_names: what these are called.
      notes: what a user should know.
    """

    class_names: tuple[str, ...]
    files: list[Path]
    parts: np.ndarray
    targets: np.ndarray
    groups: np.ndarray | None
    folds: np.ndarray | None
    fold_names: tuple[str, ...]
    notes: list[str]


def load_sound(
    path: str | Path,
    columns: Columns | None = None,
    *,
    kind: Kind = "class",
    rate: int | None = None,
    skip_bad: bool = False,
    name: str | None = None,
    test_part: float | None = None,
    dealt: bool = False,
) -> Dataset:
    """The data set `sound:PATH`, all in memory as samples of one channel at one rate.

    PATH is a folder with a folder a class (below train, validation and test, or below fold1, fold2
    and so on, where there are such), a folder of files that are called as in FSDD, ESC or
    UrbanSound8K, or a table as `cnn_jax.data.table.read_table` reads it. Of a set that comes with
    folds the last one is the test part, where neither a test part nor folds are asked for; of
    another one without a test part a tenth of train is cut.

    Args:
      path: see above.
      columns: of a table, which hold what.
      kind: of the targets.
      rate: samples a second, by default what most of the training files have.
      skip_bad: leave out files that cannot be read.
      name: of the set, by default `sound:PATH`.
      test_part: of train where there is no test part, as of `cnn_jax.data.splits.cut_test`.
      dealt: the set will be dealt into folds: where it comes with them no test part is made.

    Raises:
      UserError: there is no such set, files cannot be read, or it takes too much memory.
    """
    name = name or f"sound:{path}"
    found = find_sounds(path, name, columns or Columns(), kind)
    if dealt and found.folds is not None:
        found.parts[found.parts == "test"] = "train"
    elif found.folds is not None and "test" not in found.parts and test_part is None:
        last = found.folds == len(found.fold_names) - 1
        found.parts[last & (found.parts == "train")] = "test"
        found.notes.append(
            f"the test part is the last of the {len(found.fold_names)} folds that the set comes "
            f"with, {found.fold_names[-1]}; --folds {len(found.fold_names)} tests on each in turn"
        )
    rate = rate or usual_rate(heads(found, name))
    found, splits = read_sounds(found, name, rate, skip_bad=skip_bad)
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


def find_sounds(
    path: str | Path, name: str, columns: Columns, kind: Kind, *, judged: bool = False
) -> FoundSounds:
    """The sound files that lie at a path, see `load_sound`, with what is to be told of them.

    Args:
      path: as of `load_sound`.
      name: of the set.
      columns: of a table.
      kind: of the targets.
      judged: nothing is learnt from them, so that any parts and any number of classes will do.

    Raises:
      UserError: there is no such set.
    """
    place = user_path(path)
    if place.is_dir():
        if columns != Columns():
            raise UserError(f"--data.columns are of sound:FILE, a table, and {path} is a folder")
        if kind != "class":
            raise UserError(
                f"{name} has classes, and the task learns {kind}; a table, sound:FILE, can have "
                "these"
            )
        return _in_folder(place, name, judged)
    if not place.exists():
        raise UserError(f"{name}: there is no {path}")
    if place.suffix.lower() in SUFFIXES:
        raise UserError(
            f"{name} is one sound; give the folder that holds a folder a class, or a table of "
            "file names and classes"
        )
    table = read_table(path, columns, kind, what="sound", judged=judged)
    rows = [(part, table.parts[part]) for part in _PARTS if part in table.parts]
    notes = [each.replace("image files", "sounds") for each in table.notes]
    groups, folds = ([getattr(each, what) for _, each in rows] for what in ("groups", "folds"))
    return FoundSounds(
        table.class_names,
        [file for _, each in rows for file in each.paths],
        np.concatenate([np.full(len(each.paths), part, object) for part, each in rows]),
        np.concatenate([each.targets for _, each in rows]),
        None if groups[0] is None else np.concatenate(groups),
        None if folds[0] is None else np.concatenate(folds),
        table.fold_names,
        notes,
    )


def _in_folder(top: Path, name: str, judged: bool) -> FoundSounds:
    visible = [
        file
        for file in sorted(top.rglob("*"))
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(top).parts)
    ]
    files = [file for file in visible if file.suffix.lower() in SUFFIXES]
    if not files:
        raise UserError(f"{name} holds no sounds, files called {', '.join(SUFFIXES)}")
    notes = []
    others = [str(file.relative_to(top)) for file in visible if file.suffix.lower() not in SUFFIXES]
    if others:
        more = f" and {len(others) - _SHOWN:,} more" * (len(others) > _SHOWN)
        notes.append(f"passed over what is no sound: {', '.join(others[:_SHOWN])}{more}")
    told, said = told_by_places(top, files)
    parts = np.array([each.part or "train" for each in told], object)
    labels, names = numbered([each.label for each in told])
    learnt = {each.label for each in told if (each.part or "train") == "train"}
    if not judged:
        if strange := sorted(set(names) - learnt):
            raise UserError(f"{name} has classes that are in no train part: {', '.join(strange)}")
        if len(names) < 2:
            raise UserError(f"{name} has one class only, {names[0]}; there must be at least 2")
    folds: np.ndarray | None = None
    fold_names: tuple[str, ...] = ()
    if told[0].fold is not None:
        folds, fold_names = numbered([str(each.fold) for each in told])
    order = np.argsort([_PARTS.index(part) for part in parts], kind="stable")
    return FoundSounds(
        names,
        [files[place] for place in order],
        parts[order],
        labels[order].astype(np.int32),
        None,
        None if folds is None else folds[order],
        fold_names if len(fold_names) > 1 else (),
        notes + said,
    )


def heads(found: FoundSounds, name: str) -> list[Head]:
    """What the heads of the files to learn from tell, but for those that cannot be read.

    Raises:
      UserError: none can.
    """

    def of(file: Path) -> Head | None:
        try:
            return head_of(file)
        except UnreadableImage:
            return None  # which is told of when it is read

    files = [file for file, part in zip(found.files, found.parts, strict=True) if part == "train"]
    told = [head for head in in_threads(of, [(file,) for file in files]) if head is not None]
    if not told:
        raise UserError(f"none of the {len(files):,} sounds of {name} can be read: {files[0]}, ...")
    return told


def usual_rate(told: Sequence[Head]) -> int:
    """Samples a second of most files."""
    rates = Counter(head.rate for head in told)
    return max(rates, key=lambda rate: (rates[rate], rate))


def read_sounds(
    found: FoundSounds, name: str, rate: int, *, skip_bad: bool
) -> tuple[FoundSounds, dict[str, Split]]:
    """The sounds of each part, and what was found without files that cannot be read.

    Args:
      found: of n files.
      name: of the set.
      rate: samples a second.
      skip_bad: leave out files that cannot be read.

    Raises:
      UserError: files cannot be read, or they take more memory than they may.
    """

    def read(file: Path) -> SoundFile | UnreadableImage:
        try:
            return read_sound(file, rate)
        except UnreadableImage as error:
            return error

    every = in_threads(read, [(file,) for file in found.files])
    bad = [each for each in every if isinstance(each, UnreadableImage)]
    good = np.array([not isinstance(each, UnreadableImage) for each in every])
    if bad:
        found.notes.append(left_out(name, bad, skip_bad))
        found = _of_good(found, good, name)
    sounds: list[SoundFile] = [each for each in every if isinstance(each, SoundFile)]
    found.notes.extend(_notes(found.files, sounds, rate))
    longest = max(len(each.samples) for each in sounds)
    if (need := 2 * len(sounds) * longest) > (limit := default_limit()):
        raise UserError(
            f"{name} would take {need / 1e9:.1f} GB as {len(sounds):,} sounds of up to "
            f"{longest / rate:.1f} seconds, more than the {limit / 1e9:.1f} GB it may (half of the "
            "memory that is available); give a lower --data.rate, or cut the longest"
        )
    splits = {}
    for part in _PARTS:
        places = np.flatnonzero(found.parts == part)
        if len(places):
            splits[part] = Split(
                padded([sounds[place].samples for place in places], longest),
                found.targets[places],
                None if found.groups is None else found.groups[places],
            )
    return found, splits


def _of_good(found: FoundSounds, good: np.ndarray, name: str) -> FoundSounds:
    if not good.any():
        raise UserError(f"no sound of {name} can be read")
    if found.targets.ndim == 1:
        pairs = list(zip(found.parts.tolist(), found.targets.tolist(), strict=True))
        left = [pair for pair, keep in zip(pairs, good, strict=True) if keep]
        check_classes_left(pairs, left, found.class_names)
    return found._replace(
        files=[file for file, keep in zip(found.files, good, strict=True) if keep],
        parts=found.parts[good],
        targets=found.targets[good],
        groups=None if found.groups is None else found.groups[good],
        folds=None if found.folds is None else found.folds[good],
    )


def _notes(files: Sequence[Path], sounds: Sequence[SoundFile], rate: int) -> list[str]:
    """What is changed in sounds, or odd about them."""

    def some(which: Callable[[SoundFile], bool]) -> tuple[int, str]:
        those = [file for file, each in zip(files, sounds, strict=True) if which(each)]
        return len(those), ", ".join(str(file) for file in those[:_SHOWN])

    notes = []
    others = Counter(each.rate for each in sounds if each.rate != rate)
    if others:
        which = ", ".join(f"{each:,}" for each in sorted(others))
        notes.append(
            f"{sum(others.values()):,} of {len(sounds):,} sounds of {which} samples a second are "
            f"brought to {rate:,}"
        )
    several, such = some(lambda each: each.channels > 1)
    if several:
        notes.append(
            f"{several:,} of {len(sounds):,} sounds have several channels, whose mean is taken: "
            f"{such}"
        )
    silent, such = some(lambda each: not each.samples.any())
    if silent:
        notes.append(f"{silent:,} of {len(sounds):,} sounds are silent throughout: {such}")
    lengths = [len(each.samples) / rate for each in sounds]
    if min(lengths) < max(lengths):
        notes.append(
            f"sounds are {min(lengths):.2f} to {max(lengths):.2f} seconds long, half of them at "
            f"least {np.median(lengths):.2f}"
        )
    return notes
