"""Drawn shapes on noise: a data set that is made in a moment and can be learnt in a minute."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.memory_limit import check_side, check_size
from cnn_jax.errors import UserError, unknown

_BLOCK_PIXELS = 2**21
_TRAIN, _TEST = 0, 1
# Keeps the random numbers apart from those that order an epoch, whose keys are small.
_KEY = 0x736861706573 << 8

# From the middle of a shape to its edge, in parts of the image's side.
_RADIUS = (0.26, 0.42)
# Background, shape, and the most that noise adds or takes away, of 255.
_DARK = (0.0, 80.0)
_BRIGHT = (130.0, 250.0)
_NOISE = 45.0

# Each tells how far within the shape's edge a place (u, v) is, in radii and v downwards.
_Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _box(u: np.ndarray, v: np.ndarray, width: float, height: float) -> np.ndarray:
    return np.minimum(width - np.abs(u), height - np.abs(v))


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.maximum(_box(u, v, 1, 0.28), _box(u, v, 0.28, 1))


def _triangle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    side = ((v + 1) / 1.8 - np.abs(u)) / np.hypot(1, 1 / 1.8)
    return np.minimum(0.8 - v, side)


def _hourglass(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    side = (0.08 + 0.92 * np.abs(v) - np.abs(u)) / np.hypot(1, 0.92)
    return np.minimum(0.95 - np.abs(v), side)


_SHAPES: dict[str, _Distance] = {
    "disc": lambda u, v: 1 - np.hypot(u, v),
    "square": lambda u, v: _box(u, v, 0.85, 0.85),
    "triangle": _triangle,
    "cross": _cross,
    "ring": lambda u, v: 0.2 - np.abs(np.hypot(u, v) - 0.8),
    "bar": lambda u, v: _box(u, v, 1, 0.28),
    "frame": lambda u, v: 0.17 - np.abs(np.maximum(np.abs(u), np.abs(v)) - 0.75),
    "diamond": lambda u, v: (1 - np.abs(u) - np.abs(v)) * np.sqrt(0.5, dtype=np.float32),
    "saltire": lambda u, v: _cross(
        (u + v) * np.sqrt(0.5, dtype=np.float32), (u - v) * np.sqrt(0.5, dtype=np.float32)
    ),
    "hourglass": _hourglass,
}
CLASS_NAMES = tuple(_SHAPES)
"""The shapes in the order of the labels; k classes are the first k. A left-right mirror image
of each is of the same class."""


@dataclass(frozen=True)
class Shapes:
    """What is drawn.

    Attributes:
      n: training examples; a fifth as many, but at least one a class, are for test.
      size: side in pixels; the shapes can be told apart by eye from 16 on.
      classes: k, the first so many of CLASS_NAMES.
      channels: 1 or 3.
      seed: of the random numbers.

    Raises:
      UserError: one of them is out of its range.
    """

    n: int = 2000
    size: int = 32
    classes: int = 6
    channels: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self.n, self.size, self.classes, self.channels, self.seed)

    @classmethod
    def parse(cls, options: str, image_size: int | None = None) -> Shapes:
        """From options such as `n=500,size=16,classes=10,channels=1,seed=1`, any or none.

        Args:
          options: what follows `shapes:` in the name of the data set.
          image_size: side in pixels, if it is given apart from the name.

        Raises:
          UserError: a key is unknown or given twice, or a value is no whole number in its range.
        """
        keys = [field.name for field in dataclasses.fields(cls)]
        given: dict[str, int] = {}
        for part in options.split(",") if options else []:
            key, equals, value = part.partition("=")
            if not equals:
                raise UserError(f"shapes: {part!r} must be key=value, such as n=2000")
            if key not in keys:
                raise unknown("option of shapes", key, keys)
            if key in given:
                raise UserError(f"shapes: {key} is given twice")
            if not (value.isascii() and value.isdecimal() and len(value) <= 20):
                raise UserError(f"shapes: {key}={value} must be a whole number")
            given[key] = int(value)
        if image_size is not None and given.setdefault("size", image_size) != image_size:
            raise UserError(
                f"shapes: size={given['size']} differs from --data.image-size {image_size}; give "
                "one of them"
            )
        return cls(**given)


def load_shapes(
    shapes: Shapes, *, name: str = "shapes", max_bytes: int | None = None, masks: bool = False
) -> Dataset:
    """The data set `shapes`, drawn in a moment.

    Args:
      shapes: what is drawn.
      name: of the set.
      max_bytes: that the images may take, by default half of the memory that is available.
      masks: whether its targets are the class of each pixel, the ground being the first class,
        instead of the shape.

    Raises:
      UserError: they would take more.
    """
    test = max(shapes.classes, shapes.n // 5)
    image_shape = (shapes.size, shapes.size, shapes.channels)
    check_size(name, shapes.n + test, image_shape, max_bytes)
    further = (shapes.size, shapes.classes, shapes.channels, shapes.seed)
    return Dataset(
        name=name,
        class_names=("ground",) * masks + CLASS_NAMES[: shapes.classes],
        train=shapes_split(shapes.n, *further, masks=masks),
        validation=None,
        test=shapes_split(test, *further, _TEST, masks=masks),
        source="drawn by cnn_jax.data.shapes",
        notes=(f"the test part is {test:,} examples drawn from a random stream of their own",),
    )


def shapes_split(
    n: int,
    size: int,
    classes: int,
    channels: int,
    seed: int,
    stream: int = _TRAIN,
    *,
    masks: bool = False,
) -> Split:
    """Bright shapes of random place, size and colour on a dark ground with noise.

    A pure function of its arguments. Labels are balanced to one example and in random order.

    Args:
      n: number of examples, at least one a class.
      size: side in pixels, at least 8.
      classes: k, 2 to 10.
      channels: 1 or 3.
      seed: of the random numbers.
      stream: 0 for training, 1 for test; others are further independent sets.
      masks: as of `load_shapes`; a pixel is of the shape that covers half of it.

    Raises:
      UserError: an argument is out of its range.
    """
    _check(n, size, classes, channels, seed)
    # Philox's raw output is the same in all versions of numpy, unlike that of its distributions.
    random = np.random.Philox(key=[seed, _KEY + stream])
    order = np.argsort(random.random_raw(n), kind="stable")
    labels = (np.arange(n, dtype=np.int32) % classes)[order]
    images = np.empty((n, size, size, channels), np.uint8)
    inside = np.empty((n, size, size) if masks else (0,), np.uint8)
    block = max(1, _BLOCK_PIXELS // (size * size))
    for start in range(0, n, block):
        part = slice(start, min(n, start + block))
        images[part], covered = _draw(random, labels[part], size, channels)
        if masks:
            inside[part] = np.where(covered >= 0.5, labels[part, None, None] + 1, 0)
    return Split(images, inside if masks else labels)


def _check(n: int, size: int, classes: int, channels: int, seed: int) -> None:
    most = len(CLASS_NAMES)
    check_side("shapes: size", max(size, 1))
    for key, value, valid, right in [
        ("classes", classes, f"2 to {most}", 2 <= classes <= most),
        ("size", size, "at least 8", size >= 8),
        ("channels", channels, "1 or 3", channels in (1, 3)),
        ("seed", seed, "0 to 2**32 - 1", 0 <= seed < 2**32),
        ("n", n, f"at least {classes}, one a class", n >= classes),
    ]:
        if not right:
            raise UserError(f"shapes: {key}={value} must be {valid}")


def _draw(
    random: np.random.Philox, labels: np.ndarray, size: int, channels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, size, size, channels) uint8 of shapes (n,), and how far each pixel is covered."""
    n = len(labels)
    radius = size * _uniform(random, (n, 1), *_RADIUS)
    middle = size / 2 + (size / 2 - radius) * _uniform(random, (n, 2), -1, 1)
    dark = _uniform(random, (n, 1, 1, channels), *_DARK)
    bright = _uniform(random, (n, 1, 1, channels), *_BRIGHT)
    pixel = np.arange(size, dtype=np.float32) + 0.5
    u = ((pixel - middle[:, :1]) / radius)[:, None, :]
    v = ((pixel - middle[:, 1:]) / radius)[:, :, None]
    covered = np.empty((n, size, size, 1), np.float32)
    for label in np.unique(labels):
        here = labels == label
        within = _SHAPES[CLASS_NAMES[label]](u[here], v[here]) * radius[here, :, None]
        # A pixel on the edge is covered in part.
        covered[here, ..., 0] = np.clip(within + 0.5, 0, 1)
    values = dark + (bright - dark) * covered + _noise(random, (n, size, size, channels))
    return np.clip(np.round(values), 0, 255).astype(np.uint8), covered[..., 0]


def _uniform(
    random: np.random.Philox, shape: tuple[int, ...], low: float, high: float
) -> np.ndarray:
    bits = random.random_raw(int(np.prod(shape))).reshape(shape)
    values = (bits >> np.uint64(40)).astype(np.float32) / 2**24
    return (low + (high - low) * values).astype(np.float32)


def _noise(random: np.random.Philox, shape: tuple[int, ...]) -> np.ndarray:
    """Noise of triangular density within ±_NOISE: the difference of two random bytes."""
    count = int(np.prod(shape))
    words = random.random_raw(-(-count // 4)).astype("<u8")
    pairs = words.view(np.uint8).reshape(-1, 2)[:count].astype(np.float32)
    return ((pairs[:, 0] - pairs[:, 1]) * np.float32(_NOISE / 255)).reshape(shape)
