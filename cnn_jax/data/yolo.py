"""Boxes in the text files of YOLO, one an image, as parts of its sides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from cnn_jax.data.boxes import FoundBoxes, Objects, number, objects, some
from cnn_jax.data.folder import left_out
from cnn_jax.data.image_folders import (
    PARTS,
    checked_parts,
    folder_called,
    images_in,
    missing,
    visible,
)
from cnn_jax.data.images import UnreadableImage
from cnn_jax.errors import UserError
from cnn_jax.user_path import user_path

_NAME_FILES = ("classes.txt", "obj.names", "classes.names", "labels.txt", "_darknet.labels")
_YAML_PARTS = ("train", "val", "valid", "validation", "test")
_MOST = 1.5
"""A part of a side that is larger is no part of it; a little above 1 is rounded."""


def find_yolo(path: str | Path, name: str, *, skip_bad: bool = False) -> FoundBoxes:
    """The images and boxes of `yolo:PATH`.

    PATH is a folder with a data.yaml, or that file: it has the class names and, for each part, a
    folder of images or a list of them. Or the folder holds classes.txt with a name a line, and
    images and labels, in folders of these names, in folders train, valid and test, or side by side.
    The labels of images/a.jpg are in labels/a.txt: a line is the place of a class, and the middle,
    width and height of the box as parts of the image's sides; more numbers are the corners of an
    outline, around which the box is taken. An image without labels is an example without boxes.

    Args:
      path: the folder, or its data.yaml.
      name: of the set.
      skip_bad: leave out images that are not there, and those whose labels cannot be read.

    Raises:
      UserError: there is no such folder, it is laid out otherwise, or labels are damaged.
    """
    place = user_path(path)
    if not place.exists():
        raise UserError(f"{name}: there is no folder {place}")
    top = place if place.is_dir() else place.parent
    described = place if place.is_file() else _yaml_file(top)
    notes: list[str] = []
    if described is not None:
        facts = _yaml(described)
        names, listed = _names(facts, described), _listed(facts, described, name, skip_bad, notes)
    else:
        names, listed = _named(top, name), {}
    listed = listed or _found(top, name)
    listed = checked_parts(listed, name, notes)
    bad: list[UnreadableImage] = []
    parts = {part: _labelled(images, len(names), bad, notes) for part, images in listed.items()}
    if bad:
        notes.append(left_out(name, bad, skip_bad))
    return FoundBoxes(names, parts, str(place.resolve()), tuple(notes), relative=True)


def _yaml_file(top: Path) -> Path | None:
    files = [each for each in visible(top) if each.suffix in (".yaml", ".yml")]
    preferred = [each for each in files if each.stem in ("data", "dataset")] or files
    if len(preferred) > 1:
        raise UserError(
            f"{top} holds several descriptions: {', '.join(each.name for each in preferred)}; "
            f"give the one that is meant, such as yolo:{preferred[0]}"
        )
    return preferred[0] if preferred else None


def _yaml(file: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read ({error})") from None
    except yaml.YAMLError as error:
        raise UserError(f"{file} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise UserError(f"{file} must have `names:` and `train:`")
    return found


def _names(facts: dict[str, Any], file: Path) -> tuple[str, ...]:
    names = facts.get("names")
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            raise UserError(
                f"{file}: `names` must count from 0 without gaps; it has {some(map(repr, names))}"
            )
        names = [names[place] for place in range(len(names))]
    if not isinstance(names, list) or not names:
        raise UserError(
            f"{file} has no `names:`, a list of the classes in the order of their number"
        )
    count = facts.get("nc")
    if isinstance(count, int) and count != len(names):
        raise UserError(f"{file} says `nc: {count}`, and `names` are {len(names)}")
    return _different([str(each) for each in names], file)


def _different(names: Sequence[str], file: Path) -> tuple[str, ...]:
    """Class names without blanks too many.

    Raises:
      UserError: two are called the same, or one is not called at all.
    """
    plain = [" ".join(each.split()) for each in names]
    for place, each in enumerate(plain):
        if not each or each in plain[:place]:
            what = f"the name {each!r}, as class {plain.index(each)} has" if each else "no name"
            raise UserError(f"{file}: class {place} (from 0) has {what}; give each its own")
    return tuple(plain)


def _listed(
    facts: dict[str, Any], file: Path, name: str, skip_bad: bool, notes: list[str]
) -> dict[str, list[Path]]:
    root = file.parent
    if isinstance(given := facts.get("path"), str):
        roots = [each for each in (root / given, Path(given)) if each.is_dir()]
        if not roots:
            notes.append(f"{file.name} says `path: {given}`, which is not there: read is {root}")
        root = (roots or [root])[0]
    parts: dict[str, list[Path]] = {}
    for key in _YAML_PARTS:
        words = facts.get(key)
        for word in words if isinstance(words, list) else [words] if words else []:
            part = parts.setdefault(PARTS[key], [])
            # Exporters write ../train/images of what lies beside the file.
            plain = str(word)
            tries = [root / plain, file.parent / plain, file.parent / plain.removeprefix("../")]
            there = next((each for each in tries if each.exists()), None)
            if there is None:
                raise UserError(f"{file}: `{key}: {word}` is not there ({tries[0]})")
            if there.is_dir():
                part += images_in(there)
                continue
            lines = [line.strip() for line in there.read_text("utf-8-sig", "replace").splitlines()]
            images = [root / line for line in lines if line]
            lacking = [str(each) for each in images if not each.is_file()]
            if lacking:
                notes.append(missing(lacking, there.name, name, skip_bad))
            part += [each for each in images if each.is_file()]
    return parts


def _named(top: Path, name: str) -> tuple[str, ...]:
    for each in _NAME_FILES:
        if (file := top / each).is_file():
            try:
                lines = file.read_text(encoding="utf-8-sig").rstrip().splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise UserError(f"{file} cannot be read as class names: {error}") from None
            # The number of a class is that of its line.
            return _different(lines, file)
    raise UserError(
        f"{name} tells no class names: {top} holds neither data.yaml nor {_NAME_FILES[0]}, which "
        "has a name a line"
    )


def _found(top: Path, name: str) -> dict[str, list[Path]]:
    """Images by part where no description names them."""
    pictures = folder_called(top, "images", "JPEGImages", "imgs") or top
    parts: dict[str, list[Path]] = {}
    for each in visible(pictures):
        if each.is_dir() and (part := PARTS.get(each.name.lower())):
            parts[part] = images_in(folder_called(each, "images") or each)
    if parts:
        return parts
    images = images_in(pictures)
    if not images:
        raise UserError(f"{name}: {pictures} holds no images")
    return {"train": images}


def _label_file(image: Path) -> Path:
    """Where the labels of an image are: in `labels` for the last `images` of its path."""
    folders = list(image.parent.parts)
    for place in range(len(folders) - 1, -1, -1):
        if folders[place].lower() in ("images", "jpegimages", "imgs"):
            other = Path(*folders[:place], "labels", *folders[place + 1 :])
            if other.is_dir():
                return other / f"{image.stem}.txt"
            break
    return image.with_suffix(".txt")


def _labelled(
    images: Sequence[Path], classes: int, bad: list[UnreadableImage], notes: list[str]
) -> list[Objects]:
    found, without = [], []
    for image in images:
        file = _label_file(image)
        if not file.is_file():
            without.append(image.name)
            found.append(objects(image, [], []))
            continue
        try:
            found.append(_read(file, image, classes))
        except UnreadableImage as error:
            bad.append(error)
    if without and len(without) == len(images):
        raise UserError(
            f"none of {len(images):,} images has labels, such as {_label_file(images[0])} for "
            f"{images[0].name}"
        )
    if without:
        notes.append(
            f"{len(without):,} image{'s have' if len(without) != 1 else ' has'} no labels and "
            f"{'are' if len(without) != 1 else 'is'} taken for examples without objects: "
            f"{some(without)}"
        )
    return found


def _read(file: Path, image: Path, classes: int) -> Objects:
    try:
        lines = file.read_text("utf-8-sig", "replace").splitlines()
    except OSError as error:
        raise UnreadableImage(str(file), f"cannot be read ({error.strerror})") from None
    boxes, labels = [], []
    for place, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        where = f"line {place}"
        values = [number(word) for word in words]
        label = values[0]
        if not (label.is_integer() and 0 <= label < classes):
            raise UnreadableImage(
                str(file), f"{where} has the class {words[0]}, and there are {classes} from 0 on"
            )
        if len(values) != 5 and (len(values) < 7 or len(values) % 2 == 0):
            raise UnreadableImage(
                str(file), f"{where} has {len(words)} numbers; a box is a class and four numbers"
            )
        if max((abs(each) for each in values[1:] if math.isfinite(each)), default=0) > _MOST:
            raise UnreadableImage(
                str(file),
                f"{where} has {max(values[1:]):g}, which is no part of an image's side (0 to 1): "
                "are these pixels?",
            )
        labels.append(int(label))
        boxes.append(_sides(values[1:]))
    return objects(image, boxes, labels)


def _sides(values: Sequence[float]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a middle with width and height, or around an outline."""
    if len(values) == 4:
        across, down, width, height = values
        return across - width / 2, down - height / 2, across + width / 2, down + height / 2
    rows, columns = values[1::2], values[::2]
    if any(math.isnan(each) for each in values):
        return math.nan, math.nan, math.nan, math.nan
    return min(columns), min(rows), max(columns), max(rows)
