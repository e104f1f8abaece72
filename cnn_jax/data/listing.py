"""The list of data sets: which there are, where they lie, and how they can be had."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cnn_jax.data.mirrors import MIRRORS
from cnn_jax.data.ucr import NAMES, PACKAGE

ANY_TFDS = (
    "any other image-classification set of the TFDS catalog works by its name: prepared in the "
    "TFDS folder, or where TFDS can download and prepare it"
)


class Row(NamedTuple):
    """A line of the catalog.

    Attributes:
      name: for `--data.name`.
      what: the set in a few words.
      path: where it lies on disk; empty where it does not.
      how: how it can be had.
    """

    name: str
    what: str
    path: str
    how: str


_MIRRORED = {
    "mnist": "70,000 handwritten digits, 28x28 grey, 10 classes",
    "fashion_mnist": "70,000 pieces of clothing, 28x28 grey, 10 classes",
    "cifar10": "60,000 photographs, 32x32 RGB, 10 classes",
}


def catalog(data_dir: Path | None = None) -> list[Row]:
    """The built-in sets, those that a registry carries, and the TFDS sets on disk.

    `ANY_TFDS` says what else there is.
    """
    from cnn_jax.data.tfds_sets import prepared

    on_disk = prepared(data_dir)
    rows = [
        Row("digits", "1,797 handwritten digits, 8x8 grey, 10 classes", "", "inside scikit-learn"),
        Row("rotated_digits", "the same, turned by an angle to be told", "", "inside scikit-learn"),
        Row("shapes", "drawn shapes on noise, as classes or as masks", "", "generated"),
        Row("folder:PATH", "your own images, one folder a class", "", "from your disk"),
        Row("masks:PATH", "your own images, each with a mask of classes", "", "from your disk"),
        Row("coco:PATH", "your own images, with boxes in a JSON file", "", "from your disk"),
        Row("voc:PATH", "the same, with boxes in XML files", "", "from your disk"),
        Row("yolo:PATH", "the same, with boxes in text files", "", "from your disk"),
        Row("csv:FILE", "image files with classes, tags or numbers", "", "from your disk"),
        Row("npz:FILE", "arrays of images with the same", "", "from your disk"),
        Row("series:PATH", "series of numbers: .ts, .tsv, .csv or .npz", "", "from your disk"),
        Row("ucr:NAME", f"series: {', '.join(NAMES)}", "", f"{PACKAGE.client} ({PACKAGE.package})"),
        Row("text:PATH", "texts with the same: a table, or files by class", "", "from your disk"),
        Row("sound:PATH", "sounds by class: WAV, FLAC, OGG and others", "", "from your disk"),
        Row("video:PATH", "videos by class: files, or folders of frames", "", "from your disk"),
        Row("moving_digits", "videos of digits, by where they move", "", "inside scikit-learn"),
    ]
    for name, what in _MIRRORED.items():
        how = f"TFDS, or {MIRRORS[name].client} ({MIRRORS[name].package})"
        rows.append(Row(name, what, on_disk.pop(name, ("", ""))[1], how))
    rows += [Row(name, what, path, "TFDS") for name, (what, path) in on_disk.items()]
    return rows
