"""A part of a data set that stays on disk, and how its images are prepared when they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from cnn_jax.data.crops import Box, central_box, decode_part, random_box
from cnn_jax.data.dataset import Split
from cnn_jax.data.depth import WHOLE, GreyRange
from cnn_jax.data.images import UnreadableImage, in_threads
from cnn_jax.data.sources import Source

Shape = tuple[int, int, int]
Interpolation = Literal["bilinear", "bicubic"]

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@dataclass(frozen=True)
class View:
    """What becomes of an image when it is read.

    Attributes:
      shape: (h, w, c) of what it becomes, c 1 or 3.
      part: side of the part in the middle that is taken, of the largest with the aspect of
        `shape`; None takes the whole image, whatever its aspect.
      area: least and greatest part of the area that is taken at random, instead; None for none.
      ratio: least and greatest width over height of a part taken at random.
      interpolation: the filter that it is resized with.
      grey_range: the values of 16-bit grey that become 0 and 255.
    """

    shape: Shape
    part: float | None = None
    area: tuple[float, float] | None = None
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: Interpolation = "bilinear"
    grey_range: GreyRange = WHOLE

    def image(self, content: bytes, name: str, numbers: np.ndarray | None) -> np.ndarray:
        """The pixels (h, w, c) uint8 of an encoded image.

        Args:
          content: of its file.
          name: what errors call it.
          numbers: see `cnn_jax.data.crops.random_box`; None where nothing is random.

        Raises:
          UnreadableImage: it cannot be read.
        """

        def choose(height: int, width: int) -> Box | None:
            if self.area is not None:
                assert numbers is not None
                return random_box(numbers, height, width, self.area, self.ratio)
            if self.part is not None:
                return central_box(height, width, self.part, self.shape[1] / self.shape[0])
            return None

        resample = _FILTERS[self.interpolation]
        return decode_part(content, name, self.shape, choose, resample, self.grey_range)


@dataclass(frozen=True, eq=False)
class StreamedSplit:
    """Labelled images on disk.

    Attributes:
      source: where they are read from.
      classes: how many there are.
      training: how they are prepared to learn from.
      evaluation: how they are prepared otherwise.
      places: (n,) int32, of these examples in the source; None for all of them.
    """

    source: Source
    classes: int
    training: View
    evaluation: View
    places: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.source) if self.places is None else len(self.places)

    @property
    def labels(self) -> np.ndarray:
        """(n,) int32, for which records have to be read through."""
        labels = self.source.labels()
        return labels if self.places is None else labels[self.places]

    @property
    def image_shape(self) -> Shape:
        """(h, w, c) of the images to learn from."""
        return self.training.shape

    def take(self, indices: np.ndarray) -> StreamedSplit:
        """The examples at the given places, in their order."""
        indices = np.asarray(indices, np.int32)
        places = indices if self.places is None else self.places[indices]
        return StreamedSplit(self.source, self.classes, self.training, self.evaluation, places)

    def example(
        self, index: int, view: View, numbers: np.ndarray | None = None
    ) -> tuple[np.ndarray, int]:
        """The pixels (h, w, c) uint8 and the label of an example.

        Raises:
          UnreadableImage: its image cannot be read, or it has no label.
        """
        place = index if self.places is None else int(self.places[index])
        content, label, name = self.source.read(place)
        if not 0 <= label < self.classes:
            raise UnreadableImage(name, f"has label {label}, which is none of {self.classes}")
        return view.image(content, name, numbers), label

    def decoded(self, indices: np.ndarray) -> Split:
        """A few examples in memory, prepared as for evaluation."""
        found = in_threads(
            lambda index: self.example(index, self.evaluation),
            [(index,) for index in indices.tolist()],
        )
        images = np.stack([image for image, _ in found])
        return Split(images, np.array([label for _, label in found], np.int32))
