"""Data sets by name: which there are, where they lie, and what is in them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

from cnn_jax.data.arrays import GIVEN, Kind
from cnn_jax.data.boxed_set import FORMS, load_boxes
from cnn_jax.data.dataset import Dataset, Examples, Split
from cnn_jax.data.depth import GreyRange
from cnn_jax.data.digits import load_digits, load_rotated_digits
from cnn_jax.data.fields import SPATIAL
from cnn_jax.data.fitting import Fit
from cnn_jax.data.folder import load_folder
from cnn_jax.data.mask_set import load_masks
from cnn_jax.data.memory_limit import check_side, check_size
from cnn_jax.data.moving_digits import load_moving_digits
from cnn_jax.data.npz import load_npz
from cnn_jax.data.resizing import resize
from cnn_jax.data.series import load_series
from cnn_jax.data.series_files import Fill
from cnn_jax.data.series_places import find_series
from cnn_jax.data.shapes import Shapes, load_shapes
from cnn_jax.data.sound import load_sound
from cnn_jax.data.splits import cut_test
from cnn_jax.data.table_set import load_table
from cnn_jax.data.text import load_text
from cnn_jax.data.ucr import fetch_ucr
from cnn_jax.data.video import load_video
from cnn_jax.data.vocabulary import Vocabulary
from cnn_jax.errors import UserError
from cnn_jax.recipe import Columns, Masks, Text
from cnn_jax.user_path import user_path

BOXED = "coco:PATH, voc:PATH and yolo:PATH"

SERIES = ("series", "ucr")
"""What stands before the colon in the names of sets of series."""


def load(
    name: str,
    *,
    image_size: int | None = None,
    skip_bad: bool = False,
    grey_range: GreyRange | None = None,
    full_depth: bool = False,
    data_dir: Path | None = None,
    max_bytes: int | None = None,
    kind: Kind = "class",
    columns: Columns | None = None,
    test_part: float | None = None,
    fill_missing: Fill = "none",
    text: Text | None = None,
    vocabulary: Vocabulary | None = None,
    rate: int | None = None,
    frames: int | None = None,
    dealt: bool = False,
    masks: Masks | None = None,
    fit: Fit = "letterbox",
) -> Dataset:
    """The data set of a name, fetched if it is not on disk.

    Args:
      name: `digits`; `rotated_digits`; `shapes`, or with options
        `shapes:n=2000,size=32,classes=6,channels=3`; `folder:PATH`; `csv:FILE`;
        `npz:FILE`; `series:PATH`; `ucr:NAME`; `text:PATH`; `sound:PATH`; `video:PATH`;
        `moving_digits`; `masks:PATH`; `coco:PATH`; `voc:PATH`; `yolo:PATH`; or a name of the
        TFDS catalog such as `cifar10`.
      image_size: side in pixels to which images are resized when they are read (bilinear,
        antialiased, whatever the proportions); needed where they differ in size.
      skip_bad: leave out image, sound and video files that cannot be read.
      grey_range: the values of 16-bit grey images of `folder:PATH`, `csv:FILE` and `masks:PATH`
        that are black and white, by default as `load_folder` finds them.
      full_depth: keep all bits of 16-bit PNG files, as is always done with TIFF.
      data_dir: where TFDS sets lie, by default $TFDS_DATA_DIR or where TFDS has them.
      max_bytes: of pixels in memory, by default half of what is available.
      kind: of the targets, see `cnn_jax.data.fields`.
      columns: which columns of `csv:FILE`, `text:PATH` or tables of `series:PATH` hold what.
      test_part: of train where there is no test part, as of `cnn_jax.data.splits.cut_test`.
      fill_missing: what is done about missing values of `series:PATH` and `ucr:NAME`.
      text: how the texts of `text:PATH` become words.
      vocabulary: of a model that is given texts; by default all words of the set.
      rate: samples a second of `sound:PATH`, by default as most of its files have.
      frames: of `video:PATH`, see `cnn_jax.data.video.load_video`.
      dealt: the set will be dealt into folds, see `cnn_jax.data.sound.load_sound`.
      masks: how those of `masks:PATH` are read.
      fit: how images of sets of boxes come to a square.

    Raises:
      UserError: the name is unknown, the set has no targets of that kind, or it cannot be had,
        read or held in memory.
    """
    check_side("--data.image-size", image_size)
    form, colon, rest = name.partition(":")
    if form == "text" and colon:
        _refuse_for_texts(name, image_size, skip_bad, grey_range)
        return load_text(
            rest,
            text or Text(),
            columns or Columns(),
            kind=kind,
            name=name,
            vocabulary=vocabulary,
            test_part=test_part,
        )
    if text is not None and text != Text():
        raise UserError(f"--data.text is for text:PATH, and {name} has no texts; leave it out")
    if form in SERIES and colon:
        _refuse_image_reading(name, image_size, skip_bad, grey_range)
        path = rest if form == "series" else fetch_ucr(rest, data_dir)[0]
        return load_series(
            path,
            kind=kind,
            fill=fill_missing,
            name=name,
            test_part=test_part,
            columns=columns,
        )
    if fill_missing != "none":
        raise UserError(
            f"--data.fill-missing {fill_missing} is for series of numbers, and {name} has none; "
            "leave it out"
        )
    if form == "masks" and colon:
        if kind != "mask":
            raise UserError(
                f"{name} has masks, and the task learns {kind}; masks are learnt by --task.name "
                "segmentation"
            )
        return load_masks(
            rest,
            masks or Masks(),
            name=name,
            image_size=image_size,
            skip_bad=skip_bad,
            grey_range=grey_range,
            full_depth=full_depth,
            max_bytes=max_bytes,
            test_part=test_part,
        )
    if form in FORMS and colon:
        if kind != "boxes":
            raise UserError(
                f"{name} has boxes, and the task learns {kind}; boxes are learnt by --task.name "
                "detection"
            )
        return load_boxes(
            form,
            rest,
            name=name,
            image_size=image_size,
            fit=fit,
            skip_bad=skip_bad,
            max_bytes=max_bytes,
            test_part=test_part,
        )
    if fit != "letterbox" and kind != "boxes":
        raise UserError(f"--data.fit {fit} is for sets of boxes, and {name} has none; leave it out")
    if masks is not None and masks != Masks():
        raise UserError(f"--data.masks is for masks:PATH, and {name} has no masks; leave it out")
    if rate is not None and form != "sound":
        raise UserError(f"--data.rate {rate} is for sounds, and {name} has none; leave it out")
    if form == "sound" and colon:
        _refuse_image_reading(name, image_size, False, grey_range, "sounds")
        if rate is not None and rate < 1:
            raise UserError(f"--data.rate {rate} must be at least 1")
        return load_sound(
            rest,
            columns,
            kind=kind,
            rate=rate,
            skip_bad=skip_bad,
            name=name,
            test_part=test_part,
            dealt=dealt,
        )
    if frames is not None and form != "video":
        raise UserError(f"--data.frames {frames} is for videos, and {name} has none; leave it out")
    if form == "video" and colon:
        _refuse_image_reading(name, None, False, grey_range, "videos")
        if frames is not None and frames < 1:
            raise UserError(f"--data.frames {frames} must be at least 1")
        return load_video(
            rest,
            columns,
            kind=kind,
            size=image_size,
            frames=frames,
            skip_bad=skip_bad,
            name=name,
            test_part=test_part,
            dealt=dealt,
        )
    if form == "csv" and colon and kind in SPATIAL:
        other = "masks:PATH or npz:FILE" if kind == "mask" else BOXED
        raise UserError(f"{name} has no {kind}; give {other}")
    if form == "csv" and colon:
        return load_table(
            rest,
            columns or Columns(),
            kind,
            name=name,
            image_size=image_size,
            skip_bad=skip_bad,
            grey_range=grey_range,
            full_depth=full_depth,
            max_bytes=max_bytes,
            test_part=test_part,
        )
    if form == "npz" and colon:
        if image_size is not None:
            raise UserError(
                f"--data.image-size {image_size} is for images that are read from files; arrays "
                "have a size: give --preprocess.size"
            )
        return load_npz(rest, kind=kind, name=name, test_part=test_part)
    _check_lies_somewhere(name)
    has = "number" if name == "rotated_digits" else "class"
    if kind != has and (form, kind) != ("shapes", "mask"):
        what = {"class": "classes", "number": "numbers"}[has]
        if kind == "boxes" and not colon and name not in ("digits", "rotated_digits", "shapes"):
            from cnn_jax.data.tfds_boxes import load_tfds_boxes

            return load_tfds_boxes(
                name,
                image_size=image_size,
                fit=fit,
                data_dir=data_dir,
                max_bytes=max_bytes,
                test_part=test_part,
            )
        raise UserError(
            f"{name} has {what}, and the task learns {kind}; "
            + ("masks:PATH" if kind == "mask" else BOXED if kind == "boxes" else "csv:FILE")
            + " and npz:FILE" * (kind != "boxes")
            + " can have these"
        )
    if name == "digits":
        return cut_test(_resized(load_digits(), image_size, max_bytes), test_part)
    if name == "rotated_digits":
        return cut_test(_resized(load_rotated_digits(), image_size, max_bytes), test_part)
    if form == "shapes":
        drawn = load_shapes(
            Shapes.parse(rest, image_size), name=name, max_bytes=max_bytes, masks=kind == "mask"
        )
        return cut_test(drawn, test_part)
    if form == "moving_digits":
        if image_size is not None:
            raise UserError(
                f"--data.image-size {image_size} is for images; give "
                f"moving_digits:size={image_size}"
            )
        return cut_test(load_moving_digits(name), test_part)
    if form == "folder" and colon:
        return load_folder(
            rest,
            name=name,
            image_size=image_size,
            skip_bad=skip_bad,
            grey_range=grey_range,
            full_depth=full_depth,
            max_bytes=max_bytes,
            test_part=test_part,
        )
    # Importing TFDS takes a second, which runs on other data should not wait for.
    from cnn_jax.data.tfds_reader import load_tfds

    return load_tfds(
        name,
        image_size=image_size,
        data_dir=data_dir,
        max_bytes=max_bytes,
        test_part=test_part,
    )


def told_kind(name: str) -> Kind | None:
    """The kind of targets that all sets of such a name have; None where they may have several."""
    form, colon, _ = name.partition(":")
    if not colon:
        return None
    return "boxes" if form in FORMS else {"masks": "mask"}.get(form)


def _refuse_image_reading(
    name: str,
    image_size: int | None,
    skip_bad: bool,
    grey_range: GreyRange | None,
    what: str = "series",
) -> None:
    flags = {
        "image-size": image_size is not None,
        "skip-bad": skip_bad,
        "grey-range": grey_range is not None,
    }
    for flag, given in flags.items():
        if given:
            raise UserError(f"--data.{flag} is for images, and {name} has {what}; leave it out")


def _refuse_for_texts(
    name: str, image_size: int | None, skip_bad: bool, grey_range: GreyRange | None
) -> None:
    given = {"image-size": image_size, "skip-bad": skip_bad or None, "grey-range": grey_range}
    for flag, value in given.items():
        if value is not None:
            raise UserError(f"--data.{flag} is for images, and {name} has texts; leave it out")


def _check_lies_somewhere(name: str) -> None:
    if name == GIVEN:
        raise UserError(
            "the data were given in Python and lie nowhere; give data of the same kind, such as "
            "--dataset npz:FILE, or the same arrays to `train`"
        )


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
      name: as for `load`.
      data_dir: as for `load`.

    Raises:
      UserError: the name is unknown or the set cannot be had here.
    """
    kind, colon, rest = name.partition(":")
    _check_lies_somewhere(name)
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
    from cnn_jax.data.tfds_boxes import usable
    from cnn_jax.data.tfds_sets import fetch_tfds

    builder, already_there = fetch_tfds(name, data_dir, usable)
    return Fetched(str(builder.data_dir), already_there)


def _resized(dataset: Dataset, image_size: int | None, max_bytes: int | None) -> Dataset:
    if image_size is None:
        return dataset
    parts = [part for part in (dataset.train, dataset.test) if part is not None]
    channels = dataset.train.image_shape[2]
    shape = image_size, image_size, channels
    check_size(dataset.name, sum(len(part) for part in parts), shape, max_bytes)

    def of(split: Examples | None) -> Split:
        assert isinstance(split, Split)
        return Split(resize(split.images, image_size), split.labels)

    return dataclasses.replace(dataset, train=of(dataset.train), test=of(dataset.test))
