"""Data that a model is judged by: nothing is learnt from them, so that other rules hold.

They are judged whole, may have any parts and lack classes, and each image is brought to the
model's shape as `predict` does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnn_jax.data.boxed_set import FORMS
from cnn_jax.data.catalog import SERIES, TFDS, form_of, load
from cnn_jax.data.contents import digests
from cnn_jax.data.dataset import Examples, Split, input_kind
from cnn_jax.data.folder import find_files
from cnn_jax.data.images import UnreadableImage, in_threads
from cnn_jax.data.joined import Joined
from cnn_jax.data.npz import load_npz
from cnn_jax.data.parts import Parts, contained, parts_of
from cnn_jax.data.places import fetch
from cnn_jax.data.series import series_parts
from cnn_jax.data.sound import find_sounds, read_sounds
from cnn_jax.data.sound_files import at_least
from cnn_jax.data.sources import Source
from cnn_jax.data.streamed import StreamedSplit
from cnn_jax.data.table_set import find_table
from cnn_jax.data.text import text_parts
from cnn_jax.data.video import find_videos, read_videos
from cnn_jax.errors import UserError
from cnn_jax.evaluation.as_taken import in_shape, of_length, view_of
from cnn_jax.evaluation.judged_boxes import judged_boxes
from cnn_jax.evaluation.judged_masks import joined_targets, judged_masks
from cnn_jax.evaluation.split_name import SplitName as SplitName
from cnn_jax.restored import Restored
from cnn_jax.tasks import target_kind

HELD_BYTES = 2**30
"""Pixels of so many bytes are read into memory before they are judged; more is streamed."""


@dataclass(frozen=True)
class Judged:
    """What a model is judged by.

    Attributes:
      name: of the set.
      split: which part of it.
      examples: each is counted once.
      notes: what was left out, or cannot be known.
      unseen: those of the examples that the run has neither learnt from nor chosen by, where it
        has done so with some of them.
      digests: (n,) uint64 of what each holds, where they are known.
    """

    name: str
    split: str
    examples: Examples
    notes: tuple[str, ...]
    unseen: Examples | None = None
    digests: np.ndarray | None = None


def judged_set(
    restored: Restored,
    name: str,
    split: SplitName | None,
    data_dir: Path | None,
    *,
    skip_bad: bool,
    learnt: Parts | None,
) -> Judged:
    """A data set that is not the model's own.

    Args:
      restored: the model; classes are matched to its own by name.
      name: of the set.
      split: which part; by default the test part, or all of a set that has none.
      data_dir: where TFDS sets lie.
      skip_bad: leave out image files that cannot be read.
      learnt: the parts of the run's own data; what is in them is no test, and is told.

    Raises:
      UserError: the set cannot be had or read, lacks the part, or has classes that the model
        does not know.
    """
    class_names, parts, notes = _found(restored, name, data_dir, skip_bad)
    if split is None:
        split = "test" if "test" in parts else "all"
    if split != "all" and split not in parts:
        raise UserError(f"{name} has no {split} split; it has {', '.join(parts)}, or give all")
    chosen = list(parts.values()) if split == "all" else [parts[split]]
    _check_inputs(restored, name, chosen)
    renamed = renamed_classes(restored, name, class_names, chosen)
    examples = _joined(chosen, renamed, restored)
    seen = None
    if learnt is None:
        notes.append(NOT_REMEMBERED)
    elif learnt.kind == "names":
        notes.append(
            "of so large a set as the run's only names and sizes of files are stored: it cannot be "
            "checked whether images that it has learnt from are counted here"
        )
    elif learnt.kind == "files" and isinstance(examples, StreamedSplit):
        seen = _seen(learnt, examples)
    examples, good, bad = in_memory(examples)
    notes += _bad(name, bad, skip_bad)
    if learnt is not None and learnt.kind == "pixels":
        seen = _seen(learnt, examples)
    elif seen is not None:
        seen = seen[good]
    if seen is None or not (count := int(seen.sum())):
        return Judged(name, split, examples, tuple(notes))
    notes.append(
        f"{count:,} of these {len(seen):,} {restored.spec.unit} are in the training or validation "
        "part of the run, which has learnt from or chosen by them"
    )
    unseen = examples.take(np.flatnonzero(~seen)) if count < len(seen) else None
    return Judged(name, split, examples, tuple(notes), unseen)


NOT_REMEMBERED = (
    "the run folder is of a version that did not store the content of what was learnt from: it "
    "cannot be checked whether any of it is counted here"
)


def _found(
    restored: Restored, name: str, data_dir: Path | None, skip_bad: bool
) -> tuple[tuple[str, ...], dict[str, Source | Split], list[str]]:
    """Class names, parts by name, and notes."""
    kind, colon, path = name.partition(":")
    if kind == "folder" and colon:
        files = find_files(path, judged=True)
        return files.class_names, dict(files.parts), list(files.notes)
    target, form = target_kind(restored.recipe), form_of(name)
    if form in FORMS or (form == TFDS and target == "boxes"):
        boxes, said = judged_boxes(restored, name, data_dir, skip_bad)
        return restored.spec.class_names, dict(boxes), said
    if kind == "text" and colon:
        return _texts(restored, name, path)
    if target == "mask" and form in ("masks", TFDS):
        masks, told = judged_masks(restored.recipe.data, restored.spec, name, data_dir)
        return restored.spec.class_names, dict(masks), told
    if kind in ("csv", "npz", "sound", "video", *SERIES) and colon:
        return _told(restored, name, path, data_dir, skip_bad)
    if name in ("digits", "rotated_digits") or kind in ("shapes", "moving_digits"):
        held = load(name, kind=target_kind(restored.recipe))
        parts = {part: each for part, each in parts_of(held).items() if isinstance(each, Split)}
        return tuple(held.class_names), dict(parts), []
    fetch(name, data_dir)
    # Importing TFDS takes a second, which other data should not wait for.
    from cnn_jax.data.tfds_reader import find_tfds

    records = find_tfds(name, data_dir)
    return records.class_names, dict(records.parts), list(records.notes)


def _told(
    restored: Restored, name: str, path: str, data_dir: Path | None, skip_bad: bool
) -> tuple[tuple[str, ...], dict[str, Source | Split], list[str]]:
    """The same of a table, arrays, series, sounds or videos, with targets as the model tells."""
    kind, known = target_kind(restored.recipe), restored.spec.class_names
    if name.startswith("csv:"):
        files = find_table(path, restored.recipe.data.columns, kind, judged=True)
        names, parts, notes = files.class_names, dict[str, Source | Split](files.parts), files.notes
    elif name.startswith("sound:"):
        sounds = find_sounds(path, name, restored.recipe.data.columns, kind, judged=True)
        sounds, splits = read_sounds(sounds, name, restored.spec.rate, skip_bad=skip_bad)
        names, parts = sounds.class_names, dict[str, Source | Split](splits)
        notes = tuple(sounds.notes)
    elif name.startswith("video:"):
        config, (_, height, width, _) = restored.recipe.data, restored.spec.image_shape
        videos = find_videos(path, name, config.columns, kind, judged=True)
        videos, splits = read_videos(
            videos, name, (height, width), config.frames, skip_bad=skip_bad
        )
        names, parts = videos.class_names, dict[str, Source | Split](splits)
        notes = tuple(videos.notes)
    elif name.startswith(tuple(f"{form}:" for form in SERIES)):
        place = path if name.startswith("series:") else fetch(name, data_dir).path
        fill = restored.recipe.data.fill_missing
        columns = restored.recipe.data.columns
        splits, names, said = series_parts(place, name, kind, fill, columns, judged=True)
        parts, notes = dict[str, Source | Split](splits), tuple(said)
    else:
        held = load_npz(path, kind=kind, name=name)
        names, notes = held.class_names, held.notes
        parts = {part: each for part, each in parts_of(held).items() if isinstance(each, Split)}
    if kind != "class" and names != known:
        raise UserError(
            f"{name} has {_some(names)}, but the model tells {_some(known)}; it must have the same "
            "in this order"
        )
    return names, parts, list(notes)


def _texts(
    restored: Restored, name: str, path: str
) -> tuple[tuple[str, ...], dict[str, Source | Split], list[str]]:
    """The same of texts, in the words that the model knows."""
    kind, known, config = target_kind(restored.recipe), restored.spec, restored.recipe.data
    if known.vocabulary is None:
        raise UserError(f"{name} has texts, but the model was trained on {known.input_kind}")
    found = text_parts(path, config.text, config.columns, kind, known.vocabulary, judged=True)
    if kind != "class" and found.names != known.class_names:
        raise UserError(
            f"{name} has {_some(found.names)}, but the model tells {_some(known.class_names)}; it "
            "must have the same in this order"
        )
    return found.names, dict[str, Source | Split](found.parts), found.notes


def _check_inputs(restored: Restored, name: str, parts: Sequence[Source | Split]) -> None:
    """Refuses images for a model of series, and the other way round."""
    for part in parts:
        has = input_kind(part) if isinstance(part, Split) else "image"
        if has != restored.spec.input_kind:
            raise UserError(
                f"{name} has inputs of the kind {has}, but the model was trained on "
                f"{restored.spec.input_kind}, of {restored.spec.name}"
            )


def renamed_classes(
    restored: Restored,
    name: str,
    class_names: tuple[str, ...],
    parts: Sequence[Source | Split],
) -> np.ndarray | None:
    """The model's label (k,) of each class of a set; None where they are the same."""
    known = restored.spec.class_names
    if class_names == known:
        return None
    counts = np.zeros(len(class_names), np.int64)
    for part in parts:
        labels = part.labels if isinstance(part, Split) else part.targets()
        counts += np.bincount(labels, minlength=len(class_names))
    others = [
        each for each, count in zip(class_names, counts, strict=True) if count and each not in known
    ]
    if others:
        raise UserError(
            f"{name} has classes that the model does not know: {_some(others)}. It was trained on "
            f"the {len(known)} classes of {restored.spec.name}: {_some(known)}"
        )
    return np.array([known.index(each) if each in known else -1 for each in class_names], np.int32)


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:10])) + ", ..." * (len(names) > 10)


