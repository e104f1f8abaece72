"""A data set from a folder of one's own images, one folder a class."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.depth import GreyRange
from cnn_jax.data.image_files import read_images
from cnn_jax.data.images import UnreadableImage
from cnn_jax.data.memory_limit import check_side
from cnn_jax.data.signatures import verdict
from cnn_jax.data.sources import ImageFiles
from cnn_jax.data.splits import cut_test
from cnn_jax.errors import UserError
from cnn_jax.user_path import user_path

_SPLIT_FOLDERS = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}

_MOST_NAMED = 100
"""So many files are named in a note, which is stored beside each run."""


@dataclass(frozen=True)
class _File:
    path: Path
    split: str
    label: int


def load_folder(
    path: str | Path,
    *,
    name: str | None = None,
    image_size: int | None = None,
    skip_bad: bool = False,
    grey_range: GreyRange | None = None,
    full_depth: bool = False,
    max_bytes: int | None = None,
    test_part: float | None = None,
) -> Dataset:
    """The data set `folder:PATH`.

    PATH holds one folder a class with the images in it, or folders train, test and, if there
    is one, validation (or valid, val) that each hold the same class folders. Without a test
    folder a tenth of the training images is cut for test by a fixed stratified rule. Classes
    are sorted by name, and so are the files of a class. If every image is stored as grey they
    have one channel, else all have three (see `cnn_jax.data.images.decode`); TIFF may have any
    number, and be uint16 or float32. A file is an image by its first bytes, whatever its name.
    What is hidden (`.name`) is passed over; files that are known to be no images are passed over
    and told in `notes`.

    Args:
      path: the folder.
      name: of the set, by default `folder:PATH`.
      image_size: side in pixels to which every image is resized; without it all must have one
        size already.
      skip_bad: leave out images that cannot be read, and name them on stderr.
      grey_range: the values of 16-bit grey that are black and white; by default 0 and the greatest
        value of as many bits as those of the training images need.
      full_depth: keep all bits of 16-bit PNG, as is always done with TIFF.
      max_bytes: that the images may take, by default half of the memory that is available.
      test_part: of train where there is no test part, as of `cnn_jax.data.splits.cut_test`.

    Raises:
      UserError: there is no such folder, it is not laid out like this, its images differ in
        size, depth or channels or take too much memory, or some cannot be read.
    """
    name = name or f"folder:{path}"
    check_side("--data.image-size", image_size)
    top = user_path(path)
    class_names, files, others = _find(top)
    paths = [file.path for file in files]
    training = np.array([file.split == "train" for file in files], bool)
    images, good, bad, depths = read_images(
        paths,
        name,
        image_size,
        max_bytes,
        training=training,
        grey_range=grey_range,
        full_depth=full_depth,
    )
    notes = passed_over(others)
    if bad:
        notes.append(left_out(name, bad, skip_bad))
        left = [file for file, keep in zip(files, good, strict=True) if keep]
        check_classes_left(
            [(file.split, file.label) for file in files],
            [(file.split, file.label) for file in left],
            class_names,
        )
        files, images = left, images[good]
    notes += depths.notes()
    notes += _missing(class_names, files)
    parts = _parts(files, images)
    dataset = Dataset(
        name=name,
        class_names=class_names,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        source=str(top.resolve()),
        notes=tuple(notes),
        grey_range=depths.grey_range,
    )
    return cut_test(dataset, test_part)


@dataclass(frozen=True)
class FoundFiles:
    """The image files of a folder, not yet read.

    Attributes:
      class_names: the k classes.
      parts: the files of each split.
      source: the whole path of the folder.
      notes: what was passed over.
      shape: (h, w, c) of the images as far as it is known: which are grey would take reading all.
    """

    class_names: tuple[str, ...]
    parts: dict[str, ImageFiles]
    source: str
    notes: tuple[str, ...]
    shape: tuple[int | None, int | None, int] = (None, None, 3)


def find_files(path: str | Path, *, judged: bool = False) -> FoundFiles:
    """The image files of `folder:PATH`, laid out as for `load_folder`.

    Args:
      path: the folder.
      judged: nothing is learnt from them: any parts will do, and any class folders in each.

    Raises:
      UserError: there is no such folder, or it is not laid out like this.
    """
    top = user_path(path)
    class_names, files, others = _find(top, judged)
    notes = passed_over(others)
    if not judged:
        notes += _missing(class_names, files)
    parts: dict[str, ImageFiles] = {}
    for split in dict.fromkeys(file.split for file in files):
        part = [file for file in files if file.split == split]
        labels = np.array([file.label for file in part], np.int32)
        parts[split] = ImageFiles(top.resolve(), top, [file.path for file in part], labels)
    return FoundFiles(class_names, parts, str(top.resolve()), tuple(notes))


def passed_over(others: list[str]) -> list[str]:
    """The note of files that are no images, if there are any."""
    what = "that is no image" if len(others) == 1 else "that are not images"
    return [f"passed over {_listed(others, what, _MOST_NAMED)}"] if others else []


def left_out(name: str, bad: Sequence[UnreadableImage], skip_bad: bool) -> str:
    """Says which image files are left out, and gives the note of it.

    Args:
      name: of the set.
      bad: what hinders the files to be read.
      skip_bad: whether they may be left out.

    Raises:
      UserError: they may not.
    """
    what, errors = "that cannot be read", [str(error) for error in bad]
    if not skip_bad:
        raise UserError(
            f"{name} has {_listed(errors, what)}\nMend or remove them, or give --data.skip-bad to "
            "leave them out."
        )
    told = f"left out of {name}: {_listed(errors, what)}"
    # Names need not be of signs that can be written.
    print(told.encode(errors="backslashreplace").decode(), file=sys.stderr)
    return f"left out {_listed(errors, what, _MOST_NAMED)}"


def check_classes_left(
    files: Iterable[tuple[str, int]], left: Iterable[tuple[str, int]], class_names: tuple[str, ...]
) -> None:
    """Checks that of every class to learn from, and of every part, a file is left.

    Args:
      files: part and class of each file, before some were left out.
      left: the same of those that are left.
      class_names: the k classes.

    Raises:
      UserError: there is none of one.
    """
    still = set(left)
    for split, label in dict.fromkeys(files):
        if split == "train" and (split, label) not in still:
            raise UserError(
                f"no image of the class {class_names[label]} in the {split} part can be read"
            )
        if not any(part == split for part, _ in still):
            raise UserError(f"no image in the {split} part can be read")


def _find(top: Path, judged: bool = False) -> tuple[tuple[str, ...], list[_File], list[str]]:
    """Class names; the image files, by split, class and name; the names of other files."""
    if not top.exists():
        raise UserError(f"folder:{top}: there is no such folder")
    if not top.is_dir():
        raise UserError(f"folder:{top} is a file; give the folder that holds a folder a class")
    others: list[str] = []
    files: list[_File] = []
    splits = _split_folders(top, others, judged)
    # What nothing is learnt from may lack a class, or have an empty folder of it.
    least = {split: 2 if split == "train" and not judged else 0 for split in splits}
    folders = {split: _class_folders(path, others, least[split]) for split, path in splits.items()}
    known = sorted({each.name for classes in folders.values() for each in classes})
    class_names = tuple(known if judged else (each.name for each in folders["train"]))
    for split, classes in folders.items():
        if further := sorted({each.name for each in classes} - set(class_names)):
            raise UserError(
                f"{splits[split]} has class folders that the train folder has not: "
                f"{', '.join(further)}"
            )
        for each in classes:
            images = _image_files(each, others, needed=least[split] > 0)
            files += [_File(file, split, class_names.index(each.name)) for file in images]
        if not judged and not any(file.split == split for file in files):
            raise UserError(f"{splits[split]} holds no images; put some there, or remove it")
    if not files:
        raise UserError(f"folder:{top} holds no images")
    return class_names, files, others


def _missing(class_names: tuple[str, ...], files: list[_File]) -> list[str]:
    """Notes of the classes that a part has no images of."""
    notes = []
    for split in dict.fromkeys(file.split for file in files):
        there = {file.label for file in files if file.split == split}
        names = [name for label, name in enumerate(class_names) if label not in there]
        if names:
            notes.append(f"the {split} part has no images of: {', '.join(names)}")
    return notes


def _split_folders(top: Path, others: list[str], judged: bool) -> dict[str, Path]:
    """Folder of each split, train first; the top itself is train's if it holds the classes."""
    folders, files = _content(top)
    _check_no_images(top, files, others)
    if not folders:
        raise UserError(f"{top} holds no folders; put the images of each class in a folder")
    found = [each for each in folders if each.name.lower() in _SPLIT_FOLDERS]
    # A class may be called train: what marks a split is that it holds folders itself.
    if len(found) < len(folders) and not any(_content(each)[0] for each in found):
        return {"train": top}
    if len(found) < len(folders):
        names = ", ".join(each.name for each in folders if each not in found)
        raise UserError(
            f"{top} holds the split folders {', '.join(each.name for each in found)} and beside "
            f"them {names}; it must hold either splits (train, validation, test) or classes"
        )
    splits: dict[str, Path] = {}
    for each in found:
        split = _SPLIT_FOLDERS[each.name.lower()]
        if split in splits:
            raise UserError(f"{top} holds two {split} folders: {splits[split].name}, {each.name}")
        splits[split] = each
    if "train" not in splits and not judged:
        raise UserError(f"{top} holds {', '.join(each.name for each in found)} but no train folder")
    return {name: splits[name] for name in ("train", "validation", "test") if name in splits}


