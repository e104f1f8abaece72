"""Images as arrays, brought to another size at the depth that they have."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

Resize = Callable[
    [Image.Image, tuple[int, int], Image.Resampling, tuple[float, float, float, float] | None],
    Image.Image,
]
"""Makes of an image, or of a part of it (left, top, right, bottom), one of a width and height."""


def resize(image: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Resizes with a triangle filter, which widens to antialias when it shrinks.

    Args:
      image: (h, w, c) or (n, h, w, c) uint8, uint16 or float32.
      size: new height and width, or one number for both; the aspect is not kept.

    Returns:
      (height, width, c) or (n, height, width, c) of the same dtype; whole numbers are rounded.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if image.shape[-3:-1] == (height, width):
        return image
    if image.ndim == 4:
        resized = np.empty((len(image), height, width, image.shape[-1]), image.dtype)
        for place, each in enumerate(image):
            resized[place] = resize(each, (height, width))
        return resized
    return resampled(image, (height, width))


def resampled(
    image: np.ndarray,
    size: tuple[int, int],
    resample: Image.Resampling = Image.Resampling.BILINEAR,
    box: tuple[float, float, float, float] | None = None,
) -> np.ndarray:
    """An image, or a part of it, in a new size by one of Pillow's filters.

    Args:
      image: (h, w, c) uint8, uint16 or float32.
      size: new height and width.
      resample: the filter.
      box: left, top, right and bottom of the part.

    Returns:
      (height, width, c) of the same dtype.
    """
    height, width = size

    def of(values: np.ndarray) -> np.ndarray:
        pixels = Image.fromarray(values)
        return np.array(pixels.resize((width, height), resample, box=box))

    channels = image.shape[-1]
    if image.dtype == np.uint8 and channels in (1, 3):
        return of(image[..., 0] if channels == 1 else image).reshape(height, width, -1)
    found = np.empty((height, width, channels), image.dtype)
    for channel in range(channels):
        values = image[..., channel]
        if image.dtype == np.uint16:
            # float32 holds every one of them.
            whole = of(values.astype(np.float32))
            found[..., channel] = np.clip(np.rint(whole), 0, 65535)
        else:
            found[..., channel] = of(np.ascontiguousarray(values))
    return found


def by_pillow(
    image: Image.Image,
    size: tuple[int, int],
    resample: Image.Resampling,
    box: tuple[float, float, float, float] | None,
) -> Image.Image:
    """See `Resize`."""
    return image.resize(size, resample, box=box)


def by_simd(
    image: Image.Image,
    size: tuple[int, int],
    resample: Image.Resampling,
    box: tuple[float, float, float, float] | None,
) -> Image.Image:
    """See `Resize`; of images in RGB or L, by the Rust crate fast_image_resize.

    It rounds a filter's weights to 16 bits, so that values may differ from Pillow's by one. Of
    the filters there is the bilinear one: what a bicubic one makes beyond 0 and 255 is cut off
    between rows and columns, which the crate takes in another order.
    """
    import cykooz_resizer as simd

    assert resample == Image.Resampling.BILINEAR
    left, top, right, bottom = box or (0, 0, image.width, image.height)
    options = simd.ResizeOptions(
        resize_alg=simd.ResizeAlg.convolution(simd.FilterType.bilinear),
        crop_box=simd.CropBox(left, top, right - left, bottom - top),
    )
    found = Image.new(image.mode, size)
    simd.Resizer().resize_pil(image, found, options)
    return found


def central_square(image: np.ndarray, part: float) -> np.ndarray:
    """The square in the middle of an image (h, w, c), of a part of its shorter side."""
    height, width = image.shape[:2]
    side = max(1, round(part * min(height, width)))
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]
