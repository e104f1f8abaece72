"""Boxes in the JSON files of COCO, one a part."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnn_jax.data.boxes import FoundBoxes, Objects, number, objects, some
from cnn_jax.data.image_folders import PARTS, checked_parts, folder_called, missing, visible
from cnn_jax.errors import UserError
from cnn_jax.user_path import user_path

_PART = re.compile(r"(?<![a-z])(train|valid(?:ation)?|val|test)(?![a-z])", re.IGNORECASE)
_OTHER_KINDS = ("captions", "person_keypoints", "panoptic", "image_info", "stuff")
_LOOKED_AT = 20


def find_coco(path: str | Path, name: str, *, skip_bad: bool = False) -> FoundBoxes:
    """The images and boxes of `coco:PATH`.

    PATH is a JSON file; what is called the same but for train, val or test beside it are the other
    parts. Or it is a folder that holds such files, itself, in annotations, or in folders train,
    valid and test. Images are looked for beside the JSON file and in the folders of images around
    it. Classes are the categories in the order of their numbers, which may have gaps.

    Args:
      path: the file or the folder.
      name: of the set.
      skip_bad: leave out images that are not there.

    Raises:
      UserError: there is no such file, it is no COCO JSON, or numbers in it contradict each other.
    """
    place = user_path(path)
    if not place.exists():
        raise UserError(f"{name}: there is no file or folder {place}")
    notes: list[str] = []
    files = _parts(place, name, notes)
    read = {part: _read(file) for part, file in files.items()}
    names = _categories(read, files, notes)
    top = place if place.is_dir() else place.parent
    parts = {
        part: _images(read[part], files[part], top, names, name, skip_bad, notes) for part in files
    }
    return FoundBoxes(
        tuple(names.values()), checked_parts(parts, name, notes), str(place.resolve()), tuple(notes)
    )


def _parts(place: Path, name: str, notes: list[str]) -> dict[str, Path]:
    """The JSON file of each part."""
    if place.is_file():
        return _beside(place, notes)
    folder = folder_called(place, "annotations") or place
    found = {file: _part(file.stem) for file in _json_files(folder)}
    if not found:
        inner = {
            PARTS[each.name.lower()]: each
            for each in visible(place)
            if each.is_dir() and each.name.lower() in PARTS
        }
        found = {file: part for part, each in inner.items() for file in _json_files(each)}
    parts: dict[str, Path] = {}
    for part in dict.fromkeys(found.values()):
        files = [file for file in found if found[file] == part]
        instances = [file for file in files if file.stem.startswith("instances")]
        if len(files) > 1 and len(instances) != 1:
            raise UserError(
                f"{name} has several JSON files for {part}: "
                f"{', '.join(file.name for file in files)}; give one of them, such as "
                f"coco:{files[0]}"
            )
        parts[part] = (instances or files)[0]
        if len(files) > 1:
            others = [file.name for file in files if file != parts[part]]
            notes.append(f"read {parts[part].name}, not {some(others)}")
    if not parts:
        raise UserError(f"{name}: {folder} holds no JSON files of boxes")
    return parts


def _json_files(folder: Path) -> list[Path]:
    return [
        each
        for each in visible(folder)
        if each.suffix.lower() == ".json" and not each.stem.startswith(_OTHER_KINDS)
    ]


def _part(stem: str) -> str:
    found = _PART.search(re.sub(r"\d+$", "", stem).replace("_", " "))
    return PARTS[found[1].lower()] if found else "train"


def _beside(file: Path, notes: list[str]) -> dict[str, Path]:
    """A file of train and those of the other parts, which are called the same but for the part."""
    if not _PART.search(re.sub(r"\d+$", "", file.stem).replace("_", " ")):
        return {"train": file}
    if (own := _part(file.stem)) != "train":
        notes.append(f"{file.name} is learnt from, though it is called {own}")
        return {"train": file}

    def alike(stem: str) -> str:
        plain = re.sub(r"\d+$", "", stem).replace("_", " ")
        return _PART.sub("*", plain).lower()

    parts = {"train": file}
    for each in _json_files(file.parent):
        if each != file and alike(each.stem) == alike(file.stem):
            parts.setdefault(_part(each.stem), each)
    if len(parts) > 1:
        others = ", ".join(f"{part} is {each.name}" for part, each in parts.items() if each != file)
        notes.append(f"beside {file.name}, {others}")
    return parts


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror})") from None
    except json.JSONDecodeError as error:
        raise UserError(
            f"{file} is no JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise UserError(f"{file} is no COCO JSON, which has images, annotations and categories")
    for key in ("images", "annotations", "categories"):
        rows = found.get(key)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise UserError(f"{file} is no COCO JSON: `{key}` is no list of objects in it")
    for row in found["annotations"]:
        for key in ("id", "image_id", "category_id"):
            if isinstance(row.get(key), list | dict):
                raise UserError(
                    f"{file}: an annotation has the `{key}` {row[key]!r}, which is no number"
                )
    return found


def _categories(
    read: dict[str, dict[str, Any]], files: dict[str, Path], notes: list[str]
) -> dict[int, str]:
    """The class of each category's number, in the order of the numbers."""
    names: dict[int, str] = {}
    used = set()
    for part, found in read.items():
        for row in found["categories"]:
            key, called = row.get("id"), row.get("name")
            if not isinstance(key, int) or not isinstance(called, str):
                raise UserError(
                    f"{files[part]}: the category {row} has no number `id` or no `name`"
                )
            plain = " ".join(called.split())
            if names.setdefault(key, plain) != plain:
                raise UserError(
                    f"{files[part]}: the category {key} is both {names[key]!r} and {plain!r}"
                )
        used |= {row.get("category_id") for row in found["annotations"]}
    if not names:
        raise UserError(f"{files['train']} has no categories")
    twice = [called for called, count in Counter(names.values()).items() if count > 1]
    if twice:
        numbers = [key for key, called in names.items() if called == twice[0]]
        raise UserError(
            f"the categories {', '.join(map(str, numbers))} are all called {twice[0]!r}; give each "
            "a name of its own"
        )
    # Exporters put a heading of all classes first, of which nothing is.
    heading = [
        key
        for key, called in names.items()
        if key not in used and key == min(names) and _is_heading(called, read)
    ]
    for key in heading:
        notes.append(f"passed over the category {names.pop(key)!r}, which the others belong to")
    return dict(sorted(names.items()))


