"""An own input to what a model tells of it, by the same way as `cnn-jax predict`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cnn_jax.data.images import UnreadableImage
from cnn_jax.data.series_files import SUFFIXES as SERIES
from cnn_jax.data.sound_files import SUFFIXES as SOUNDS
from cnn_jax.errors import UserError
from cnn_jax.evaluation.mask_pictures import class_colours, in_colour, over
from cnn_jax.evaluation.predict import Answers, read_inputs, shares_told, told_of
from cnn_jax.evaluation.predict_boxes import (
    found_in,
    least_score,
    read_framed,
    rows_of,
    with_boxes,
)
from cnn_jax.evaluation.predict_masks import MasksTold, read_whole, shares_of
from cnn_jax.evaluation.predict_text import (
    cut_texts,
    deciding_windows,
    predict_texts,
    tokens_of,
    told_by_layers,
)
from cnn_jax.restored import Restored
from cnn_jax.serve.answer import Answer, Row, Table, shown, table_of
from cnn_jax.serve.limits import check_pixels, check_series, check_sound
from cnn_jax.serve.maps import Attending
from cnn_jax.tasks import target_kind
from cnn_jax.trained import TrainedModel

_SUFFIXES = {"series": SERIES, "sound": SOUNDS}
_FILES = {
    "image": "image/png,image/jpeg,image/bmp,image/webp,image/tiff",
    "sound": ",".join(SOUNDS),
    "series": ",".join(SERIES),
}


class Teller:
    """Tells what a model makes of own inputs; compiled once, and not to be asked by two at once.

    Args:
      restored: the model.
      top: how many classes or boxes are told.

    Raises:
      UserError: top is below 1.
    """

    def __init__(self, restored: Restored, top: int) -> None:
        self.kind = restored.spec.input_kind
        if top < 1:
            raise UserError(f"--top {top} must be at least 1")
        self._restored, self._top = restored, top
        self._of_places = target_kind(restored.recipe)
        self._answers, self._masks = Answers(restored), MasksTold(restored)
        self._layers = told_by_layers(restored) if self.kind == "tokens" else None
        self._attending = Attending(TrainedModel(restored))

    @property
    def accepts(self) -> str:
        """What kinds of files are asked for, as a page says it."""
        return _FILES.get(self.kind, "")

    def warm_up(self) -> None:
        """Compiles what most inputs need, by an input of zeros."""
        spec = self._restored.spec
        example: Any = spec.examples_of(1, evaluation=True)[0]
        raw = np.zeros(example.shape, example.dtype)
        if self._of_places == "mask":
            self._masks(raw[0])
            self._attending.of_mask(raw[0], 0)
        elif self._of_places == "boxes":
            self._answers(raw)
        else:
            told = told_of(self._restored, [""], raw, self._top, self._answers)
            self._attending.of(raw, [""], told)
            if self._layers is not None:
                self._layers(self._restored.variables, raw)

    def __call__(self, name: str, content: bytes) -> Answer:
        """What is told of a file, or of a text.

        Args:
          name: of the file, by which nothing is read or written.
          content: of the file, or the text in UTF-8.

        Raises:
          UserError: it cannot be read.
        """
        if self.kind == "tokens":
            return self._of_text(content)
        ending = Path(name).suffix.lower()
        known = ending in _SUFFIXES.get(self.kind, ())
        if self.kind in _SUFFIXES and not known:
            valid = ", ".join(_SUFFIXES[self.kind])
            raise UserError(f"{name}: the model is given {self.kind}; valid are {valid} files")
        with tempfile.TemporaryDirectory(prefix="cnn-jax-serve-") as folder:
            file = Path(folder) / f"own{ending if known else ''}"
            file.write_bytes(content)
            try:
                if not content:
                    raise UnreadableImage(name, "is empty")
                return self._of_file(name, file)
            except UserError as error:
                # The user knows the file by the name it was sent with.
                raise UserError(str(error).replace(str(file), name)) from None

    def _of_file(self, name: str, file: Path) -> Answer:
        notes: list[str] = []
        if self.kind == "image":
            notes = check_pixels(file, full_depth=self._restored.recipe.data.full_depth)
        elif self.kind == "sound":
            check_sound(file)
        if self._of_places == "mask":
            return self._of_mask(name, file, notes)
        if self._of_places == "boxes":
            return self._of_boxes(name, file, notes)
        names, raw, bad = read_inputs(self._restored, [file])
        if bad:
            raise bad[0]
        if self.kind == "series":
            check_series(name, raw)
        told = told_of(self._restored, names, raw, self._top, self._answers)
        called = [each.replace(str(file), name) for each in names]
        attended = self._attending.of(raw, called, told)
        tables = tuple(table_of(each, of) for each, of in zip(told, called, strict=True))
        return Answer(name, tables, attended.pictures, notes=(*notes, *attended.notes))

    def _of_text(self, content: bytes) -> Answer:
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise UserError("the text is not UTF-8") from None
        if not text.strip():
            raise UserError("there is no text; write some")
        (told,) = predict_texts(self._restored, [text], self._top, self._answers)
        raw = tokens_of(self._restored, [text])
        attended = self._attending.of(raw, [text], [told])
        notes = [*attended.notes]
        (windows,) = deciding_windows(self._restored, [text], activations=self._layers)
        if windows:
            notes.append(
                "Decided by: " + "; ".join(f"“{w.words}” {w.share:+.3g}" for w in windows) + "."
            )
        if cut := cut_texts(self._restored, [text]):
            notes.append(f"{cut}.")
        return Answer("", (table_of(told, "the text"),), words=attended.words, notes=tuple(notes))

    def _of_mask(self, name: str, file: Path, notes: list[str]) -> Answer:
        image = read_whole(self._restored, file)
        if isinstance(image, UnreadableImage):
            raise image
        spec = self._restored.spec
        mask, colours = self._masks(image), class_colours(spec)
        found = shares_told(
            self._restored, name, shares_of(mask, len(spec.class_names)), len(spec.class_names)
        ).best(self._top)
        places = [spec.class_names.index(each) for each in found.classes]
        table = table_of(found, name, ["#{:02x}{:02x}{:02x}".format(*colours[p]) for p in places])
        laid = Image.fromarray(over(in_colour(image, spec.value_range), mask, colours))
        attended = self._attending.of_mask(self._masks.fitted(image), places[0])
        pictures = (shown("the mask over the picture", laid), *attended.pictures)
        return Answer(name, (table,), pictures, notes=(*notes, *attended.notes))

    def _of_boxes(self, name: str, file: Path, notes: list[str]) -> Answer:
        picture = read_framed(self._restored, file)
        if isinstance(picture, UnreadableImage):
            raise picture
        names, least = self._restored.spec.class_names, least_score(self._restored)
        (found,) = found_in(self._restored, self._answers, [picture])
        sides = ("left", "top", "width", "height")
        rows = tuple(
            Row(
                row["class"],
                row.get("score"),
                f"{row['score']:.4f}" if "score" in row else "",
                row.get("score"),
                more=tuple(str(row[side]) for side in sides if side in row),
            )
            for row in rows_of(found, names, self._top)
        )
        drawn = shown(
            f"with the boxes of a score of at least {least:.2f}",
            with_boxes(found, names, least),
            photograph=True,
        )
        count = int((found.scores >= least).sum())
        reach = "box reaches" if count == 1 else "boxes reach"
        notes.append(f"Drawn: {count:,} {reach} the score {least:.2f}.")
        if self._attending.why_not:
            notes.append(f"There is no attention map: {self._attending.why_not}.")
        return Answer(
            name, (Table(name, ("class", "score", *sides), rows),), (drawn,), notes=tuple(notes)
        )
