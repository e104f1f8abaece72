"""A trained model in Python: the model of a run folder, to be applied to pictures and arrays."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from cnn_jax import models
from cnn_jax.data.depth import WHOLE
from cnn_jax.data.images import UnreadableImage, decode
from cnn_jax.errors import UserError, unknown
from cnn_jax.evaluation.as_taken import in_shape, view_of
from cnn_jax.evaluation.given_in_python import raw_series, raw_texts
from cnn_jax.evaluation.predict import Answers, read_picture, told
from cnn_jax.evaluation.predict_masks import MasksTold
from cnn_jax.restored import Restored, restore
from cnn_jax.state import Variables
from cnn_jax.tasks import make_task, target_kind
from cnn_jax.training.evaluator import make_model
from cnn_jax.user_path import user_path

Picture = np.ndarray | jax.Array | Image.Image | str | os.PathLike[str]
"""An array (h, w) or (h, w, c), an image of Pillow, or a JPEG, PNG, BMP or WebP file."""
Pictures = Picture | Sequence[Picture]
"""One, several, or an array (n, h, w, c). For a model of series arrays (t, c), several, or a file;
for a model of texts a text, or a list of texts."""

_BATCH = 128


def load(
    run: str | os.PathLike[str],
    checkpoint: str | int = "best",
    code: Sequence[str | os.PathLike[str]] = (),
) -> TrainedModel:
    """The model of a run.

    Args:
      run: a run folder; ~ is the home folder.
      checkpoint: `best`, `latest` or a step; without validation the best is the latest.
      code: files with your own code, to use if it has changed, moved or been deleted since the run
        began. They are imported, which runs them.

    Raises:
      UserError: this is no run folder, it has no such checkpoint, or its own code is not found.
    """
    return TrainedModel(restore(user_path(run), str(checkpoint), [user_path(f) for f in code]))


class TrainedModel:
    """A model as it was at a checkpoint.

    Args:
      restored: the model as read from the run folder.

    Attributes:
      recipe: how it was trained.
      spec: facts about the data it was trained on, such as `class_names`.
      step: the number of updates before the checkpoint.
      variables: `params` and `batch_stats`; their moving averages if the recipe keeps them.
      task: what it was trained for.
      module: the flax module.
    """

    def __init__(self, restored: Restored) -> None:
        self.recipe, self.spec, self.step = restored.recipe, restored.spec, restored.step
        self.variables: Variables = restored.variables
        self.task = make_task(self.recipe, self.spec)
        self.module = make_model(self.recipe, self.task)
        self._restored = restored
        self._answers = Answers(restored)
        self._prepared = jax.jit(self.task.prepared)
        self._activations = jax.jit(
            lambda names, variables, inputs: models.activations(
                self.module, variables, inputs, names
            ),
            static_argnums=0,
        )

    def __repr__(self) -> str:
        return f"TrainedModel({self.recipe.model.name}, {self.recipe.name}, step {self.step})"

    @property
    def params(self) -> Any:
        """The trained parameters, a tree of arrays."""
        return self.variables["params"]

    def apply(self, variables: Variables, inputs: Any) -> Any:
        """The outputs (n, k), such as logits, as a pure function that JAX can differentiate.

        Args:
          variables: like the attribute `variables`.
          inputs: as returned by `preprocess`, (n, h, w, c) float32.
        """
        outputs: Any = self.module.apply(variables, inputs, train=False)
        return outputs

    def inferred(self, variables: Variables, inputs: Any) -> Any:
        """The outputs as evaluation uses them, such as the mean over views; pure, like `apply`.

        Args:
          variables: like the attribute `variables`.
          inputs: as returned by `preprocess`.
        """
        return self.task.infer(lambda given: self.apply(variables, given), inputs)

    def preprocess(self, pictures: Pictures) -> jax.Array:
        """Pictures as the model takes them: (n, h, w, c) float32, resized and normalised.

        Args:
          pictures: one or several; a single one becomes a batch of one.

        Raises:
          UserError: they are no pictures, or unlike those that the model was trained on.
        """
        prepared: jax.Array = self._prepared(self._raw(pictures)[0])
        return prepared

    def predict(self, pictures: Pictures, top: int | None = None) -> Any:
        """The predictions for pictures.

        Args:
          pictures: a single one, or several.
          top: how many classes or tags are returned, the most probable first; by default all.

        Returns:
          A list with one entry for each picture; for a single picture the entry itself. It is a
          `cnn_jax.evaluation.predict.Prediction` (classes or tags with probabilities), an
          `Estimate` (numbers in the unit of the data), or a mask (h, w) int32 of the size of the
          picture, whose values are places in the class names.

        Raises:
          UserError: they are no pictures, or unlike those that the model was trained on.
        """
        if target_kind(self.recipe) == "mask":
            return self._masks(pictures)
        raw, names, single = self._raw(pictures)
        count = len(self.spec.class_names) if top is None else top
        if count < 1:
            raise UserError(f"top={top} must be at least 1")
        found = [
            told(self._restored, name, row, count)
            for name, row in zip(names, self._told(raw), strict=True)
        ]
        return found[0] if single else found

    def answers(self, pictures: Pictures) -> np.ndarray:
        """The predictions as an array (n, k): probabilities or numbers, in the order of
        `spec.class_names`.

        Raises:
          UserError: they are no pictures, or unlike those that the model was trained on.
        """
        return self._told(self._raw(pictures)[0])

    def activations(self, pictures: Pictures, layer: str | None = None) -> dict[str, np.ndarray]:
        """The outputs of the layers of the model, see `cnn_jax.models.activations`.

        Args:
          pictures: one or several.
          layer: a regular expression that is searched in the names, such as `conv1` or
            `block1/conv1`; by default all layers. `logits` is the whole model.

        Returns:
          Arrays (n, ...) by name, in the order of computation.

        Raises:
          UserError: no layer has such a name, or pictures are unlike those learnt from.
        """
        inputs = self.preprocess(pictures)
        names = models.activation_names(self.module, inputs.shape[1:])
        try:
            wanted = tuple(name for name in names if re.search(layer or "", name))
        except re.error as error:
            raise UserError(f"layer={layer!r} is no regular expression: {error}") from None
        if not wanted:
            raise unknown("layer", str(layer), names)
        found = self._activations(wanted, self.variables, inputs)
        return {name: np.asarray(found[name]) for name in wanted}

    def _masks(self, pictures: Pictures) -> Any:
        """The mask of each picture, at its own size."""
        if isinstance(pictures, np.ndarray | jax.Array):
            array, single = _batch(np.asarray(pictures), self.spec.evaluated_shape[2])
            every: list[Any] = list(array)
        else:
            single = isinstance(pictures, Image.Image | str | os.PathLike)
            given: Any = pictures
            every = [given] if single else list(given)
        told = MasksTold(self._restored)
        found = [told(self._own_pixels(each)) for each in every]
        return found[0] if single else found

    def _own_pixels(self, picture: Picture) -> np.ndarray:
        """A picture (h, w, c) as it is."""
        if isinstance(picture, np.ndarray | jax.Array):
            array = np.asarray(picture)
            pixels = array[..., None] if array.ndim == 2 else array
        elif isinstance(picture, Image.Image):
            pixels = decode(_encoded(picture))
        else:
            data = self.recipe.data
            pixels = decode(
                Path(user_path(picture)),
                grey_range=data.grey_range or WHOLE,
                full_depth=data.full_depth,
            )
        if str(pixels.dtype) != self._dtype:
            raise UserError(
                f"a picture is {pixels.dtype}, but the model was trained on {self._dtype}: give "
                "it so"
            )
        return pixels

    def _told(self, raw: np.ndarray) -> np.ndarray:
        parts = [raw[start : start + _BATCH] for start in range(0, len(raw), _BATCH)]
        return np.concatenate([self._answers(part) for part in parts])

    def _raw(self, pictures: Pictures) -> tuple[np.ndarray, list[str], bool]:
        """Pixels (n, h, w, c) as evaluation has them, names for them, and whether it is one."""
        if self.spec.input_kind == "tokens":
            return raw_texts(self._restored, pictures)
        if self.spec.input_kind == "series":
            return raw_series(self._restored, pictures)
        if isinstance(pictures, np.ndarray | jax.Array):
            array, single = _batch(np.asarray(pictures), self.spec.evaluated_shape[2])
            return self._shaped(array), _numbered(len(array)), single
        single = isinstance(pictures, Image.Image | str | os.PathLike)
        every: list[Any] = [pictures] if single else list(pictures)  # type: ignore[arg-type]
        if not every:
            raise UserError("there are no pictures: the list is empty")
        read = [self._one(each, place) for place, each in enumerate(every)]
        named = [
            str(each) if isinstance(each, str | os.PathLike) else name
            for each, name in zip(every, _numbered(len(every)), strict=True)
        ]
        return np.stack(read), named, single

    def _one(self, picture: Picture, place: int) -> np.ndarray:
        if isinstance(picture, np.ndarray | jax.Array):
            array, single = _batch(np.asarray(picture), self.spec.evaluated_shape[2])
            if not single:
                raise UserError(
                    f"picture {place} is an array {array.shape}, which is several; valid are "
                    "(h, w) and (h, w, c)"
                )
            return self._shaped(array)[0]
        if self._dtype != "uint8":
            raise UserError(
                f"the model was trained on arrays of {self._dtype}: give arrays of this kind"
            )
        view = view_of(self._restored)
        if isinstance(picture, Image.Image):
            return view.image(_encoded(picture), f"picture {place}", None)
        if not isinstance(picture, str | os.PathLike):
            raise UserError(
                f"picture {place} is of {type(picture).__name__}; valid are arrays, images of "
                "Pillow and paths"
            )
        own = self.recipe.data.grey_range is None
        found = read_picture(view, own, Path(user_path(picture)))
        if isinstance(found, UnreadableImage):
            raise found
        return found

    @property
    def _dtype(self) -> str:
        """What the pixels are that the model was trained on."""
        raw = jax.tree.leaves(self.spec.examples_of(1, evaluation=True)[0])[0]
        return str(raw.dtype)

    def _shaped(self, array: np.ndarray) -> np.ndarray:
        shape, kind = self.spec.evaluated_shape, self._dtype
        if kind == "uint8" and array.dtype.kind in "iu" and array.size:
            small = array.min() >= 0 and array.max() < 256
            array = array.astype(np.uint8) if small else array
        if str(array.dtype) != kind:
            scale = ", 0 to 255" if kind == "uint8" else ""
            raise UserError(
                f"pictures are {array.dtype}, but the model was trained on {kind}{scale}: give "
                "them so"
            )
        channels = array.shape[-1]
        if array.shape[1:] != shape and (kind != "uint8" or channels not in (1, 3, 4)):
            raise UserError(f"pictures are {array.shape[1:]}, but the model takes {shape}")
        return in_shape(array, view_of(self._restored))


def _batch(array: np.ndarray, channels: int) -> tuple[np.ndarray, bool]:
    """Pictures (n, h, w, c), and whether it was a single one."""
    if array.ndim == 2:
        return array[None, ..., None], True
    if array.ndim == 3 and array.shape[-1] in (1, 3, 4, channels):
        return array[None], True
    if array.ndim == 3:
        return array[..., None], False
    if array.ndim != 4 or not len(array):
        raise UserError(
            f"pictures are an array {array.shape}; valid are (h, w), (h, w, c), (n, h, w) and "
            "(n, h, w, c) of at least one"
        )
    return array, False


def _numbered(count: int) -> list[str]:
    return [f"picture {place}" for place in range(count)]


def _encoded(image: Image.Image) -> bytes:
    """The bytes of a file that holds an image, so that one code prepares all."""
    if image.mode[0] in "IF":
        raise UserError(f"an image of mode {image.mode} has more than 8 bits: give its file")
    file = io.BytesIO()
    kept = image if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA") else None
    (kept or image.convert("RGB")).save(file, "PNG", exif=image.getexif())
    return file.getvalue()