def _is_heading(called: str, read: dict[str, dict[str, Any]]) -> bool:
    rows = [row for found in read.values() for row in found["categories"]]
    others = [row for row in rows if row["name"] != called]
    return bool(others) and all(row.get("supercategory") == called for row in others)


def _images(
    found: dict[str, Any],
    file: Path,
    top: Path,
    names: dict[int, str],
    name: str,
    skip_bad: bool,
    notes: list[str],
) -> list[Objects]:
    rows: dict[Any, dict[str, Any]] = {}
    for row in found["images"]:
        key, called = row.get("id"), row.get("file_name")
        if not isinstance(key, int | str) or not isinstance(called, str) or not called:
            raise UserError(f"{file}: the image {row} has no `id` or no `file_name`")
        if key in rows and rows[key]["file_name"] != called:
            raise UserError(
                f"{file}: the images {rows[key]['file_name']} and {called} have the same id {key}; "
                "which boxes belong to which cannot be told"
            )
        rows[key] = row
    twice = len(found["images"]) - len(rows)
    if twice:
        notes.append(f"{file.name} lists {twice:,} image{'s' * (twice != 1)} twice")
    counts = Counter(row["file_name"] for row in rows.values())
    if several := [called for called, count in counts.items() if count > 1]:
        notes.append(
            f"{file.name} has {len(several):,} files under several ids, each of which is an "
            f"example: {', '.join(several[:3])}{', ...' * (len(several) > 3)}"
        )
    boxes = _annotations(found["annotations"], rows, file, names, notes)
    folder = _image_folder([row["file_name"] for row in rows.values()], file, top)
    images, lacking = [], []
    places = {key: place for place, key in enumerate(names)}
    for key, row in rows.items():
        path = folder / row["file_name"]
        if not path.is_file():
            lacking.append(row["file_name"])
            continue
        images.append(_one(path, row, boxes.get(key, []), places))
    if lacking:
        notes.append(missing(lacking, file.name, name, skip_bad))
    return images


