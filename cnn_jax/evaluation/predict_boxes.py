"""What is where in a user's own pictures: a COCO JSON, and the pictures with boxes drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from cnn_jax.data.fitting import content as held
from cnn_jax.data.framing import framed
from cnn_jax.data.images import UnreadableImage, decode, in_threads
from cnn_jax.errors import UserError
from cnn_jax.evaluation.drawn_boxes import drawn
from cnn_jax.evaluation.pictures import STANDARD_INPUT, check_apart, content
from cnn_jax.evaluation.predict import Answers
from cnn_jax.restored import Restored

_BATCH = 8

SCORE = 0.3
"""Boxes of a lower score are not drawn, where none has been chosen on the validation part."""


class Placed(NamedTuple):
    """What was found in pictures.

    Attributes:
      rows: what is listed, one or more rows a picture.
      written: says what was written where.
      bad: pictures that cannot be read.
    """

    rows: list[dict[str, Any]]
    written: list[str]
    bad: list[UnreadableImage]


class Picture(NamedTuple):
    """A picture that objects are looked for in.

    Attributes:
      file: it was read from.
      encoded: what that holds.
      pixels: (h, w, 3) as the detector is given it.
      size: height and width of the file, upright.
    """

    file: Path
    encoded: bytes
    pixels: np.ndarray
    size: tuple[int, int]


class Found(NamedTuple):
    """What was found in a picture, the surest first.

    Attributes:
      picture: it.
      boxes: (k, 4) top, left, bottom, right in pixels of the file.
      scores: (k,).
      classes: (k,) places among the names.
    """

    picture: Picture
    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


def predict_boxes(restored: Restored, files: Sequence[Path], folder: Path, top: int) -> Placed:
    """Finds objects in pictures, and writes what is found to a folder.

    It gets `detections.json`, in the form of COCO with a score at each annotation and boxes in
    pixels of the files, and each picture with the boxes drawn that reach the score which was the
    best on the validation part.

    Args:
      restored: a detector.
      files: JPEG, PNG, BMP, WebP or TIFF files, also pipes; `-` is standard input.
      folder: is made if it is not there.
      top: how many of the surest boxes are listed for a picture.

    Raises:
      UserError: the folder cannot be written to, or the pictures lie there.
    """
    check_apart(files, folder)
    apply, names = Answers(restored), restored.spec.class_names
    least = least_score(restored)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    bad: list[UnreadableImage] = []
    try:
        for start in range(0, len(files), _BATCH):
            batch = in_threads(
                lambda file: read_framed(restored, file),
                [(each,) for each in files[start:][:_BATCH]],
            )
            bad += [each for each in batch if isinstance(each, UnreadableImage)]
            read = [each for each in batch if isinstance(each, Picture)]
            if not read:
                continue
            folder.mkdir(parents=True, exist_ok=True)
            for each in found_in(restored, apply, read, full=start > 0):
                images.append(_image(each.picture, len(images) + 1))
                annotations += _annotations(images[-1]["id"], each, annotations)
                rows += rows_of(each, names, top)
                with_boxes(each, names, least).save(
                    folder / _name(each.picture.file, images), quality=90
                )
        if not images:
            return Placed([], [], bad)  # what lies there of before is left as it is
        told = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": i, "name": name} for i, name in enumerate(names, 1)],
        }
        (folder / "detections.json").write_text(json.dumps(told))
    except OSError as error:
        raise UserError(f"--output {folder} cannot be written: {error.strerror or error}") from None
    count = f"{len(annotations):,} boxes in {len(images):,} picture{'s' * (len(images) != 1)}"
    written = [
        f"{folder / 'detections.json'}: {count}",
        f"{folder}: the pictures, with boxes from a score of {least:.2f} on",
    ]
    return Placed(rows, written, bad)


def least_score(restored: Restored) -> float:
    """The score from which on boxes are drawn."""
    return float((restored.chosen or {}).get("score", SCORE))


def read_framed(restored: Restored, file: Path) -> Picture | UnreadableImage:
    """A picture as a detector is given it."""
    height, width, channels = restored.spec.evaluated_shape
    try:
        encoded = content(file)
        fit = restored.recipe.data.fit
        return Picture(file, encoded, *framed(encoded, str(file), (height, width, channels), fit))
    except UnreadableImage as error:
        return error


def found_in(
    restored: Restored, apply: Answers, read: Sequence[Picture], *, full: bool = False
) -> list[Found]:
    """What a detector finds in pictures.

    Args:
      restored: the detector.
      apply: its answers.
      read: pictures.
      full: fill up to a whole batch, so that it need not be compiled again.
    """
    pixels = np.stack([each.pixels for each in read])
    if full and len(read) < _BATCH:
        pixels = np.concatenate([pixels, np.repeat(pixels[:1], _BATCH - len(read), axis=0)])
    told = apply(pixels)
    found = []
    for place, each in enumerate(read):
        there = told["classes"][place] >= 0
        size = np.array(each.size, np.int32)
        inner = held(size, pixels.shape[1], pixels.shape[2], restored.recipe.data.fit)
        boxes = told["boxes"][place][there] * np.tile(size / inner, 2)
        boxes = np.clip(boxes, 0, np.tile(size, 2))
        # What lies beside the picture, where it is filled up, is no box in it.
        inside = (np.round(boxes[:, 2:] - boxes[:, :2], 2) > 0).all(axis=1)
        scores, classes = told["scores"][place][there], told["classes"][place][there]
        found.append(Found(each, boxes[inside], scores[inside], classes[inside]))
    return found


def rows_of(found: Found, names: Sequence[str], top: int) -> list[dict[str, Any]]:
    """The surest boxes of a picture as they are listed, in whole pixels; a row says it of none."""
    rows: list[dict[str, Any]] = [
        {
            "image": str(found.picture.file),
            "class": names[label],
            "score": round(float(score), 4),
            **dict(zip(_SIDES, (round(side) for side in _sides(box)), strict=True)),
        }
        for box, score, label in zip(
            found.boxes[:top], found.scores[:top], found.classes[:top], strict=True
        )
    ]
    return rows or [{"image": str(found.picture.file), "class": "nothing"}]


def with_boxes(found: Found, names: Sequence[str], least: float) -> Image.Image:
    """A picture at its own size with the boxes drawn that reach a score."""
    sure = found.scores >= least
    classes = found.classes[sure]
    titles = [
        f"{names[label]} {score:.2f}"
        for label, score in zip(classes, found.scores[sure], strict=True)
    ]
    whole = Image.fromarray(decode(found.picture.encoded, channels=3))
    return drawn(whole, found.boxes[sure], classes.tolist(), titles)


def _image(each: Picture, number: int) -> dict[str, Any]:
    height, width = each.size
    name = str(each.file).encode(errors="backslashreplace").decode()
    return {"id": number, "file_name": name, "height": height, "width": width}


def _annotations(image: int, found: Found, before: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {
            "id": len(before) + place,
            "image_id": image,
            "category_id": int(label) + 1,
            "bbox": [round(each, 2) for each in _sides(box)],
            "area": round(float(np.prod(box[2:] - box[:2])), 2),
            "iscrowd": 0,
            "score": round(float(score), 5),
        }
        for place, (box, score, label) in enumerate(
            zip(found.boxes, found.scores, found.classes, strict=True), 1
        )
    ]


_SIDES = ("left", "top", "width", "height")


def _sides(box: np.ndarray) -> tuple[float, float, float, float]:
    top, left, bottom, right = map(float, box)
    return left, top, right - left, bottom - top


def _name(file: Path, images: Sequence[dict[str, Any]]) -> str:
    """What a picture is called in the folder; of several of one name the later have a number."""
    stem = "standard_input" if file == STANDARD_INPUT else file.stem
    stem = stem.encode(errors="replace").decode()
    again = sum(Path(each["file_name"]).stem == file.stem for each in images[:-1])
    return f"{stem}-{again + 1}.jpg" if again else f"{stem}.jpg"
