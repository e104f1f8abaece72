"""A part of the data that a run was trained with, as it was when the run began."""

from __future__ import annotations

import dataclasses
import glob
from pathlib import Path

import numpy as np

from cnn_jax.data.contents import digests, target_codes
from cnn_jax.data.dataset import Dataset, Examples
from cnn_jax.data.folder import find_files
from cnn_jax.data.joined import Joined, gathered
from cnn_jax.data.parts import Parts, matched, parts_of
from cnn_jax.data.recipe_data import load_data, read_data
from cnn_jax.data.spec import DataSpec
from cnn_jax.data.streamed import StreamedSplit
from cnn_jax.errors import UserError
from cnn_jax.evaluation.as_taken import view_of
from cnn_jax.evaluation.judged import NOT_REMEMBERED, Judged, SplitName, in_memory
from cnn_jax.recipe import Data
from cnn_jax.restored import Restored
from cnn_jax.tasks import target_kind
from cnn_jax.user_path import user_path

FILES = ("coco", "csv", "folder", "masks", "npz", "series", "sound", "text", "video", "voc", "yolo")
"""Forms of names that lead to files of a user's own."""

_SHAPES = {
    "image": "images (height, width, channels)",
    "series": "series (times, channels)",
    "sound": "sounds (samples,)",
    "tokens": "texts (words,)",
    "clip": "videos (frames, height, width, channels)",
}


def is_own(config: Data, dataset: str | None, parts: Parts | None) -> bool:
    """Whether a name is that of a run's own data; None is."""
    if dataset is None or dataset == config.name:
        return True
    kind, _, path = dataset.partition(":")
    if kind not in FILES or not config.name.startswith(f"{kind}:"):
        return False
    ours = config.name.partition(":")[2] if parts is None else parts.place
    return user_path(path).resolve() == user_path(ours).resolve()


def lies_in(restored: Restored, dataset: str, parts: Parts | None) -> bool:
    """Whether a folder holds the most part of a run's data, which was moved or copied there."""
    folders = dataset.startswith("folder:") and restored.recipe.data.name.startswith("folder:")
    if parts is None or not folders:
        return False
    given = _given(restored, Data(dataset), None)
    if 2 * sum(map(len, given.values())) < len(parts.all()):
        return False
    return not parts.mostly_lost(_contents(parts, given))


def own_part(
    restored: Restored,
    split: SplitName | None,
    data_dir: Path | None,
    parts: Parts | None,
    dataset: str | None = None,
) -> Judged:
    """A part of a run's own data, by default the test part.

    Args:
      restored: the model.
      split: which part.
      data_dir: where TFDS sets lie.
      parts: what its examples held when the run began; None of a run that did not store it, whose
        parts are cut anew.
      dataset: the name of the data by where they lie now, if it is another.

    Raises:
      UserError: the data are not there, or nothing of the part is; or the run had no such part.
    """
    config, split = restored.recipe.data, split or "test"
    if split == "all":
        raise UserError(
            f"--split all would count what the run has learnt from; of {config.name}, its own "
            "data, give train, validation or test"
        )
    found = dataclasses.replace(config, name=dataset or _place(config, parts))
    if parts is None:
        return _by_position(restored, found, split, data_dir, NOT_REMEMBERED)
    if split not in parts.digests:
        raise UserError(f"{config.name} has no {split} split")
    given = _given(restored, found, data_dir)
    wanted, keys = parts.only(split), parts.only(split).keys()
    if split in given:
        there = _contents(parts, {split: given[split]})
        places = matched(keys, there.keys())
        if (places >= 0).all():
            taken = _taken([given[split]], places)
            return Judged(config.name, split, taken, (), digests=wanted.all())
    there = _contents(parts, given)
    places = matched(keys, there.keys())
    # What has another class now is taken as it is now.
    lost = np.flatnonzero(places < 0)
    others = np.setdiff1d(np.arange(len(there.all())), places)
    again = matched(wanted.all()[lost], there.all()[others])
    places[lost] = np.where(again >= 0, others[again] if len(others) else -1, -1)
    left = places[places >= 0]
    if parts.kind == "pixels" and parts.reader != there.reader and 2 * len(left) < len(keys):
        note = (
            f"images are read by {there.reader} now and were read by {parts.reader} when the run "
            "began, to other pixels: it cannot be checked that none that were learnt from are "
            "counted"
        )
        return _by_position(restored, found, split, data_dir, note)
    if not len(left):
        raise UserError(
            f"none of the {len(keys):,} {split} {restored.spec.unit} that the run began with is in "
            f"{found.name}; if they lie elsewhere, give --dataset "
            f"{config.name.partition(':')[0] if ':' in config.name else 'folder'}:PATH"
        )
    changes = parts.changes(there, partly=config.examples is not None)
    notes: tuple[str, ...] = ()
    if changes:
        notes = (
            f"{found.name} has changed since the run began: {changes}. Counted are "
            f"{len(left):,} of the {len(keys):,} {split} {restored.spec.unit} that it began with",
        )
    taken, digests = _taken(list(given.values()), left), wanted.all()[places >= 0]
    return Judged(config.name, split, taken, notes, digests=digests)


