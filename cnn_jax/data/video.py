"""A data set of videos: `video:PATH`."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnn_jax.data.arrays import Kind
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.folder import check_classes_left, left_out
from cnn_jax.data.images import UnreadableImage, in_threads
from cnn_jax.data.memory_limit import default_limit
from cnn_jax.data.splits import cut_test
from cnn_jax.data.table import numbered, read_table
from cnn_jax.data.usual_names import PARTS as PART_NAMES
from cnn_jax.data.video_files import (
    FRAMES,
    SUFFIXES,
    Size,
    Video,
    frames_in,
    padded,
    read_video,
    reader,
    size_of,
)
from cnn_jax.errors import UserError
from cnn_jax.recipe_of_data import Columns
from cnn_jax.user_path import user_path

_SHOWN = 3
_PARTS = ("train", "validation", "test")
_FOLD = re.compile(r"(?i)fold[ _-]?(\d+)")
_UCF = re.compile(r"v_\w+_g(?P<group>\d+)_c\d+")
"""How UCF11, UCF50 and UCF101 name their files: clips of one group are cut from one recording."""


class FoundVideos(NamedTuple):
    """The videos of a set, not yet read.

    Attributes:
      class_names: the k classes or tags, or what the numbers are of.
      files: n of them, by part: files or folders of frames.
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


def load_video(
    path: str | Path,
    columns: Columns | None = None,
    *,
    kind: Kind = "class",
    size: Size | None = None,
    frames: int | None = None,
    skip_bad: bool = False,
    name: str | None = None,
    test_part: float | None = None,
    dealt: bool = False,
) -> Dataset:
    """The data set `video:PATH`, all in memory as frames of three channels.

    PATH is a folder with a folder a class (below train, validation and test, or below fold1, fold2
    and so on, where there are such) of files of videos or of folders of frames, or a table as
    `cnn_jax.data.table.read_table` reads it. Of a set that comes with folds the last one is the
    test part, where neither a test part nor folds are asked for; of another one without a test part
    a tenth of train is cut.

    Args:
      path: see above.
      columns: of a table, which hold what.
      kind: of the targets.
      size: side in pixels to which frames are resized; needed where videos differ in size.
      frames: of a video of more every second, third and so on is kept, so that there are no more.
      skip_bad: leave out videos that cannot be read.
      name: of the set, by default `video:PATH`.
      test_part: of train where there is no test part, as of `cnn_jax.data.splits.cut_test`.
      dealt: the set will be dealt into folds: where it comes with them no test part is made.

    Raises:
      UserError: there is no such set, videos cannot be read, or it takes too much memory.
    """
    name = name or f"video:{path}"
    found = find_videos(path, name, columns or Columns(), kind)
    if dealt and found.folds is not None:
        found.parts[found.parts == "test"] = "train"
    elif found.folds is not None and "test" not in found.parts and test_part is None:
        last = found.folds == len(found.fold_names) - 1
        found.parts[last & (found.parts == "train")] = "test"
        found.notes.append(
            f"the test part is the last of the {len(found.fold_names)} folds that the set comes "
            f"with, {found.fold_names[-1]}; --folds {len(found.fold_names)} tests on each in turn"
        )
    found, splits = read_videos(found, name, size, frames, skip_bad=skip_bad)
    folds = None if found.folds is None else found.folds[found.parts == "train"]
    dataset = Dataset(
        name=name,
        class_names=found.class_names,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        source=str(user_path(path).resolve()),
        notes=tuple(found.notes),
    )
    dataset = cut_test(dataset, test_part)
    # Of a test part that is cut the folds no longer say which example is where.
    if folds is None or len(folds) != len(dataset.train):
        return dataset
    return dataclasses.replace(dataset, folds=folds, fold_names=found.fold_names)