def _class_folders(folder: Path, others: list[str], least: int) -> list[Path]:
    classes, files = _content(folder)
    _check_no_images(folder, files, others)
    if len(classes) < least:
        raise UserError(
            f"{folder} holds {len(classes)} class folders; there must be at least 2, one a class"
        )
    return classes


def _image_files(folder: Path, others: list[str], needed: bool) -> list[Path]:
    """The images of a class."""
    folders, files = _content(folder)
    if folders:
        raise UserError(
            f"the class folder {folder} holds the folder {folders[0].name}; the images of a "
            "class must lie in its folder itself"
        )
    found = {file: verdict(file) for file in files}
    images = [file for file in files if found[file] != "no image"]
    if not images and needed:
        raise UserError(
            f"the class folder {folder} holds no images (JPEG, PNG, BMP, WebP or TIFF, whatever "
            "the files are called)"
        )
    others += [str(file) for file in files if found[file] == "no image"]
    return images


def _content(folder: Path) -> tuple[list[Path], list[Path]]:
    """Folders and files in a folder, sorted by name, but for the hidden."""
    try:
        visible = [each for each in folder.iterdir() if not each.name.startswith(".")]
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror})") from error
    # By name alone: how paths compare differs between systems.
    visible.sort(key=lambda each: each.name)
    folders = [each for each in visible if each.is_dir()]
    known = set(folders)
    return folders, [each for each in visible if each not in known]


def _check_no_images(folder: Path, files: list[Path], others: list[str]) -> None:
    images = [file.name for file in files if verdict(file) == "image"]
    if images:
        raise UserError(
            f"{folder} holds {len(images):,} images directly, such as {images[0]}; put the images "
            "of each class in a folder"
        )
    others += [str(file) for file in files]


def _parts(files: list[_File], images: np.ndarray) -> dict[str, Split]:
    """The splits, which lie one after the other and so need no copy."""
    labels = np.array([file.label for file in files], np.int32)
    parts, start = {}, 0
    for split, count in Counter(file.split for file in files).items():
        part = slice(start, start := start + count)
        parts[split] = Split(images[part], labels[part])
    return parts


def _listed(names: list[str], what: str, most: int | None = None) -> str:
    """`3 files WHAT:` and a line for each, or for the first so many."""
    lines = [f"{len(names):,} file{'s' if len(names) > 1 else ''} {what}:", *names[:most]]
    if most is not None and len(names) > most:
        lines.append(f"and {len(names) - most:,} more")
    return "\n  ".join(lines)
