"""Where in an own input a net finds what it tells, for the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image

from cnn_jax.data.dataset import Split
from cnn_jax.errors import UserError
from cnn_jax.evaluation.predict import Prediction, Told
from cnn_jax.inside.attention import attention, scaled
from cnn_jax.inside.examples import as_seen, prepared
from cnn_jax.inside.kernels import shapes_of_input
from cnn_jax.inside.net import Net, net_of
from cnn_jax.inside.points import map_layer
from cnn_jax.report.attended import attended_series, attended_sounds, attended_words
from cnn_jax.report.heat import enlarged, in_bytes
from cnn_jax.report.heat import over as coloured
from cnn_jax.serve.answer import Shown, shown
from cnn_jax.trained import TrainedModel

_SIDE = 224
_MOST_DRAWN = 6
"""Series of a file, or windows of a sound, that are drawn."""


class Attended(NamedTuple):
    """Where the net looks.

    Attributes:
      pictures: of it.
      words: of a text, with what each adds.
      notes: what there is to say.
    """

    pictures: tuple[Shown, ...] = ()
    words: tuple[tuple[str, float], ...] = ()
    notes: tuple[str, ...] = ()


class Attending:
    """Makes maps of inputs by Grad-CAM, of texts by HiResCAM at the first layer with places.

    Args:
      trained: the model.

    Attributes:
      why_not: why there are no maps of this model; None if there are.
    """

    def __init__(self, trained: TrainedModel) -> None:
        self._trained = trained
        self.why_not: str | None = None
        self._prepared = jax.jit(trained.task.prepared)
        self._net: Net | None = None
        self._layer: str | None = None
        try:
            net = net_of(trained)
            layers = net.layers(shapes_of_input(trained))
            if trained.spec.input_kind == "tokens":
                self._layer = next((each.name for each in layers if each.is_series), None)
            map_layer(self._layer, layers)
            self._net = net
        except UserError as error:
            self.why_not = str(error)

    def of(self, raw: np.ndarray, names: Sequence[str], told: Sequence[Told]) -> Attended:
        """Maps of examples, each of what is told first of it.

        Args:
          raw: (n, ...), as evaluation has them.
          names: of each.
          told: of each.
        """
        if self._net is None:
            return self._plain(raw)
        kind = self._trained.spec.input_kind
        if kind == "image":
            return self._image(self._prepared(raw), self._place(told[0]))
        if kind == "tokens":
            return self._text(self._prepared(raw), self._place(told[0]))
        return self._along(raw, names, told)

    def of_mask(self, fitted: np.ndarray, place: int) -> Attended:
        """A map of an image (h, w, c), of a class that is told of its pixels."""
        if self._net is None:
            return self._plain(fitted[None])
        return self._image(self._prepared(fitted[None]), place)

    def _plain(self, raw: np.ndarray) -> Attended:
        """The input alone, where no map can be made of it."""
        notes = (f"There is no attention map: {self.why_not}.",)
        if self._trained.spec.input_kind != "image":
            return Attended(notes=notes)
        return Attended((self._given(self._prepared(raw)),), notes=notes)

    def _given(self, inputs: Any) -> Shown:
        return shown("as the net is given it", _large(in_bytes(as_seen(self._trained, inputs)[0])))

    def _image(self, inputs: Any, place: int | None) -> Attended:
        maps, which, layer = self._maps(inputs, None if place is None else [place])
        level = scaled(maps, inputs.shape[1:3])[0]
        picture = _large(coloured(as_seen(self._trained, inputs)[0], level))
        name = self._trained.spec.class_names[which[0]]
        title = f"Grad-CAM at layer {layer}: orange speaks for {name}, blue against it"
        notes = () if maps.max() > 0 else (f"In the map nothing speaks for {name}.",)
        return Attended((self._given(inputs), shown(title, picture)), notes=notes)

    def _text(self, inputs: Any, place: int | None) -> Attended:
        classes = None if place is None else [place]
        maps, which, layer = self._maps(inputs, classes, "hires_cam")
        (words,), along = attended_words(self._trained, np.asarray(inputs), maps)
        name = self._trained.spec.class_names[which[0]]
        told = f"HiResCAM at layer {layer}: orange speaks for {name}, blue against it."
        pairs = zip(words, along[0].tolist(), strict=False)
        return Attended((), tuple((word, round(level, 4)) for word, level in pairs), (told,))

    def _along(self, raw: np.ndarray, names: Sequence[str], told: Sequence[Told]) -> Attended:
        """Of series and of the windows of sounds, as many as are drawn."""
        count = min(len(names), _MOST_DRAWN)
        places = np.array([self._place(each) or 0 for each in told[:count]], np.int32)
        split = Split(raw[:count], places)
        looked = prepared(self._trained, split, "", tuple(names[:count]))
        inputs = jax.tree.map(lambda leaf: leaf[:_MOST_DRAWN], looked.inputs)
        # Of a sound each window is an example, of what is told of the whole sound.
        of = np.asarray(looked.targets)[:_MOST_DRAWN]
        maps, which, layer = self._maps(inputs, of)
        spoken = [self._trained.spec.class_names[place] for place in which]
        titles = [f"{each}: {name}" for each, name in zip(looked.names, spoken, strict=False)]
        if self._trained.spec.input_kind == "series":
            picture = attended_series(inputs, titles, maps)
        else:
            picture = attended_sounds(inputs, titles, {"grad_cam": maps})
        title = f"Grad-CAM at layer {layer}: orange speaks for what is named, blue against it"
        more = len(looked.names) - len(of) + len(names) - count
        notes = (f"Drawn are the first {len(of)}, {more:,} more are not.",) if more else ()
        return Attended((shown(title, picture),), notes=notes)

    def _maps(
        self, inputs: Any, classes: Any, method: str = "grad_cam"
    ) -> tuple[np.ndarray, list[int], str]:
        assert self._net is not None
        made = attention(self._net, inputs, classes, self._layer, method)
        return made.maps, [int(each) for each in made.classes], made.layer

    def _place(self, told: Told) -> int | None:
        """The place of the class that is told first; None of numbers."""
        if not isinstance(told, Prediction):
            return None
        return self._trained.spec.class_names.index(told.classes[0])


def _large(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(enlarged(pixels, _SIDE))
