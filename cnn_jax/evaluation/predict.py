"""The most probable classes of a user's own images."""

from __future__ import annotations

import csv
import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import jax
import numpy as np

from cnn_jax.data.image_files import own_range
from cnn_jax.data.images import UnreadableImage, in_threads
from cnn_jax.data.streamed import View
from cnn_jax.devices.compilation import compiled
from cnn_jax.errors import UserError
from cnn_jax.evaluation.as_taken import view_of
from cnn_jax.evaluation.pictures import content
from cnn_jax.evaluation.predict_masks import predict_masks
from cnn_jax.evaluation.series_to_tell import rows_of
from cnn_jax.evaluation.sounds_to_tell import sounds_of
from cnn_jax.evaluation.videos_to_tell import videos_of
from cnn_jax.restored import Restored
from cnn_jax.tasks import kind_of, make_task, target_kind
from cnn_jax.training.evaluator import make_model


@dataclass(frozen=True)
class Prediction:
    """What a model makes of one image.

    Attributes:
      image: the file.
      classes: names of the most probable classes, the most probable first.
      probabilities: the probability of each.
    """

    WORDS: ClassVar[tuple[str, str]] = ("class", "probability")

    image: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]

    def best(self, count: int) -> Prediction:
        """The same with so many of the most probable classes."""
        return Prediction(self.image, self.classes[:count], self.probabilities[:count])


@dataclass(frozen=True)
class Shares:
    """What part of an image each class has.

    Attributes:
      image: the file.
      classes: names of the classes with the most pixels, that with most first.
      shares: the part of the pixels of each.
    """

    WORDS: ClassVar[tuple[str, str]] = ("class", "share of pixels")

    image: str
    classes: tuple[str, ...]
    shares: tuple[float, ...]

    def best(self, count: int) -> Shares:
        """The same with so many of the classes, without those that have no pixel."""
        there = min(count, sum(share > 0 for share in self.shares))
        return Shares(self.image, self.classes[:there], self.shares[:there])


@dataclass(frozen=True)
class Estimate:
    """The numbers that a model tells of one image.

    Attributes:
      image: the file.
      names: what the numbers are of.
      numbers: in the units of the data.
    """

    WORDS: ClassVar[tuple[str, str]] = ("number", "value")

    image: str
    names: tuple[str, ...]
    numbers: tuple[float, ...]

    def best(self, count: int) -> Estimate:
        """The same: of numbers none is the best."""
        return self


Told = Prediction | Estimate | Shares


def predict(restored: Restored, files: Sequence[Path], top: int = 5) -> list[Told]:
    """Predicts the classes or tags of images, or the numbers that belong to them.

    An image is brought to the size and channels of those that the model was evaluated on, after
    its central square is cut out where `restored.crop` says so; where the run's set streamed, by
    the same code.

    Args:
      restored: the model.
      files: JPEG, PNG, BMP, WebP or TIFF files, also pipes; `-` is standard input. Of series and
        sounds their files; of videos these, or folders of frames.
      top: how many classes are named for each, or all if there are fewer.

    Raises:
      UserError: a file is no image, or top is below 1.
    """
    found, bad = predict_readable(restored, files, top)
    if bad:
        raise cannot_be_read(bad)
    return found


def predict_readable(
    restored: Restored, files: Sequence[Path], top: int = 5, output: Path | None = None
) -> tuple[list[Told], list[UnreadableImage]]:
    """Predicts the classes, tags or numbers of images, and tells which cannot be read.

    Args:
      restored: the model; of series the files are such as it was trained on, and what is told is
        told of each row.
      files: as for `predict`.
      top: as for `predict`.
      output: folder of what is written of each image, by a model that tells what is where in it.

    Raises:
      UserError: top is below 1, or nothing is written of what the model tells.
    """
    if top < 1:
        raise UserError(f"--top {top} must be at least 1")
    if target_kind(restored.recipe) == "mask":
        masks, unread = predict_masks(restored, files, output)
        return [shares_told(restored, name, shares, top) for name, shares in masks], unread
    apply, found, bad = Answers(restored), list[Told](), list[UnreadableImage]()
    # A file of series holds many of them.
    at_once = 1 if restored.spec.input_kind == "series" else _BATCH
    for start in range(0, len(files), at_once):
        read = read_inputs(restored, files[start : start + at_once])
        bad += read.bad
        found += told_of(restored, read.names, read.raw, top, apply)
    return found, bad


class ReadInputs(NamedTuple):
    """What files hold, as a model takes it.

    Attributes:
      names: of n examples.
      raw: (n, ...), as evaluation has them; nothing where there are none.
      bad: files that cannot be read.
    """

    names: list[str]
    raw: np.ndarray
    bad: list[UnreadableImage]


def read_inputs(restored: Restored, files: Sequence[Path]) -> ReadInputs:
    """The images, series, sounds or videos of files, as a model takes them.

    Args:
      restored: the model.
      files: as for `predict`; of series a single one.
    """
    kind, spec = restored.spec.input_kind, restored.spec
    if kind == "series":
        (file,) = files
        try:
            return ReadInputs(*rows_of(file, spec, restored.recipe.data), [])
        except UnreadableImage as error:
            return ReadInputs([], _NOTHING, [error])
    if kind == "sound":
        return ReadInputs(*sounds_of(files, spec))
    if kind == "clip":
        return ReadInputs(*videos_of(restored.recipe, files, spec))
    view = view_of(restored)
    own = restored.recipe.data.grey_range is None and view.dtype == "uint8"
    read = in_threads(functools.partial(read_picture, view, own), [(file,) for file in files])
    names, pixels, bad = list[str](), list[np.ndarray](), list[UnreadableImage]()
    for file, each in zip(files, read, strict=True):
        if isinstance(each, UnreadableImage):
            bad.append(each)
        else:
            names.append(str(file))
            pixels.append(each)
    return ReadInputs(names, np.stack(pixels) if pixels else _NOTHING, bad)