def _joined(
    parts: Sequence[Source | Split], renamed: np.ndarray | None, restored: Restored
) -> Examples:
    """The examples of some parts as a model takes them."""
    held = [part for part in parts if isinstance(part, Split)]
    if held:
        inputs = np.concatenate([_as_taken(part.inputs, restored) for part in held])
        targets = joined_targets(held)
        return Split(inputs, targets if renamed is None else renamed[targets])
    sources, view = [part for part in parts if not isinstance(part, Split)], view_of(restored)
    return StreamedSplit(Joined(sources, renamed), len(restored.spec.class_names), view, view)


def _as_taken(inputs: np.ndarray, restored: Restored) -> np.ndarray:
    if restored.spec.input_kind == "tokens":
        return inputs  # which are read so
    if restored.spec.input_kind == "sound":
        return at_least(inputs, restored.spec.image_shape[0])
    if restored.spec.input_kind == "clip":
        return inputs  # of any number of frames
    if restored.spec.input_kind == "series":
        return of_length(inputs, restored.spec.image_shape)
    return in_shape(inputs, view_of(restored))


def in_memory(split: Examples) -> tuple[Examples, np.ndarray, list[UnreadableImage]]:
    """A part held in memory, without what cannot be read; as it is where it is large.

    Returns:
      The examples; which (n,) bool of those given they are; and what hinders the others.
    """
    good = np.ones(len(split), bool)
    if not isinstance(split, StreamedSplit):
        return split, good, []
    dtype = np.dtype(split.evaluation.dtype)
    size = len(split) * int(np.prod(split.evaluation.shape)) * dtype.itemsize
    if size > HELD_BYTES:
        return split, good, []
    images = np.empty((len(split), *split.evaluation.shape), dtype)
    targets = np.empty((len(split), *split.target.shape), split.target.dtype)

    def put(place: int) -> UnreadableImage | None:
        try:
            images[place], targets[place] = split.example(place, split.evaluation)
        except UnreadableImage as error:
            good[place] = False
            return error
        return None

    found = in_threads(put, [(place,) for place in range(len(split))])
    bad = [error for error in found if error is not None]
    held = Split(images[good], targets[good]) if bad else Split(images, targets)
    return held, good, bad


def _bad(name: str, bad: Sequence[UnreadableImage], skip_bad: bool) -> list[str]:
    if not bad:
        return []
    files = f"{len(bad):,} image file{'s' * (len(bad) > 1)} that cannot be read"
    lines = "\n  ".join(map(str, bad))
    if not skip_bad:
        raise UserError(
            f"{name} has {files}:\n  {lines}\nMend or remove them, or give --skip-bad to leave "
            "them out."
        )
    return [f"left out {files}:\n  {lines}"]


def _seen(learnt: Parts, examples: Examples) -> np.ndarray:
    """Which (n,) bool of some examples a run has learnt from or chosen by."""
    known = [learnt.digests[part] for part in ("train", "validation") if part in learnt.digests]
    return contained(digests(examples, learnt.kind), known)
