"""A data set from arrays: what `npz:FILE` and a caller in Python give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.fields import VOID
from cnn_jax.data.splits import cut_test
from cnn_jax.errors import UserError

Arrays = tuple[np.ndarray, np.ndarray]
"""Images (n, h, w) or (n, h, w, c), and a target of each."""

GIVEN = "arrays"
"""The name of a set that lies nowhere: it is given in Python."""

Kind = str
"""`class`, `tags`, `number`, `mask` or `boxes`, see `cnn_jax.data.fields`."""


def from_arrays(
    train: Arrays,
    *,
    validation: Arrays | None = None,
    test: Arrays | None = None,
    kind: Kind = "class",
    class_names: Sequence[str] | None = None,
    name: str = GIVEN,
    source: str = "given in Python",
    test_part: float | None = None,
) -> Dataset:
    """A data set from arrays. Without a test part, a tenth of the training examples becomes it.

    Args:
      train: a pair (images, targets). Images are (n, h, w) or (n, h, w, c) with any number of
        channels, uint8, uint16 or floating, and keep their depth. Targets depend on `kind`:
        `class`: (n,) whole numbers from 0; `tags`: (n, k) of 1, 0, and -1 for unknown; `number`:
        (n,) or (n, d); `mask`: (n, h, w) whole numbers from 0, and 255 for void.
      validation: such a pair of other examples.
      test: such a pair of other examples.
      kind: what the targets are: `class`, `tags`, `number` or `mask`.
      class_names: names of the classes, tags or numbers; by default they are numbered.
      name: of the data set.
      source: where it comes from.
      test_part: size of the test part that is cut from `train` if there is none: a fraction below
        1, or a number of examples; by default a tenth, 0 for none.

    Raises:
      UserError: the arrays do not fit one another, or the targets are not of this kind.
    """
    given = {"train": train, "validation": validation, "test": test}
    notes: list[str] = []
    parts = {
        part: Split(_images(arrays[0], part, notes), checked_targets(arrays[1], kind, part))
        for part, arrays in given.items()
        if arrays is not None and _as_many(part, *arrays)
    }
    shapes = {part: (split.images.shape[1:], split.images.dtype) for part, split in parts.items()}
    if len(set(shapes.values())) > 1:
        raise UserError(
            f"the parts of {name} differ: "
            + ", ".join(f"{part} has {shape} {kind}" for part, (shape, kind) in shapes.items())
        )
    for part, split in parts.items():
        if kind == "mask" and split.targets.shape[1:] != split.images.shape[1:3]:
            raise UserError(
                f"the masks of the {part} part are {split.targets.shape[1:]}, and its images "
                f"{split.images.shape[1:3]}; they must have the same height and width"
            )
    names = _names(parts, kind, class_names, name)
    dataset = Dataset(
        name=name,
        class_names=names,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        source=source,
        notes=tuple(dict.fromkeys(notes)),
    )
    return cut_test(dataset, test_part)


def _as_many(part: str, images: np.ndarray, targets: np.ndarray) -> bool:
    images, targets = np.asarray(images), np.asarray(targets)
    if not images.ndim or not targets.ndim or len(images) != len(targets) or not len(images):
        raise UserError(
            f"the {part} part has images of shape {images.shape} and targets of shape "
            f"{targets.shape}; there must be as many, and one at least"
        )
    return True


def _images(images: np.ndarray, part: str, notes: list[str]) -> np.ndarray:
    """Images (n, h, w, c) uint8, uint16 or float32."""
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4:
        raise UserError(
            f"the images of the {part} part are {images.shape}; valid are (n, height, width) and "
            "(n, height, width, channels)"
        )
    if images.shape[1] < 16 < min(images.shape[2:]):
        images = np.moveaxis(images, 1, -1)
        notes.append(f"images have their {images.shape[-1]} channels first; they are put last")
    if images.dtype in (np.uint8, np.uint16, np.float32):
        found = images
    elif images.dtype == np.bool_:
        found = images.astype(np.uint8) * np.uint8(255)
    elif images.dtype.kind in "iu" and images.min() >= 0 and images.max() < 2**16:
        found = images.astype(np.uint8 if images.max() < 2**8 else np.uint16)
    elif images.dtype.kind in "iuf":
        found = images.astype(np.float32)
    else:
        raise UserError(f"the images of the {part} part are {images.dtype}, which are no numbers")
    if found.dtype != images.dtype:
        notes.append(f"images are {images.dtype}, taken as {found.dtype}")
    if found.dtype == np.float32 and not np.isfinite(found).all():
        wrong = np.flatnonzero(~np.isfinite(found).all(axis=(1, 2, 3)))
        raise UserError(
            f"{len(wrong):,} images of the {part} part hold values that are no finite numbers, "
            f"such as image {wrong[0]}"
        )
    return np.ascontiguousarray(found)


def checked_targets(targets: np.ndarray, kind: Kind, part: str) -> np.ndarray:
    """Targets as the fields of their kind have them.

    Raises:
      UserError: they are none of that kind.
    """
    targets = np.asarray(targets)
    if kind == "class":
        if targets.ndim == 2 and targets.shape[1] == 1:
            targets = targets[:, 0]
        whole = targets.dtype.kind in "iub" or (
            targets.dtype.kind == "f" and bool(np.all(targets == np.floor(targets)))
        )
        if targets.ndim != 1 or not whole or targets.min() < 0:
            raise UserError(
                f"the targets of the {part} part are {targets.shape} {targets.dtype}; classes are "
                "whole numbers from 0, one an example. Several tags are learnt by --task.name "
                "tagging, other numbers by --task.name regression"
            )
        return targets.astype(np.int32)
    if kind == "tags":
        if targets.ndim != 2 or not np.isin(targets, (-1, 0, 1)).all():
            raise UserError(
                f"the targets of the {part} part are {targets.shape} {targets.dtype}; tags are "
                "(n, tags) of 1, 0 and -1 for unknown"
            )
        return targets.astype(np.int8)
    if kind == "mask":
        if targets.ndim == 4 and targets.shape[-1] == 1:
            targets = targets[..., 0]
        whole = targets.dtype.kind in "iub"
        if targets.ndim != 3 or not whole or targets.min() < 0 or targets.max() > VOID:
            raise UserError(
                f"the targets of the {part} part are {targets.shape} {targets.dtype}; masks are "
                "(n, h, w) of whole numbers from 0 to 254, the class of each pixel, and 255 where "
                "it is unknown"
            )
        return targets.astype(np.uint8)
    if targets.ndim == 1:
        targets = targets[:, None]
    if targets.ndim != 2 or targets.dtype.kind not in "iufb":
        raise UserError(
            f"the targets of the {part} part are {targets.shape} {targets.dtype}; numbers are (n,) "
            "or (n, numbers)"
        )
    if not np.isfinite(targets).all():
        wrong = np.flatnonzero(~np.isfinite(targets).all(axis=1))
        raise UserError(
            f"{len(wrong):,} targets of the {part} part are no finite numbers, such as that of "
            f"example {wrong[0]}"
        )
    return targets.astype(np.float32)


def _names(
    parts: Mapping[str, Split], kind: Kind, given: Sequence[str] | None, name: str
) -> tuple[str, ...]:
    """A name for each class, tag or number."""
    widths = {split.targets.shape[1:] for split in parts.values()}
    if len(widths) > 1:
        raise UserError(f"the parts of {name} have targets of different shapes: {sorted(widths)}")
    if kind == "class":
        count = 1 + max(int(split.targets.max()) for split in parts.values())
    elif kind == "mask":
        count = 1 + max(
            int(np.max(split.targets, initial=0, where=split.targets != VOID))
            for split in parts.values()
        )
    else:
        count = int(next(iter(widths))[0])
    if given is not None:
        if len(given) < count:
            raise UserError(f"{name} has {count} {kind} columns or values, but {len(given)} names")
        return tuple(map(str, given))
    word = {"class": "", "mask": "class_", "tags": "tag ", "number": "number "}[kind]
    return tuple(f"{word}{place}" for place in range(count))