_NOTHING = np.zeros(0)


def shares_told(restored: Restored, image: str, shares: np.ndarray, top: int) -> Shares:
    """What part (k,) of an image each class has, with so many of the largest classes."""
    best = np.argsort(-shares, kind="stable")[:top]
    names = restored.spec.class_names
    return Shares(
        image, tuple(names[place] for place in best), tuple(float(shares[place]) for place in best)
    )


def told_of(
    restored: Restored,
    names: Sequence[str],
    inputs: np.ndarray,
    top: int = 5,
    apply: Answers | None = None,
) -> list[Told]:
    """What a model makes of examples that are held in memory.

    Args:
      restored: the model.
      names: of the examples.
      inputs: raw (n, ...), as in the data that it was trained on.
      top: how many classes are named for each, or all if there are fewer.
      apply: the model's answers, by default compiled anew.
    """
    apply, found = apply or Answers(restored), list[Told]()
    for start in range(0, len(names), _BATCH):
        rows = apply(inputs[start : start + _BATCH])
        part = zip(names[start : start + _BATCH], rows, strict=True)
        found += [told(restored, name, row, top) for name, row in part]
    return found


def cannot_be_read(bad: Sequence[UnreadableImage]) -> UserError:
    """What is said of images that cannot be read."""
    if len(bad) == 1:
        return bad[0]
    lines = "\n  ".join(map(str, bad))
    return UserError(f"{len(bad):,} images cannot be read:\n  {lines}")


def write_csv(file: Path, predictions: Sequence[Told], class_names: Sequence[str]) -> None:
    """Writes a row an image: its file, the most probable class, and the probability of each; or
    its file and the numbers.

    Args:
      file: what is written.
      predictions: with the probabilities of all classes.
      class_names: of the columns, in their order.

    Raises:
      UserError: the file cannot be written.
    """
    try:
        # A name of a file may be no UTF-8; its bytes are written as they are.
        with file.open("w", newline="", encoding="utf-8", errors="surrogateescape") as out:
            rows = csv.writer(out)
            if all(isinstance(each, Estimate) for each in predictions):
                rows.writerow(["file", *class_names])
            else:
                rows.writerow(["file", "predicted", *class_names])
            for each in predictions:
                if isinstance(each, Estimate):
                    rows.writerow([each.image, *each.numbers])
                    continue
                values = each.shares if isinstance(each, Shares) else each.probabilities
                of = dict(zip(each.classes, values, strict=True))
                rows.writerow([each.image, each.classes[0], *(of[name] for name in class_names)])
    except OSError as error:
        raise UserError(f"--csv {file} cannot be written: {error.strerror or error}") from None


_BATCH = 128


def read_picture(view: View, own: bool, file: Path) -> np.ndarray | UnreadableImage:
    """The pixels (h, w, c) of an image, as evaluation has them.

    Args:
      view: how it is prepared.
      own: whether 16-bit grey is read by its own values, since none was learnt from.
      file: the image, or what can be read as one.
    """
    try:
        if own:
            view = dataclasses.replace(view, grey_range=own_range(file))
        return view.image(content(file), str(file), None)
    except UnreadableImage as error:
        return error


def told(restored: Restored, image: str, row: np.ndarray, top: int) -> Told:
    """What a model tells of an image, from its answers (k,), with so many of the best classes."""
    names = restored.spec.class_names
    if kind_of(restored.recipe).NUMBERS:
        return Estimate(image, names, tuple(map(float, row)))
    best = np.argsort(-row, kind="stable")[:top]
    return Prediction(
        image,
        tuple(names[place] for place in best),
        tuple(float(row[place]) for place in best),
    )


_MOST_PROGRAMS = 16


class Answers:
    """What is told (n, k) of raw images (n, h, w, c) or series (n, t, c), compiled by shape.

    Of shapes the last are kept: nearly all are of one, but series and sounds may have any length.
    """

    def __init__(self, restored: Restored) -> None:
        task = make_task(restored.recipe, restored.spec)
        model = make_model(restored.recipe, task)

        def told(variables: Any, images: Any) -> Any:
            def apply(inputs: Any) -> Any:
                return model.apply(variables, inputs, train=False)

            return task.answers(task.infer(apply, task.prepared(images)))

        self._restored, self._told = restored, told
        self._programs: dict[tuple[int, ...], Any] = {}

    def __call__(self, images: np.ndarray) -> Any:
        """What is told (n, k) of raw images (n, h, w, c), or a tree of arrays (n, ...)."""
        given = self._restored.variables, images
        if images.shape not in self._programs:
            program = compiled(self._restored.mesh, jax.jit(self._told), *given)
            while len(self._programs) >= _MOST_PROGRAMS:
                del self._programs[next(iter(self._programs))]
            self._programs[images.shape] = program
        return jax.tree.map(np.asarray, self._programs[images.shape](*given))
