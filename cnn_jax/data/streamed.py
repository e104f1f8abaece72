"""A part of a data set that stays on disk, and how its images are prepared when they are read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from cnn_jax.data.crops import Box, central_box, decode_part, random_box
from cnn_jax.data.dataset import Split
from cnn_jax.data.depth import WHOLE, GreyRange
from cnn_jax.data.fields import CLASS, Field
from cnn_jax.data.images import UnreadableImage, in_threads
from cnn_jax.data.resizing import by_pillow, by_simd
from cnn_jax.data.sources import Source
from cnn_jax.recipe_of_data import Interpolation, Resizer

Shape = tuple[int, int, int]

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@dataclass(frozen=True)
class View:
    """What becomes of an image when it is read.

    Attributes:
      shape: (h, w, c) of what it becomes.
      part: side of the part in the middle that is taken, of the largest with the aspect of
        `shape`; None takes the whole image, whatever its aspect.
      area: least and greatest part of the area that is taken at random, instead; None for none.
      ratio: least and greatest width over height of a part taken at random.
      interpolation: the filter that it is resized with.
      resizer: what resizes it, where it has 8 bits.
      grey_range: the values of 16-bit grey that become 0 and 255.
      dtype: of what it becomes; an image that is read as another is refused.
    """

    shape: Shape
    part: float | None = None
    area: tuple[float, float] | None = None
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: Interpolation = "bilinear"
    resizer: Resizer = "pillow"
    grey_range: GreyRange = WHOLE
    dtype: str = "uint8"

    def image(self, content: bytes, name: str, numbers: np.ndarray | None) -> np.ndarray:
        """The pixels (h, w, c) of an encoded image.

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
        return decode_part(
            content,
            name,
            self.shape,
            choose,
            resample,
            self.grey_range,
            self.dtype,
            resize=by_simd if self.resizer == "simd" else by_pillow,
        )


@dataclass(frozen=True, eq=False)
class StreamedSplit:
    """Images on disk with their targets.

    Attributes:
      source: where they are read from.
      classes: how many there are, where the targets are places among them.
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
    def target(self) -> Field:
        """What the target of an example is."""
        return self.source.target

    @property
    def targets(self) -> np.ndarray:
        """(n, ...), for which records have to be read through."""
        return self._chosen(self.source.targets())

    @property
    def labels(self) -> np.ndarray:
        """(n,) int32, the targets where they are places in the class names."""
        return self.targets

    @property
    def groups(self) -> np.ndarray | None:
        """(n,) int32, see `cnn_jax.data.dataset.Split`."""
        groups = self.source.groups()
        return None if groups is None else self._chosen(groups)

    def _chosen(self, values: np.ndarray) -> np.ndarray:
        return values if self.places is None else values[self.places]

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
    ) -> tuple[np.ndarray, np.ndarray]:
        """The pixels (h, w, c) and the target of an example.

        Raises:
          UnreadableImage: its image cannot be read, or it has no label.
        """
        place = index if self.places is None else int(self.places[index])
        content, target, name = self.source.read(place)
        if self.target == CLASS and not 0 <= target < self.classes:
            raise UnreadableImage(name, f"has label {target}, which is none of {self.classes}")
        return view.image(content, name, numbers), target

    def decoded(self, indices: np.ndarray) -> Split:
        """A few examples in memory, prepared as for evaluation."""
        found = in_threads(
            lambda index: self.example(index, self.evaluation),
            [(index,) for index in indices.tolist()],
        )
        images = np.stack([image for image, _ in found])
        return Split(images, np.array([target for _, target in found], self.target.dtype))
