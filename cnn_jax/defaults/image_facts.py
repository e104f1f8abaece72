"""What can be told of a set of images by a look at some of them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
from PIL import Image

from cnn_jax.data.folder import find_files
from cnn_jax.data.recipe_data import read_data
from cnn_jax.data.sources import ImageFiles
from cnn_jax.data.table_set import find_table
from cnn_jax.defaults.facts import ImageFacts, class_shares
from cnn_jax.errors import UserError
from cnn_jax.recipe import Data

_LOOKED_AT = 64
_GREY = ("1", "L", "LA", "I", "F")


def image_facts(data: Data, kind: str, data_dir: Path | None = None) -> ImageFacts:
    """The facts of a set, from the heads of some of its files, or from its arrays.

    Args:
      data: its name and columns count, and how many examples are learnt from.
      kind: of the targets, see `cnn_jax.data.fields`.
      data_dir: where TFDS sets lie.

    Raises:
      UserError: there is no such set, or it cannot be read.
    """
    found = _looked_at(data, kind, data_dir)
    if data.examples is None:
        return found
    return found._replace(examples=min(found.examples, data.examples))


def _looked_at(data: Data, kind: str, data_dir: Path | None) -> ImageFacts:
    form, colon, path = data.name.partition(":")
    if form in ("csv", "folder") and colon:
        if form == "csv":
            found = find_table(path, data.columns, kind)
        elif kind != "class":
            raise UserError(
                f"{data.name} has classes, and the task learns {kind}; csv:FILE and npz:FILE can "
                "have these"
            )
        else:
            found = find_files(path)
        files = found.parts["train"]
        sides, sizes, grey = _heads(files, data.name)
        return _facts(
            files.targets(), len(found.class_names), sides, len(sizes) == 1, 1 if grey else 3, True
        )
    if not colon and data.name not in ("digits", "shapes"):
        # Importing TFDS takes a second, which others should not wait for.
        from cnn_jax.data.tfds_reader import find_tfds

        records = find_tfds(data.name, data_dir)
        height, width, channels = records.shape
        if height is None or width is None:
            examples = len(records.parts["train"])
            return ImageFacts(examples, len(records.class_names), 256, False, channels, True)
    train = read_data(Data(data.name), data_dir, kind=kind)
    height, width, channels = train.train.image_shape
    targets, names = train.train.targets, train.class_names
    return _facts(targets, len(names), [min(height, width)], True, channels, False)


def _heads(files: ImageFiles, name: str) -> tuple[list[int], set[tuple[int, int]], bool]:
    """Shorter sides, sizes, and whether all are grey, of some files; the others may differ."""
    places = np.unique(np.linspace(0, len(files) - 1, _LOOKED_AT).astype(int))
    sides, sizes, grey = [], set(), True
    for place in places.tolist():
        # One that cannot be read is told of when it is.
        with contextlib.suppress(OSError, ValueError), Image.open(files.path(place)) as image:
            sides.append(min(image.size))
            sizes.add(image.size)
            grey = grey and (image.mode in _GREY or image.mode.startswith("I;"))
    if not sides:
        raise UserError(f"none of {len(places)} images of {name} that were looked at can be read")
    return sides, sizes, grey


def _facts(
    targets: np.ndarray, count: int, sides: list[int], same_size: bool, channels: int, files: bool
) -> ImageFacts:
    largest = smallest = None
    if targets.ndim == 1 and targets.dtype.kind in "iu":
        largest, smallest = class_shares(targets, count)
    return ImageFacts(
        len(targets), count, int(np.median(sides)), same_size, channels, files, largest, smallest
    )
