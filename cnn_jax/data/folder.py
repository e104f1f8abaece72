"""A data set from a folder of one's own images, one folder a class."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.images import OTHER_SUFFIXES, SUFFIXES, read_images
from cnn_jax.data.sources import ImageFiles, Source
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
    max_bytes: int | None = None,
) -> Dataset:
    """The data set `folder:PATH`.

    PATH holds one folder a class with the images in it, or folders train, test and, if there
    is one, validation (or valid, val) that each hold the same class folders. Without a test
    folder a tenth of the training images is cut for test by a fixed stratified rule. Classes
    are sorted by name, and so are the files of a class. If every image is stored as grey they
    have one channel, else all have three (see `cnn_jax.data.images.decode`). What is hidden
    (`.name`) is passed over; files that are not images are passed over and counted in `notes`.

    Args:
      path: the folder.
      name: of the set, by default `folder:PATH`.
      image_size: side in pixels to which every image is resized; without it all must have one
        size already.
      skip_bad: leave out images that cannot be read, and name them on stderr.
      max_bytes: that the images may take, by default half of the memory that is available.

    Raises:
      UserError: there is no such folder, it is not laid out like this, its images differ in
        size or take too much memory, or some cannot be read.
    """
    name = name or f"folder:{path}"
    if image_size is not None and image_size < 1:
        raise UserError(f"--data.image-size {image_size} must be at least 1")
    top = user_path(path)
    class_names, files, others = _find(top)
    paths = [file.path for file in files]
    images, good, bad = read_images(paths, name, image_size, max_bytes)
    notes = []
    if others:
        notes.append(f"passed over {_listed(others, 'that are not images')}")
    if bad:
        found = _listed([str(error) for error in bad], "that cannot be read")
        if not skip_bad:
            raise UserError(
                f"{name} has {found}\nMend or remove them, or give --data.skip-bad to leave them "
                "out."
            )
        print(f"left out of {name}: {found}", file=sys.stderr)
        notes.append(f"left out {len(bad):,} image files that cannot be read")
        left = [file for file, keep in zip(files, good, strict=True) if keep]
        _check_classes_left(files, left, class_names)
        files, images = left, images[good]
    parts = _parts(files, images)
    dataset = Dataset(
        name=name,
        class_names=class_names,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        source=str(top.resolve()),
        notes=tuple(notes),
    )
    return dataset if dataset.test is not None else cut_test(dataset)


@dataclass(frozen=True)
class FoundFiles:
    """The image files of a folder, not yet read.

    Attributes:
      class_names: the k classes.
      parts: the files of each split.
      notes: what was passed over.
    """

    class_names: tuple[str, ...]
    parts: dict[str, Source]
    notes: tuple[str, ...]


def find_files(path: str | Path) -> FoundFiles:
    """The image files of `folder:PATH`, laid out as for `load_folder`.

    Raises:
      UserError: there is no such folder, or it is not laid out like this.
    """
    top = user_path(path)
    class_names, files, others = _find(top)
    notes = (f"passed over {_listed(others, 'that are not images')}",) if others else ()
    parts: dict[str, Source] = {}
    for split in dict.fromkeys(file.split for file in files):
        part = [file for file in files if file.split == split]
        labels = np.array([file.label for file in part], np.int32)
        parts[split] = ImageFiles(top.resolve(), top, [file.path for file in part], labels)
    return FoundFiles(class_names, parts, notes)


def _find(top: Path) -> tuple[tuple[str, ...], list[_File], list[str]]:
    """Class names; the image files, by split, class and name; the names of other files."""
    if not top.exists():
        raise UserError(f"folder:{top}: there is no such folder")
    if not top.is_dir():
        raise UserError(f"folder:{top} is a file; give the folder that holds a folder a class")
    others: list[str] = []
    files: list[_File] = []
    class_names: tuple[str, ...] = ()
    for split, folder in _split_folders(top, others).items():
        classes = _class_folders(folder, others)
        names = tuple(each.name for each in classes)
        if not class_names:
            class_names = names
        if names != class_names:
            raise UserError(
                f"{folder} has other class folders than the train folder: "
                f"missing {sorted(set(class_names) - set(names)) or 'none'}, "
                f"further {sorted(set(names) - set(class_names)) or 'none'}"
            )
        for label, each in enumerate(classes):
            files += [_File(file, split, label) for file in _image_files(each, others)]
    return class_names, files, others


def _split_folders(top: Path, others: list[str]) -> dict[str, Path]:
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
    if "train" not in splits:
        raise UserError(f"{top} holds {', '.join(each.name for each in found)} but no train folder")
    return {name: splits[name] for name in ("train", "validation", "test") if name in splits}


def _class_folders(folder: Path, others: list[str]) -> list[Path]:
    classes, files = _content(folder)
    _check_no_images(folder, files, others)
    if len(classes) < 2:
        raise UserError(
            f"{folder} holds {len(classes)} class folders; there must be at least 2, one a class"
        )
    return classes


def _image_files(folder: Path, others: list[str]) -> list[Path]:
    """The images of a class."""
    folders, files = _content(folder)
    if folders:
        raise UserError(
            f"the class folder {folder} holds the folder {folders[0].name}; the images of a "
            "class must lie in its folder itself"
        )
    images = [file for file in files if _is_image(file)]
    if not images:
        raise UserError(
            f"the class folder {folder} holds no images (files that end in {', '.join(SUFFIXES)})"
        )
    others += [str(file) for file in files if not _is_image(file)]
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


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES + OTHER_SUFFIXES


def _check_no_images(folder: Path, files: list[Path], others: list[str]) -> None:
    images = [file.name for file in files if _is_image(file)]
    if images:
        raise UserError(
            f"{folder} holds {len(images):,} images directly, such as {images[0]}; put the images "
            "of each class in a folder"
        )
    others += [str(file) for file in files]


def _check_classes_left(
    files: list[_File], left: list[_File], class_names: tuple[str, ...]
) -> None:
    still = {(file.split, file.label) for file in left}
    for split, label in dict.fromkeys((file.split, file.label) for file in files):
        if (split, label) not in still:
            raise UserError(
                f"no image of the class {class_names[label]} in the {split} part can be read"
            )


def _parts(files: list[_File], images: np.ndarray) -> dict[str, Split]:
    """The splits, which lie one after the other and so need no copy."""
    labels = np.array([file.label for file in files], np.int32)
    parts, start = {}, 0
    for split, count in Counter(file.split for file in files).items():
        part = slice(start, start := start + count)
        parts[split] = Split(images[part], labels[part])
    return parts


def _listed(names: list[str], what: str) -> str:
    """`3 files WHAT:` and a line for each."""
    return "\n  ".join([f"{len(names):,} file{'s' if len(names) > 1 else ''} {what}:", *names])
