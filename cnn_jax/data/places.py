"""Where sets of data lie, and how they are brought there."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

from cnn_jax.data.arrays import GIVEN
from cnn_jax.data.boxed_set import FORMS
from cnn_jax.data.digits import load_digits
from cnn_jax.data.series_places import find_series
from cnn_jax.data.shapes import Shapes
from cnn_jax.data.ucr import fetch_ucr
from cnn_jax.errors import UserError
from cnn_jax.user_path import user_path


class Fetched(NamedTuple):
    """Where a set lies.

    Attributes:
      path: a folder, or in words where it comes from.
      already_there: nothing had to be done.
    """

    path: str
    already_there: bool


def fetch(name: str, data_dir: Path | None = None) -> Fetched:
    """Makes sure that a set is on disk, and says where.

    Args:
      name: as for `cnn_jax.data.catalog.load`.
      data_dir: where TFDS and UCR sets lie.

    Raises:
      UserError: the name is unknown or the set cannot be had here.
    """
    kind, colon, rest = name.partition(":")
    check_lies_somewhere(name)
    if name in ("digits", "rotated_digits") or kind == "moving_digits":
        return Fetched(load_digits().source, True)
    if kind == "shapes":
        Shapes.parse(rest)
        return Fetched("generated when it is loaded", True)
    if kind in FORMS and colon:
        place = user_path(rest)
        if not place.exists():
            raise UserError(f"{name}: there is no file or folder {rest}")
        return Fetched(str(place.resolve()), True)
    if kind in ("folder", "masks") and colon:
        folder = user_path(rest)
        if not folder.is_dir():
            raise UserError(f"{name}: there is no folder {rest}")
        return Fetched(str(folder.resolve()), True)
    if kind in ("csv", "npz") and colon:
        file = user_path(rest)
        if not file.is_file():
            raise UserError(f"{name}: there is no file {rest}")
        return Fetched(str(file.resolve()), True)
    if kind == "series" and colon:
        place = user_path(rest)
        if not place.is_file():
            find_series(rest, name, [])
        return Fetched(str(place.resolve()), True)
    if kind == "ucr" and colon:
        folder, there = fetch_ucr(rest, data_dir)
        return Fetched(str(folder), there)
    if kind in ("sound", "text", "video") and colon:
        lies_at = user_path(rest)
        if not lies_at.exists():
            raise UserError(f"{name}: there is no file or folder {rest}")
        return Fetched(str(lies_at.resolve()), True)
    from cnn_jax.data.tfds_boxes import image_and_objects
    from cnn_jax.data.tfds_masks import image_and_mask
    from cnn_jax.data.tfds_sets import fetch_tfds, image_and_label

    def check(called: str, info: object) -> None:
        for other in (image_and_objects, image_and_mask):
            with contextlib.suppress(UserError):
                other(called, info)
                return
        image_and_label(called, info)

    builder, already_there = fetch_tfds(name, data_dir, check)
    return Fetched(str(builder.data_dir), already_there)


def check_lies_somewhere(name: str) -> None:
    """Refuses data that were given in Python.

    Raises:
      UserError: they were.
    """
    if name == GIVEN:
        raise UserError(
            "the data were given in Python and lie nowhere; give data of the same kind, such as "
            "--dataset npz:FILE, or the same arrays to `train`"
        )
