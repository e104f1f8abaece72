"""Which files of a folder that streams can be read, found once and kept on disk."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL

from cnn_jax.data import decoded
from cnn_jax.data.depth import Depths, GreyRange, check_range
from cnn_jax.data.fields import CLASS
from cnn_jax.data.folder import check_classes_left, left_out
from cnn_jax.data.image_files import survey
from cnn_jax.data.images import UnreadableImage
from cnn_jax.data.sources import ImageFiles
from cnn_jax.devices.user_cache import user_cache
from cnn_jax.errors import UserError

_WORTH_KEEPING = 2000
"""Fewer files are looked at anew by every start, which takes a moment."""

_VERSION = 2


class Readable(NamedTuple):
    """The files that can be read.

    Attributes:
      parts: those of each part.
      grey_range: the values of 16-bit grey that are black and white; None where there is no such
        image.
      notes: what was left out, and how deep the images are.
    """

    parts: dict[str, ImageFiles]
    grey_range: GreyRange | None
    notes: tuple[str, ...]


def readable(
    parts: dict[str, ImageFiles],
    name: str,
    class_names: tuple[str, ...],
    *,
    skip_bad: bool,
    grey_range: GreyRange | None,
    full_depth: bool = False,
) -> Readable:
    """The files that can be read, so that which examples a step sees depends on no failure.

    Headers are always looked at, pixels only where bad files are to be left out: whether a file is
    whole turns out when it is read.

    Args:
      parts: all files of train and the other parts.
      name: of the set.
      class_names: the k classes.
      skip_bad: leave out what cannot be read.
      grey_range: as for `survey`.
      full_depth: as for `survey`.

    Raises:
      UserError: an image is no grey or RGB of 8 bits; files cannot be read and may not be left
        out; or no file of a class is left.
    """
    check_range(grey_range, full_depth=full_depth)
    where = [(part, place) for part, files in parts.items() for place in range(len(files))]
    training = np.array([part == "train" for part, _ in where], bool)

    def path(number: int) -> Path:
        part, place = where[number]
        return parts[part].path(place)

    bad, depths, other = _found(path, training, skip_bad, grey_range, full_depth)
    if other is not None:
        raise UserError(
            f"{name} has images that are not 8 bits with one or three channels, such as "
            f"{path(other)}. Those cannot stream: leave out --data.streaming True, "
            "--data.random-crop, --data.central-crop and --data.evaluation-size, and give "
            "--data.streaming False where the set is large"
        )
    notes = []
    if bad:
        errors = [UnreadableImage(str(path(number)), bad[number]) for number in sorted(bad)]
        notes.append(left_out(name, errors, skip_bad))
        all_labels = {
            part: (files.targets() if files.target == CLASS else np.zeros(len(files), int)).tolist()
            for part, files in parts.items()
        }
        classes = [(part, all_labels[part][place]) for part, place in where]
        left = [each for number, each in enumerate(classes) if number not in bad]
        check_classes_left(classes, left, class_names)
        gone = {where[number] for number in bad}
        parts = {
            part: files.take([p for p in range(len(files)) if (part, p) not in gone])
            for part, files in parts.items()
        }
    return Readable(parts, depths.grey_range, tuple(notes + depths.notes()))


def _found(
    path: Callable[[int], Path],
    training: np.ndarray,
    pixels: bool,
    grey_range: GreyRange | None,
    full_depth: bool,
) -> tuple[dict[int, str], Depths, int | None]:
    """Why files cannot be read, by number; how deep the others are; and one that cannot stream."""
    n = len(training)
    file = None
    if n >= _WORTH_KEEPING:
        key = _key(path, training, pixels, grey_range is None, full_depth)
        file = user_cache() / "surveys" / f"{key}.json"
        stored = decoded.read(lambda: _from_json(json.loads(file.read_text()), n, grey_range))
        if stored is not None:
            return stored
        what = "the pixels" if pixels else "the headers"
        print(f"looking at {what} of {n:,} files, once: what is found is kept", file=sys.stderr)
    found = survey(path, training, grey_range, full_depth=full_depth, pixels=pixels)
    bad = {place: error.reason for place, error in found.bad.items()}
    depths, other = found.depths, found.no_picture()
    if file is not None:
        facts = {
            "bad": bad,
            "wide": depths.wide,
            "cut": depths.cut,
            "extremes": depths.extremes,
            "rounded": depths.rounded,
            "pages": depths.pages,
            "other": other,
        }
        decoded.write(file, lambda out: out.write(json.dumps(facts).encode()))
    return bad, depths, other


def _from_json(
    facts: Any, n: int, grey_range: GreyRange | None
) -> tuple[dict[int, str], Depths, int | None]:
    bad = {int(place): str(reason) for place, reason in facts["bad"].items()}
    extremes = None
    if facts["extremes"] is not None:
        extremes = int(facts["extremes"][0]), int(facts["extremes"][1])
    wide, cut, rounded, pages = (int(facts[name]) for name in ("wide", "cut", "rounded", "pages"))
    depths = Depths(n - len(bad), wide, cut, extremes, grey_range, rounded, pages)
    return bad, depths, None if facts["other"] is None else int(facts["other"])


def _key(path: Callable[[int], Path], training: np.ndarray, *facts: object) -> str:
    """A name for the files as they are, by their paths, sizes and times."""
    digest = hashlib.sha256(repr((_VERSION, PIL.__version__, facts)).encode())
    digest.update(training.tobytes())
    for number in range(len(training)):
        file = path(number)
        try:
            stat = file.stat()
            state = stat.st_size, stat.st_mtime_ns
        except OSError:
            state = -1, -1
        digest.update(repr((str(file), state)).encode())
    return digest.hexdigest()[:32]