def _place(config: Data, parts: Parts | None) -> str:
    """The name of the data by where they lie now.

    Raises:
      UserError: a folder is neither where it was nor where its name leads from here.
    """
    form, _, path = config.name.partition(":")
    if form not in FILES:
        return config.name
    places = [user_path(path)]
    if parts is not None and _lies(form, Path(parts.place)):
        # Another one here may have the same name.
        places.insert(0, Path(parts.place))
    for place in places:
        if _lies(form, place):
            return f"{form}:{place}"
    was = f" nor in {parts.place}, where it lay" if parts is not None else ""
    raise UserError(
        f"{config.name}, which the run was trained with, is not in {Path.cwd()}{was}; give the "
        f"place where it lies now: --dataset {form}:PATH"
    )


def _lies(form: str, place: Path) -> bool:
    """Whether data lie at a place; FOLDER/NAME of series is what their files begin with."""
    begun = form == "series" and place.parent.is_dir()
    return place.exists() or (begun and any(place.parent.glob(f"{glob.escape(place.name)}*")))


def _given(restored: Restored, config: Data, data_dir: Path | None) -> dict[str, Examples]:
    """The parts as they lie on disk now, none of them cut."""
    kind, _, path = config.name.partition(":")
    if kind != "folder":
        read = read_data(
            config,
            data_dir,
            kind=target_kind(restored.recipe),
            vocabulary=restored.spec.vocabulary,
        )
        return parts_of(read)
    # By the rules of judging: what has come since may have another size, or a new class.
    files, known = find_files(path, judged=True), restored.spec.class_names
    labels = [known.index(name) if name in known else -1 for name in files.class_names]
    view, renamed = view_of(restored), np.array(labels, np.int32)
    return {
        name: StreamedSplit(Joined([source], renamed), len(known), view, view)
        for name, source in files.parts.items()
    }


def _contents(parts: Parts, given: dict[str, Examples]) -> Parts:
    found = {name: digests(part, parts.kind) for name, part in given.items()}
    return Parts.now(
        parts.kind, found, {name: target_codes(part.targets) for name, part in given.items()}, ""
    )


def _taken(given: list[Examples], places: np.ndarray) -> Examples:
    """Some examples, in memory if they are few.

    Raises:
      UserError: one can no longer be read.
    """
    examples, _, bad = in_memory(gathered(given, places))
    if bad:
        raise UserError("; ".join(map(str, bad)))
    return examples


def _by_position(
    restored: Restored, config: Data, split: str, data_dir: Path | None, note: str
) -> Judged:
    """The part as it is cut from the data as they are now."""
    # A test split is whole without a validation part being cut from train.
    kind = target_kind(restored.recipe)
    read = read_data if split == "test" else load_data
    data = read(config, data_dir, kind=kind)
    _check(data, restored.spec)
    examples: Examples | None = getattr(data, split)
    if examples is None:
        raise UserError(f"{restored.recipe.data.name} has no {split} split")
    return Judged(restored.recipe.data.name, split, examples, (note,))


def _check(data: Dataset, spec: DataSpec) -> None:
    """Refuses data that have changed so that the model cannot take them.

    Raises:
      UserError: their classes or their shape are others.
    """
    for what, now, then in (
        ("classes", tuple(data.class_names), spec.class_names),
        (_SHAPES[spec.input_kind], data.train.image_shape, spec.image_shape),
    ):
        if now != then:
            raise UserError(
                f"{data.name} has other {what} than when the model was trained: {now}, not {then}"
            )
