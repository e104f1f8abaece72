"""Boxes in the XML files of Pascal VOC, one an image."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from cnn_jax.data.boxes import Classes, FoundBoxes, Objects, number, objects, some
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

_ZERO_BASED = 0.02
"""From such a share of boxes that begin at 0 on, pixels are counted from 0, and not from 1."""


class _Object(NamedTuple):
    name: str
    box: tuple[float, float, float, float]
    difficult: bool


class _Annotation(NamedTuple):
    file: Path
    filename: str
    size: tuple[int, int] | None
    found: list[_Object]


class _Pair(NamedTuple):
    image: Path
    told: _Annotation


def find_voc(path: str | Path, name: str, *, skip_bad: bool = False) -> FoundBoxes:
    """The images and boxes of `voc:PATH`.

    PATH holds Annotations, JPEGImages and, for its parts, lists ImageSets/Main/train.txt, val.txt,
    trainval.txt and test.txt; or images with an XML file beside each; or folders train, valid and
    test of either kind. An image without XML is left out, one whose XML has no object is an example
    without boxes. Pixels are counted from 1, as VOC does, and the last one belongs to the box.

    Args:
      path: the folder.
      name: of the set.
      skip_bad: leave out XML files that cannot be read, and images that are not there.

    Raises:
      UserError: there is no such folder, it is laid out otherwise, or an XML file is damaged.
    """
    top = user_path(path)
    if not top.is_dir():
        raise UserError(f"{name}: there is no folder {top}")
    notes: list[str] = []
    pairs = checked_parts(_parts(top, name, skip_bad, notes), name, notes)
    classes = Classes()
    every = [pair for part in pairs.values() for pair in part]
    keys = {id(each): classes.add(each.name) for pair in every for each in pair.told.found}
    names, places, renamed = classes.names()
    if not names:
        raise UserError(f"{name} has no objects: none of its {len(every):,} XML files tells of one")
    shift = _shift(every, notes)

    def of(pair: _Pair) -> Objects:
        found = pair.told.found
        return objects(
            pair.image,
            [_from_zero(each.box, shift) for each in found],
            [places[keys[id(each)]] for each in found],
            difficult=[each.difficult for each in found],
            size=pair.told.size,
        )

    parts = {part: [of(pair) for pair in listed] for part, listed in pairs.items()}
    return FoundBoxes(names, parts, str(top.resolve()), (*notes, *renamed))


def _from_zero(
    box: tuple[float, float, float, float], shift: float
) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    if right <= left or bottom <= top:
        return box  # faulty, and to be found so
    return left - shift, top - shift, right, bottom


def _shift(every: list[_Pair], notes: list[str]) -> float:
    boxes = [each.box for pair in every for each in pair.told.found]
    zeros = sum(0 in box[:2] for box in boxes)
    if zeros > _ZERO_BASED * len(boxes):
        notes.append(f"{zeros:,} boxes begin at 0: pixels are counted from 0, and not from 1")
        return 0.0
    return 1.0


def _parts(top: Path, name: str, skip_bad: bool, notes: list[str]) -> dict[str, list[_Pair]]:
    if (sets := folder_called(top, "ImageSets")) is not None:
        lists = _lists(folder_called(sets, "Main") or sets)
        if lists:
            return _listed(top, lists, name, skip_bad, notes)
    folders = {
        PARTS[each.name.lower()]: each
        for each in visible(top)
        if each.is_dir() and each.name.lower() in PARTS
    }
    if folders:
        return {part: _all_of(each, name, skip_bad, notes) for part, each in folders.items()}
    return {"train": _all_of(top, name, skip_bad, notes)}


def _lists(folder: Path) -> dict[str, Path]:
    """The lists of names by part; those of single classes are others."""
    files = {each.stem.lower(): each for each in visible(folder) if each.suffix == ".txt"}
    if "trainval" in files and "train" not in files:
        files.pop("val", None)
    else:
        files.pop("trainval", None)
    return {PARTS[stem]: file for stem, file in files.items() if stem in PARTS}


class _Folder:
    """The images and XML files of a folder by the stem of their names."""

    def __init__(self, top: Path, name: str) -> None:
        xml = folder_called(top, "Annotations", "annotation", "xmls", "xml", "labels") or top
        xml = folder_called(xml, "xmls", "xml") or xml
        pictures = folder_called(top, "JPEGImages", "images", "image", "imgs", "img") or top
        self.xml = {each.stem: each for each in visible(xml) if each.suffix.lower() == ".xml"}
        self.images: dict[str, list[Path]] = {}
        for each in images_in(pictures):
            self.images.setdefault(each.stem, []).append(each)
        if not self.xml:
            inner = [each for each in visible(top) if each.is_dir() and _holds_voc(each)]
            more = f"; did you mean voc:{inner[0]}?" if inner else ""
            raise UserError(f"{name}: {xml} holds no XML files{more}")

    def image(self, told: _Annotation) -> Path | None:
        """The image of an XML file: of its own name, or of that which it tells."""
        there = self.images.get(told.file.stem) or self.images.get(Path(told.filename).stem) or []
        named = [each for each in there if each.name == told.filename]
        return next(iter(named or there), None)


def _holds_voc(folder: Path) -> bool:
    return folder_called(folder, "Annotations") is not None


def _all_of(top: Path, name: str, skip_bad: bool, notes: list[str]) -> list[_Pair]:
    folder = _Folder(top, name)
    pairs = _paired(folder, list(folder.xml.values()), str(top), name, skip_bad, notes)
    used = {pair.image for pair in pairs}
    alone = [each.name for found in folder.images.values() for each in found if each not in used]
    if alone:
        notes.append(
            f"left out {len(alone):,} image{'s' * (len(alone) != 1)} of {top.name} without an XML "
            f"file (one without objects has an XML file that tells of none): {some(sorted(alone))}"
        )
    return pairs


def _listed(
    top: Path, lists: dict[str, Path], name: str, skip_bad: bool, notes: list[str]
) -> dict[str, list[_Pair]]:
    folder = _Folder(top, name)
    parts, part_of = {}, dict[str, str]()
    for part, file in lists.items():
        try:
            lines = [line.strip() for line in file.read_text("utf-8-sig", "replace").splitlines()]
        except OSError as error:
            raise UserError(f"{file} cannot be read ({error.strerror})") from None
        stems = list(dict.fromkeys(line for line in lines if line))
        if not stems:
            raise UserError(f"{file} lists no images; fill it, or remove it")
        # A list may have a file's whole name, or the sign of a class behind it.
        known = [_stem(each, folder.xml) for each in stems]
        lacking = [stem for stem, found in zip(stems, known, strict=True) if found is None]
        if lacking:
            notes.append(missing(lacking, f"{file.name} without an XML file, or", name, skip_bad))
        files = [folder.xml[each] for each in known if each is not None]
        parts[part] = _paired(folder, files, file.name, name, skip_bad, notes)
        for stem in [each for each in known if each is not None]:
            if part_of.setdefault(stem, part) != part:
                raise UserError(
                    f"{name}: {stem} is in the lists of both {part_of[stem]} and {part}; "
                    "an image belongs to one part"
                )
    if others := sorted(set(folder.xml) - set(part_of)):
        notes.append(f"passed over {len(others):,} XML files that no list names: {some(others)}")
    return parts


def _stem(line: str, there: dict[str, Path]) -> str | None:
    return next((each for each in (line, Path(line).stem, line.split()[0]) if each in there), None)


def _paired(
    folder: _Folder, files: list[Path], where: str, name: str, skip_bad: bool, notes: list[str]
) -> list[_Pair]:
    bad, lacking, pairs = [], [], []
    for file in files:
        try:
            told = read_annotation(file)
        except UnreadableImage as error:
            bad.append(error)
            continue
        image = folder.image(told)
        if image is None:
            lacking.append(told.filename or file.stem)
        else:
            pairs.append(_Pair(image, told))
    if bad:
        notes.append(left_out(name, bad, skip_bad))
    if lacking:
        notes.append(missing(lacking, where, name, skip_bad))
    twice = [file.name for file, count in Counter(p.image for p in pairs).items() if count > 1]
    if twice:
        raise UserError(f"{name}: several XML files tell of the image {twice[0]}; keep one")
    return pairs


def read_annotation(file: Path) -> _Annotation:
    """What an XML file tells.

    Raises:
      UnreadableImage: it is no XML, or an object in it has no name; the place is told.
    """
    try:
        root = ElementTree.parse(file).getroot()
    except ElementTree.ParseError as error:
        line, column = error.position
        raise UnreadableImage(
            str(file), f"is no XML at line {line}, column {column + 1} ({error.msg.split(':')[0]})"
        ) from None
    except (OSError, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        raise UnreadableImage(str(file), f"cannot be read ({error})") from None
    if root.tag != "annotation" and not any(root.iter("object")):
        raise UnreadableImage(
            str(file), f"is no annotation of VOC: it holds <{root.tag}>, and not <annotation>"
        )
    found = []
    for place, each in enumerate(root.findall("object"), 1):
        called = " ".join((each.findtext("name") or "").split())
        if not called:
            raise UnreadableImage(str(file), f"has no name for its object {place}")
        sides = [number(each.findtext(f"bndbox/{side}")) for side in _SIDES]
        difficult = (each.findtext("difficult") or "").strip() == "1"
        box = (sides[0], sides[1], sides[2], sides[3])
        found.append(_Object(each.findtext("name") or "", box, difficult))
    size = number(root.findtext("size/height")), number(root.findtext("size/width"))
    told = None
    if all(math.isfinite(side) and side >= 1 for side in size):
        told = int(size[0]), int(size[1])
    return _Annotation(file, (root.findtext("filename") or "").strip(), told, found)


_SIDES = ("xmin", "ymin", "xmax", "ymax")
