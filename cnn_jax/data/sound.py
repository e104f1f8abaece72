"""A data set of sounds: `sound:PATH`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cnn_jax.data.arrays import Kind
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.files_below import below
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
from cnn_jax.data.sound_files import SUFFIXES, Head, SoundFile, head_of, padded, read_sound
from cnn_jax.data.sound_names import told_by_places
from cnn_jax.errors import UserError
from cnn_jax.recipe_of_data import Columns


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
    found = with_test_fold(found, test_part, dealt=dealt)
    rate = rate or usual_rate(heads(found, name))
    found, splits = read_sounds(found, name, rate, skip_bad=skip_bad)
    return dataset_of(found, splits, name, path, test_part, rate=rate)


def find_sounds(
    path: str | Path, name: str, columns: Columns, kind: Kind, *, judged: bool = False
) -> LabelledFiles:
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
    return find_labelled(
        "sound",
        path,
        name,
        columns,
        kind,
        suffixes=SUFFIXES,
        in_folder=lambda top: _in_folder(top, name, judged),
        judged=judged,
    )


def _in_folder(top: Path, name: str, judged: bool) -> LabelledFiles:
    visible = [each for each in below(top) if not each.is_dir()]
    files = [file for file in visible if file.suffix.lower() in SUFFIXES]
    if not files:
        raise UserError(f"{name} holds no sounds, files called {', '.join(SUFFIXES)}")
    others = [str(file.relative_to(top)) for file in visible if file.suffix.lower() not in SUFFIXES]
    told, said = told_by_places(top, files)
    notes = [*passed_over("sound", others), *said]
    return of_classes("sound", files, told, name, judged=judged, notes=notes)


def heads(found: LabelledFiles, name: str) -> list[Head]:
    """What the heads of the files to learn from tell, but for those that cannot be read.

    Raises:
      UserError: none can.
    """
    return heads_of(found, name, head_of)


def usual_rate(told: Sequence[Head]) -> int:
    """Samples a second of most files."""
    rates = Counter(head.rate for head in told)
    return max(rates, key=lambda rate: (rates[rate], rate))


def read_sounds(
    found: LabelledFiles, name: str, rate: int, *, skip_bad: bool
) -> tuple[LabelledFiles, dict[str, Split]]:
    """The sounds of each part, and what was found without files that cannot be read.

    Args:
      found: of n files.
      name: of the set.
      rate: samples a second.
      skip_bad: leave out files that cannot be read.

    Raises:
      UserError: files cannot be read, or they take more memory than they may.
    """
    found, sounds = read_labelled(
        found, name, lambda file: read_sound(file, rate), skip_bad=skip_bad
    )
    found = found._replace(notes=[*found.notes, *_notes(found.files, sounds, rate)])
    longest = max(len(each.samples) for each in sounds)
    if (need := 2 * len(sounds) * longest) > (limit := default_limit()):
        raise UserError(
            f"{name} would take {need / 1e9:.1f} GB as {len(sounds):,} sounds of up to "
            f"{longest / rate:.1f} seconds, more than the {limit / 1e9:.1f} GB it may (half of the "
            "memory that is available); give a lower --data.rate, or cut the longest"
        )
    return found, in_splits(
        found, lambda places: padded([sounds[place].samples for place in places], longest)
    )


def _notes(files: Sequence[Path], sounds: Sequence[SoundFile], rate: int) -> list[str]:
    """What is changed in sounds, or odd about them."""

    def some(which: Callable[[SoundFile], bool]) -> tuple[int, str]:
        those = [file for file, each in zip(files, sounds, strict=True) if which(each)]
        return len(those), ", ".join(str(file) for file in those[:SHOWN])

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
    loud, such = some(lambda each: each.loud)
    if loud:
        notes.append(
            f"{loud:,} of {len(sounds):,} sounds have samples beyond -1 to 1, which are cut off "
            f"there: {such}"
        )
    lengths = [len(each.samples) / rate for each in sounds]
    if min(lengths) < max(lengths):
        notes.append(
            f"sounds are {min(lengths):.2f} to {max(lengths):.2f} seconds long, half of them at "
            f"least {np.median(lengths):.2f}"
        )
    return notes
