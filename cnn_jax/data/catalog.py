"""Data sets by name: which there are, and what is in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cnn_jax.data.arrays import Kind
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
from cnn_jax.data.places import check_lies_somewhere
from cnn_jax.data.resizing import resize
from cnn_jax.data.series import load_series
from cnn_jax.data.series_files import Fill
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

BOXED = "coco:PATH, voc:PATH and yolo:PATH"

SERIES = ("series", "ucr")
"""What stands before the colon in the names of sets of series."""

TFDS = "tfds"
"""The form of what is named by no other: a name of the TFDS catalog."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A set as it is asked for.

    Attributes:
      name: `digits`; `rotated_digits`; `shapes`, or with options
        `shapes:n=2000,size=32,classes=6,channels=3`; `folder:PATH`; `csv:FILE`;
        `npz:FILE`; `series:PATH`; `ucr:NAME`; `text:PATH`; `sound:PATH`; `video:PATH`;
        `moving_digits`; `masks:PATH`; `coco:PATH`; `voc:PATH`; `yolo:PATH`; or a name of the
        TFDS catalog such as `cifar10`.
      image_size: side in pixels to which images are resized when they are read (bilinear,
        antialiased, whatever the proportions); needed where they differ in size.
      skip_bad: leave out files that cannot be read.
      grey_range: the values of 16-bit grey images that are black and white, by default as
        `load_folder` finds them.
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
      masks: how masks are read.
      fit: how images of sets of boxes come to a square.
    """

    name: str
    image_size: int | None = None
    skip_bad: bool = False
    grey_range: GreyRange | None = None
    full_depth: bool = False
    data_dir: Path | None = None
    max_bytes: int | None = None
    kind: Kind = "class"
    columns: Columns | None = None
    test_part: float | None = None
    fill_missing: Fill = "none"
    text: Text | None = None
    vocabulary: Vocabulary | None = None
    rate: int | None = None
    frames: int | None = None
    dealt: bool = False
    masks: Masks | None = None
    fit: Fit = "letterbox"

    @property
    def form(self) -> str:
        """As of `form_of`."""
        return form_of(self.name)

    @property
    def rest(self) -> str:
        """What stands behind the colon."""
        return self.name.partition(":")[2]

    def only(self, *names: str) -> dict[str, Any]:
        """Some of the fields, by name."""
        return {name: getattr(self, name) for name in names}


def form_of(name: str) -> str:
    """What stands before the colon of a name, or the name of a drawn set; of all others `TFDS`."""
    form, colon, _ = name.partition(":")
    return form if form in (_WITH_PATH if colon else _DRAWN) or form in _BOTH else TFDS


def load(name: str, **options: Any) -> Dataset:
    """The data set of a name, fetched if it is not on disk.

    Args:
      name: see `Asked`.
      **options: any of the other fields of `Asked`.

    Raises:
      UserError: the name is unknown, the set has no targets of that kind, an option is for other
        sets, or it cannot be had, read or held in memory.
    """
    asked = Asked(name=name, **options)
    check_lies_somewhere(name)
    check_side("--data.image-size", asked.image_size)
    _check_options(asked)
    _check_kind(asked)
    return _READERS[asked.form](asked)


def told_kind(name: str) -> Kind | None:
    """The kind of targets that all sets of such a name have; None where they may have several."""
    form, colon, _ = name.partition(":")
    if not colon:
        return None
    return "boxes" if form in FORMS else {"masks": "mask"}.get(form)


_DRAWN = ("digits", "rotated_digits")
_BOTH = ("shapes", "moving_digits")
_IN_FILES = ("folder", "csv", "masks")
_WITH_PATH = (*_IN_FILES, *FORMS, *SERIES, "npz", "text", "sound", "video")
_SIZED = (*_IN_FILES, *FORMS, *_DRAWN, "shapes", "video", TFDS)


class _Option(NamedTuple):
    """A field of `Asked` that not all sets have.

    Attributes:
      name: of the field.
      forms: the sets that have it.
      what: what it is for.
      own: what is the same as not giving it.
    """

    name: str
    forms: tuple[str, ...]
    what: str
    own: Any = None


_OPTIONS = (
    _Option("image_size", _SIZED, "images"),
    _Option("skip_bad", (*_IN_FILES, *FORMS, "sound", "video"), "images", False),
    _Option("grey_range", _IN_FILES, "images"),
    _Option("full_depth", _IN_FILES, "images", False),
    _Option("text", ("text",), "text:PATH", Text()),
    _Option("fill_missing", SERIES, "series of numbers", "none"),
    _Option("masks", ("masks", TFDS), "masks:PATH", Masks()),
    _Option("rate", ("sound",), "sounds"),
    _Option("frames", ("video",), "videos"),
    _Option("fit", (*FORMS, TFDS), "sets of boxes", "letterbox"),
)
_HAS = {
    **dict.fromkeys(SERIES, "series"),
    "text": "texts",
    "sound": "sounds",
    "video": "videos",
}


def _check_options(asked: Asked) -> None:
    """Refuses options that such a set does not have."""
    form = asked.form
    for option in _OPTIONS:
        given = getattr(asked, option.name)
        if form in option.forms or given is None or given == option.own:
            continue
        flag = f"--data.{option.name.replace('_', '-')}"
        if option.name == "image_size" and form == "npz":
            raise UserError(
                f"{flag} {given} is for images that are read from files; arrays have a size: give "
                "--preprocess.size"
            )
        if option.name == "image_size" and form == "moving_digits":
            raise UserError(f"{flag} {given} is for images; give moving_digits:size={given}")
        what, has = option.what, "has none"
        if form in FORMS and what == "images":
            what, has = "folders, tables and masks", "has boxes"
        elif form in _HAS and what == "images":
            has = f"has {_HAS[form]}"
        elif what == "images":
            what = "image files"
        elif isinstance(given, str | int):
            flag += f" {given}"
        raise UserError(f"{flag} is for {what}, and {asked.name} {has}; leave it out")
    for name in ("rate", "frames"):
        if (count := getattr(asked, name)) is not None and count < 1:
            raise UserError(f"--data.{name} {count} must be at least 1")


def _check_kind(asked: Asked) -> None:
    """Refuses kinds of targets that such a set does not have."""
    name, form, kind = asked.name, asked.form, asked.kind
    for its, forms, task in (
        ("mask", ("masks",), "segmentation"),
        ("boxes", tuple(FORMS), "detection"),
    ):
        if form in forms and kind != its:
            what = "masks" if its == "mask" else its
            raise UserError(
                f"{name} has {what}, and the task learns {kind}; {what} are learnt by --task.name "
                f"{task}"
            )
    if form == "csv" and kind in SPATIAL:
        other = "masks:PATH or npz:FILE" if kind == "mask" else BOXED
        raise UserError(f"{name} has no {kind}; give {other}")
    has = {"rotated_digits": ("number",), "shapes": ("class", "mask"), TFDS: ("class", *SPATIAL)}
    if form in (*_DRAWN, *_BOTH, "folder", TFDS) and kind not in has.get(form, ("class",)):
        raise UserError(
            f"{name} has {'numbers' if form == 'rotated_digits' else 'classes'}, and the task "
            f"learns {kind}; "
            + ("masks:PATH" if kind == "mask" else BOXED if kind == "boxes" else "csv:FILE")
            + " and npz:FILE" * (kind != "boxes")
            + " can have these"
        )


_OF_FILES = ("name", "image_size", "skip_bad", "grey_range", "full_depth", "max_bytes", "test_part")
_OF_RECORDS = ("image_size", "data_dir", "max_bytes", "test_part")


def _text(asked: Asked) -> Dataset:
    options = asked.only("kind", "name", "vocabulary", "test_part")
    return load_text(asked.rest, asked.text or Text(), asked.columns or Columns(), **options)


def _series(asked: Asked) -> Dataset:
    path = asked.rest if asked.form == "series" else fetch_ucr(asked.rest, asked.data_dir)[0]
    options = asked.only("kind", "name", "test_part", "columns")
    return load_series(path, fill=asked.fill_missing, **options)


def _sound(asked: Asked) -> Dataset:
    options = asked.only("kind", "rate", "skip_bad", "name", "test_part", "dealt")
    return load_sound(asked.rest, asked.columns, **options)


def _video(asked: Asked) -> Dataset:
    options = asked.only("kind", "frames", "skip_bad", "name", "test_part", "dealt")
    return load_video(asked.rest, asked.columns, size=asked.image_size, **options)


def _masks(asked: Asked) -> Dataset:
    return load_masks(asked.rest, asked.masks or Masks(), **asked.only(*_OF_FILES))


def _boxes(asked: Asked) -> Dataset:
    options = asked.only("name", "image_size", "fit", "skip_bad", "max_bytes", "test_part")
    return load_boxes(asked.form, asked.rest, **options)


def _table(asked: Asked) -> Dataset:
    return load_table(asked.rest, asked.columns or Columns(), asked.kind, **asked.only(*_OF_FILES))


def _folder(asked: Asked) -> Dataset:
    return load_folder(asked.rest, **asked.only(*_OF_FILES))


def _arrays(asked: Asked) -> Dataset:
    return load_npz(asked.rest, **asked.only("kind", "name", "test_part"))


def _digits(asked: Asked) -> Dataset:
    found = load_digits() if asked.form == "digits" else load_rotated_digits()
    return cut_test(_resized(found, asked.image_size, asked.max_bytes), asked.test_part)


def _shapes(asked: Asked) -> Dataset:
    drawn = load_shapes(
        Shapes.parse(asked.rest, asked.image_size),
        name=asked.name,
        max_bytes=asked.max_bytes,
        masks=asked.kind == "mask",
    )
    return cut_test(drawn, asked.test_part)


def _moving_digits(asked: Asked) -> Dataset:
    return cut_test(load_moving_digits(asked.name), asked.test_part)


def _tfds(asked: Asked) -> Dataset:
    # Importing TFDS takes a second, which runs on other data should not wait for.
    if asked.kind == "boxes":
        from cnn_jax.data.tfds_boxes import load_tfds_boxes

        return load_tfds_boxes(asked.name, fit=asked.fit, **asked.only(*_OF_RECORDS))
    if asked.kind == "mask":
        from cnn_jax.data.tfds_masks import load_tfds_masks

        return load_tfds_masks(asked.name, asked.masks or Masks(), **asked.only(*_OF_RECORDS))
    from cnn_jax.data.tfds_reader import load_tfds

    return load_tfds(asked.name, **asked.only(*_OF_RECORDS))


_READERS: dict[str, Callable[[Asked], Dataset]] = {
    **dict.fromkeys(SERIES, _series),
    **dict.fromkeys(FORMS, _boxes),
    **dict.fromkeys(_DRAWN, _digits),
    "text": _text,
    "sound": _sound,
    "video": _video,
    "masks": _masks,
    "csv": _table,
    "npz": _arrays,
    "folder": _folder,
    "shapes": _shapes,
    "moving_digits": _moving_digits,
    TFDS: _tfds,
}


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
