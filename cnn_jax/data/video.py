"""A data set of videos: `video:PATH`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cnn_jax.data.arrays import Kind
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.files_below import below
from cnn_jax.data.folder_names import Told, told_by_folders
from cnn_jax.data.labelled_files import (
    SHOWN,
    LabelledFiles,
    dataset_of,
    find_labelled,
    heads_of,
    in_splits,
    of_classes,
    passed_over,
    read_labelled,
    with_test_fold,
)
from cnn_jax.data.memory_limit import default_limit
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

_UCF = re.compile(r"v_\w+_g(?P<group>\d+)_c\d+")
"""How UCF11, UCF50 and UCF101 name their files: clips of one group are cut from one recording."""


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
    found = with_test_fold(found, test_part, dealt=dealt)
    found, splits = read_videos(found, name, size, frames, skip_bad=skip_bad)
    return dataset_of(found, splits, name, path, test_part)


def find_videos(
    path: str | Path, name: str, columns: Columns, kind: Kind, *, judged: bool = False
) -> LabelledFiles:
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
    return find_labelled(
        "video",
        path,
        name,
        columns,
        kind,
        suffixes=SUFFIXES,
        in_folder=lambda top: _in_folder(top, name, judged),
        judged=judged,
    )


def _in_folder(top: Path, name: str, judged: bool) -> LabelledFiles:
    clips, others = _clips(top)
    if not clips:
        raise UserError(
            f"{name} holds no videos: neither files called {', '.join(SUFFIXES)} nor folders of "
            "frames"
        )
    told = told_by_folders(top, clips)
    for clip, each in zip(clips, told, strict=True):
        if not each.label:
            raise UserError(
                f"{clip.relative_to(top)} of {name} lies in no folder of a class; put the videos "
                "of each class in a folder (a video may be a folder of frames in it), or write a "
                "table of file names and classes"
            )
    notes, groups = passed_over("video", others), _groups(clips, told)
    if groups is not None:
        notes.append(
            "files are called as in UCF101: clips of one recording, g01, g02 and so on, stay in "
            "one part"
        )
    return of_classes("video", clips, told, name, judged=judged, groups=groups, notes=notes)


def _clips(top: Path) -> tuple[list[Path], list[str]]:
    """The files of videos and folders of frames below a folder, and what is neither."""
    clips, others = [], []
    for file in below(top):
        if file.is_dir():
            if frames_in(file):
                clips.append(file)
        elif file.suffix.lower() in SUFFIXES:
            clips.append(file)
        elif file.suffix.lower() not in FRAMES:
            others.append(str(file.relative_to(top)))
    return clips, others


def _groups(clips: Sequence[Path], told: Sequence[Told]) -> np.ndarray | None:
    matches = [_UCF.fullmatch(clip.stem) for clip in clips]
    if any(match is None for match in matches):
        return None
    named = [
        f"{each.label} {match['group']}" for each, match in zip(told, matches, strict=True) if match
    ]
    return np.unique(named, return_inverse=True)[1].astype(np.int32)


def heads(found: LabelledFiles, name: str) -> list[tuple[int, int, int]]:
    """Frames, height and width of the videos to learn from, but for those that cannot be read.

    Raises:
      UserError: none can.
    """
    return heads_of(found, name, size_of)


def read_videos(
    found: LabelledFiles, name: str, size: Size | None, frames: int | None, *, skip_bad: bool
) -> tuple[LabelledFiles, dict[str, Split]]:
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
    found, videos = read_labelled(
        found, name, lambda file: read_video(file, size, frames), skip_bad=skip_bad
    )
    sizes = Counter(each.frames.shape[1:3] for each in videos)
    if len(sizes) > 1:
        told = ", ".join(f"{height}x{width}" for height, width in sorted(sizes)[:SHOWN])
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
    found = found._replace(notes=[*found.notes, *_notes(found.files, videos, frames)])
    return found, in_splits(
        found, lambda places: padded([videos[place].frames for place in places], longest)
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
            f"{', '.join(map(str, single[:SHOWN]))}"
        )
    return notes