def _annotations(
    annotations: Sequence[dict[str, Any]],
    rows: dict[Any, dict[str, Any]],
    file: Path,
    names: dict[int, str],
    notes: list[str],
) -> dict[Any, list[dict[str, Any]]]:
    """The annotations of each image."""
    boxes: dict[Any, list[dict[str, Any]]] = {}
    known: dict[Any, dict[str, Any]] = {}
    strangers, again, texts = [], 0, 0
    for row in annotations:
        key = row.get("id")
        if key is not None and known.get(key) == row:
            again += 1
            continue
        known[key] = row
        if row.get("image_id") not in rows:
            strangers.append(str(row.get("image_id")))
            continue
        if row.get("category_id") not in names:
            there = some(map(str, names))
            raise UserError(
                f"{file}: the annotation {key} is of the category {row.get('category_id')!r}, and "
                f"there are {there}"
            )
        box = row.get("bbox")
        if not isinstance(box, list) or len(box) != 4:
            raise UserError(
                f"{file}: the annotation {key} has no `bbox` of four numbers but {box!r}"
            )
        texts += any(isinstance(each, str) for each in box)
        boxes.setdefault(row["image_id"], []).append(row)
    shared = sum(1 for row in annotations if row.get("id") is not None) - len(
        {row["id"] for row in annotations if row.get("id") is not None}
    )
    if again:
        notes.append(f"{file.name} lists {again:,} annotations twice")
    if shared - again > 0:
        notes.append(
            f"{shared - again:,} annotations of {file.name} have the id of another; all are taken"
        )
    if texts:
        notes.append(f"{texts:,} boxes of {file.name} are written as texts, and read as numbers")
    if strangers:
        notes.append(
            f"passed over {len(strangers):,} annotations of {file.name} of images that it does not "
            f"list: {some(dict.fromkeys(strangers))}"
        )
    return boxes


def _one(
    path: Path, row: dict[str, Any], boxes: Sequence[dict[str, Any]], places: dict[int, int]
) -> Objects:
    sides = []
    for each in boxes:
        left, top, width, height = map(number, each["bbox"])
        sides.append((left, top, left + width, top + height))
    size = number(row.get("height")), number(row.get("width"))
    told = None
    if all(math.isfinite(side) and side >= 1 for side in size):
        told = int(size[0]), int(size[1])
    return objects(
        path,
        sides,
        [places[each["category_id"]] for each in boxes],
        crowd=[_is_set(each.get("iscrowd")) for each in boxes],
        difficult=[_is_set(each.get("ignore")) for each in boxes],
        areas=[number(each.get("area")) for each in boxes],
        size=told,
    )


def _is_set(flag: Any) -> bool:
    """Whether a flag says yes; it may be written as a text."""
    if isinstance(flag, str):
        return flag.strip().lower() not in ("", "0", "0.0", "false", "no")
    return bool(flag)


def _image_folder(files: Sequence[str], file: Path, top: Path) -> Path:
    """The folder that has the most of the first images."""
    first = files[:_LOOKED_AT]
    roots = dict.fromkeys([file.parent, top, file.parent.parent])
    folders: dict[Path, None] = {}
    for root in roots:
        folders[root] = None
        for each in visible(root):
            if each.is_dir():
                folders[each] = None
                if each.name.lower() in ("images", "jpegimages", "imgs", "data"):
                    folders |= dict.fromkeys(inner for inner in visible(each) if inner.is_dir())
    return max(folders, key=lambda each: sum((each / name).is_file() for name in first))
