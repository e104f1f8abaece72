"""Images and series as a model takes them: as evaluation in its training did."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cnn_jax.data.depth import WHOLE
from cnn_jax.data.images import UnreadableImage, at_depth, decode, fitting, in_threads
from cnn_jax.data.resizing import central_square, resize
from cnn_jax.data.streamed import View
from cnn_jax.data.streaming import views
from cnn_jax.errors import UserError
from cnn_jax.restored import Restored


@dataclass(frozen=True)
class HeldView(View):
    """Images as they are prepared where a set is held in memory: all pixels are decoded first."""

    def image(self, content: bytes, name: str, numbers: np.ndarray | None) -> np.ndarray:
        """See `View`; nothing is random."""
        height, width, channels = self.shape
        pixels = at_depth(content, name, full_depth=self.dtype != "uint8")
        try:
            if pixels is None:
                # What has neither grey nor RGB is refused below.
                wanted = channels if channels in (1, 3) else None
                pixels = decode(content, wanted, grey_range=self.grey_range)
        except UnreadableImage as error:
            raise UnreadableImage(name, error.reason) from error
        pixels = fitting(pixels, channels, self.dtype, name)
        if self.part is not None:
            pixels = central_square(pixels, self.part)
        return resize(pixels, (height, width))


def view_of(restored: Restored) -> View:
    """How an image is prepared for a model: as evaluation in its training did it."""
    spec = restored.spec
    if spec.streamed:
        return views(restored.recipe.data, spec.image_shape)[1]
    grey_range = restored.recipe.data.grey_range or WHOLE
    height, width, channels = spec.evaluated_shape
    return HeldView(
        (height, width, channels),
        part=restored.crop,
        grey_range=grey_range,
        dtype=spec.inputs["image"].dtype if "image" in spec.inputs else "uint8",
    )


def in_shape(images: np.ndarray, view: View) -> np.ndarray:
    """Images (n, h, w, c) as a model takes them."""
    if images.dtype != view.dtype:
        raise UserError(
            f"the images are {images.dtype}, and the model was trained on {view.dtype}; their "
            "values do not mean the same"
        )
    if view.part is None and images.shape[1:] == view.shape:
        return images
    if images.dtype != np.uint8:
        raise UserError(
            f"images of {images.dtype} are judged in the shape that the model was trained on: they "
            f"are {images.shape[1:]}, not {view.shape}"
        )

    def fit(image: np.ndarray) -> np.ndarray:
        # What lies in no file is made one, so that one code prepares all.
        file = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
        return view.image(file.getvalue(), "an image", None)

    return np.stack(in_threads(fit, [(image,) for image in images]))


def of_length(series: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Series (n, t, c) at the length of those that a model was trained on.

    Args:
      series: not a number after their ends.
      shape: (t, c) of the model's.

    Raises:
      UserError: they have other channels, or are longer.
    """
    longest, channels = shape
    if series.shape[2] != channels:
        raise UserError(
            f"the series have {series.shape[2]} channels, and those that the model was trained on "
            f"had {channels}"
        )
    if series.shape[1] > longest:
        raise UserError(
            f"the series are up to {series.shape[1]:,} times long, and those that the model was "
            f"trained on at most {longest:,}; cut them"
        )
    more = ((0, 0), (0, longest - series.shape[1]), (0, 0))
    return np.pad(series, more, constant_values=np.nan)