def find_videos(
    path: str | Path, name: str, columns: Columns, kind: Kind, *, judged: bool = False
) -> FoundVideos:
    """The videos that lie at a path, see `load_video`, with what is to be told of them.

    Args:
      path: as of `load_video`.
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
            raise UserError(f"--data.columns are of video:FILE, a table, and {path} is a folder")
        if kind != "class":
            raise UserError(
                f"{name} has classes, and the task learns {kind}; a table, video:FILE, can have "
                "these"
            )
        return _in_folder(place, name, judged)
    if not place.exists():
        raise UserError(f"{name}: there is no {path}")
    if place.suffix.lower() in SUFFIXES:
        raise UserError(
            f"{name} is one video; give the folder that holds a folder a class, or a table of "
            "file names and classes"
        )
    table = read_table(path, columns, kind, what="video", judged=judged)
    rows = [(part, table.parts[part]) for part in _PARTS if part in table.parts]
    notes = [each.replace("image files", "videos") for each in table.notes]
    groups, folds = ([getattr(each, what) for _, each in rows] for what in ("groups", "folds"))
    return FoundVideos(
        table.class_names,
        [file for _, each in rows for file in each.paths],
        np.concatenate([np.full(len(each.paths), part, object) for part, each in rows]),
        np.concatenate([each.targets for _, each in rows]),
        None if groups[0] is None else np.concatenate(groups),
        None if folds[0] is None else np.concatenate(folds),
        table.fold_names,
        notes,
    )


def _in_folder(top: Path, name: str, judged: bool) -> FoundVideos:
    clips, others = _clips(top)
    if not clips:
        raise UserError(
            f"{name} holds no videos: neither files called {', '.join(SUFFIXES)} nor folders of "
            "frames"
        )
    notes = []
    if others:
        more = f" and {len(others) - _SHOWN:,} more" * (len(others) > _SHOWN)
        notes.append(f"passed over what is no video: {', '.join(others[:_SHOWN])}{more}")
    above = [clip.relative_to(top).parts[:-1] for clip in clips]
    firsts = {each[0].lower() for each in above if each}
    split = "train" in {PART_NAMES.get(each) for each in firsts} and firsts <= set(PART_NAMES)
    parts, labels, folds_told = [], [], []
    for clip, folders in zip(clips, above, strict=True):
        rest = folders[1:] if split else folders
        parts.append(PART_NAMES[folders[0].lower()] if split else "train")
        matches = [_FOLD.fullmatch(each) for each in rest]
        folds_told.append(next((str(int(each[1])) for each in matches if each), None))
        named = [each for each, match in zip(rest, matches, strict=True) if match is None]
        if not named:
            raise UserError(
                f"{clip.relative_to(top)} of {name} lies in no folder of a class; put the videos "
                "of each class in a folder (a video may be a folder of frames in it), or write a "
                "table of file names and classes"
            )
        labels.append(named[-1])
    placed = np.array(parts, object)
    targets, names = numbered(labels)
    if not judged:
        if strange := sorted(set(names) - set(np.array(labels)[placed == "train"])):
            raise UserError(f"{name} has classes that are in no train part: {', '.join(strange)}")
        if len(names) < 2:
            raise UserError(f"{name} has one class only, {names[0]}; there must be at least 2")
    folds: np.ndarray | None = None
    fold_names: tuple[str, ...] = ()
    if all(each is not None for each in folds_told):
        folds, fold_names = numbered([str(each) for each in folds_told])
    groups = _groups(clips, labels)
    if groups is not None:
        notes.append(
            "files are called as in UCF101: clips of one recording, g01, g02 and so on, stay in "
            "one part"
        )
    order = np.argsort([_PARTS.index(part) for part in parts], kind="stable")
    return FoundVideos(
        names,
        [clips[place] for place in order],
        placed[order],
        targets[order].astype(np.int32),
        None if groups is None else groups[order],
        None if len(fold_names) < 2 or folds is None else folds[order],
        fold_names if len(fold_names) > 1 else (),
        notes,
    )


def _clips(top: Path) -> tuple[list[Path], list[str]]:
    """The files of videos and folders of frames below a folder, and what is neither."""
    clips, others = [], []
    for file in sorted(top.rglob("*")):
        inner = file.relative_to(top)
        if any(part.startswith(".") for part in inner.parts):
            continue
        if file.is_dir():
            if frames_in(file):
                clips.append(file)
        elif file.suffix.lower() in SUFFIXES:
            clips.append(file)
        elif file.suffix.lower() not in FRAMES:
            others.append(str(inner))
    return clips, others


def _groups(clips: Sequence[Path], labels: Sequence[str]) -> np.ndarray | None:
    matches = [_UCF.fullmatch(clip.stem) for clip in clips]
    if any(match is None for match in matches):
        return None
    told = [
        f"{label} {match['group']}" for label, match in zip(labels, matches, strict=True) if match
    ]
    return np.unique(told, return_inverse=True)[1].astype(np.int32)


def heads(found: FoundVideos, name: str) -> list[tuple[int, int, int]]:
    """Frames, height and width of the videos to learn from, but for those that cannot be read.

    Raises:
      UserError: none can.
    """

    def of(file: Path) -> tuple[int, int, int] | None:
        try:
            return size_of(file)
        except UnreadableImage:
            return None  # which is told of when it is read

    files = [file for file, part in zip(found.files, found.parts, strict=True) if part == "train"]
    told = [head for head in in_threads(of, [(file,) for file in files]) if head is not None]
    if not told:
        raise UserError(f"none of the {len(files):,} videos of {name} can be read: {files[0]}, ...")
    return told


def read_videos(
    found: FoundVideos, name: str, size: Size | None, frames: int | None, *, skip_bad: bool
) -> tuple[FoundVideos, dict[str, Split]]:
    """The videos of each part, and what was found without those that cannot be read.

    Args:
      found: of n videos.
      name: of the set.
      size: as of `load_video`.
      frames: as of `load_video`.
      skip_bad: leave out videos that cannot be read.

    Raises:
      UserError: videos cannot be read, differ in size, or take more memory than they may.
    """
    if any(not file.is_dir() for file in found.files):
        reader()  # before threads each say that it is not there

    def read(file: Path) -> Video | UnreadableImage:
        try:
            return read_video(file, size, frames)
        except UnreadableImage as error:
            return error

    every = in_threads(read, [(file,) for file in found.files])
    bad = [each for each in every if isinstance(each, UnreadableImage)]
    if bad:
        found.notes.append(left_out(name, bad, skip_bad))
        found = _of_good(found, np.array([isinstance(each, Video) for each in every]), name)
    videos: list[Video] = [each for each in every if isinstance(each, Video)]
    sizes = Counter(each.frames.shape[1:3] for each in videos)
    if len(sizes) > 1:
        told = ", ".join(f"{height}x{width}" for height, width in sorted(sizes)[:_SHOWN])
        raise UserError(
            f"videos of {name} differ in size ({told} pixels); give the side that frames are to "
            "have, such as --data.image-size 64"
        )
    longest = max(len(each.frames) for each in videos)
    if (need := len(videos) * longest * videos[0].frames[0].nbytes) > (limit := default_limit()):
        raise UserError(
            f"{name} would take {need / 1e9:.1f} GB as {len(videos):,} videos of up to {longest:,} "
            f"frames, more than the {limit / 1e9:.1f} GB it may (half of the memory that is "
            "available); give a smaller --data.image-size, or fewer --data.frames"
        )
    found.notes.extend(_notes(found.files, videos, frames))
    splits = {}
    for part in _PARTS:
        places = np.flatnonzero(found.parts == part)
        if len(places):
            splits[part] = Split(
                padded([videos[place].frames for place in places], longest),
                found.targets[places],
                None if found.groups is None else found.groups[places],
            )
    return found, splits


def _of_good(found: FoundVideos, good: np.ndarray, name: str) -> FoundVideos:
    if not good.any():
        raise UserError(f"no video of {name} can be read")
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


def _notes(files: Sequence[Path], videos: Sequence[Video], most: int | None) -> list[str]:
    """What is changed in videos, or odd about them."""
    counts = np.array([each.stored for each in videos])
    notes = []
    if min(counts) < max(counts):
        notes.append(
            f"videos are {min(counts):,} to {max(counts):,} frames long, half of them at least "
            f"{int(np.median(counts)):,}"
        )
    if thinned := sum(len(each.frames) < each.stored for each in videos):
        notes.append(
            f"of {thinned:,} of {len(videos):,} videos, which have more than {most:,} frames, "
            "every second, third or so on is kept"
        )
    single = [file for file, count in zip(files, counts, strict=True) if count == 1]
    if single:
        notes.append(
            f"{len(single):,} of {len(videos):,} videos have one frame only, which stands still: "
            f"{', '.join(map(str, single[:_SHOWN]))}"
        )
    return notes
