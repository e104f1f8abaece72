"""Drawn videos of digits that move, to show whether a net sees motion: `moving_digits`."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.digits import load_digits
from cnn_jax.data.resizing import resize
from cnn_jax.errors import UserError, unknown

_DIRECTIONS = ("right", "down", "left", "up")
_STEPS = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])
# Keeps the random numbers apart from those of other sets.
_KEY = 0x6D6F7665


@dataclass(frozen=True)
class MovingDigits:
    """What is drawn.

    Attributes:
      label: what is told of a video: the `direction` in which its digit moves, or the `digit`.
      frames: of each video.
      size: side of a frame in pixels; a digit is half as large.
      times: how often each of the digits is drawn to learn from; each is drawn once for the test.
    """

    label: str = "direction"
    frames: int = 8
    size: int = 24
    times: int = 1


def load_moving_digits(name: str) -> Dataset:
    """Digits of `load_digits` that move by a pixel or two a frame and come back at the other side.

    Place, speed and direction are drawn anew for each video from a fixed random stream. As a digit
    that leaves at one side enters at the opposite one, each place is as frequent in every frame
    whatever the direction: no single frame, nor any set of frames without their order, tells it.

    Args:
      name: `moving_digits`, with options as in `moving_digits:label=digit,frames=8`.

    Raises:
      UserError: an option is unknown or cannot be used.
    """
    drawn = _options(name)
    still = load_digits()
    random = np.random.Generator(np.random.Philox(key=_KEY))
    parts = {}
    for part, split, times in (("train", still.train, drawn.times), ("test", still.test, 1)):
        assert isinstance(split, Split)
        images = np.repeat(split.images, times, axis=0)
        directions = random.integers(0, len(_STEPS), len(images))
        clips = np.stack(
            [
                _moving(image, _STEPS[direction], drawn, random)
                for image, direction in zip(images, directions, strict=True)
            ]
        )
        labels = directions if drawn.label == "direction" else np.repeat(split.labels, times)
        groups = np.repeat(np.arange(len(split)), times).astype(np.int32) if times > 1 else None
        parts[part] = Split(clips, labels.astype(np.int32), groups)
    names = _DIRECTIONS if drawn.label == "direction" else still.class_names
    return Dataset(
        name=name,
        class_names=names,
        train=parts["train"],
        validation=None,
        test=parts["test"],
        source=still.source,
        notes=(*still.notes, f"videos are labelled by {drawn.label}"),
    )


def _moving(
    image: np.ndarray, step: np.ndarray, drawn: MovingDigits, random: np.random.Generator
) -> np.ndarray:
    """A digit (8, 8, 1) uint8 on its way, (frames, size, size, 1) uint8."""
    half = drawn.size // 2
    first = np.zeros((drawn.size, drawn.size, 1), np.uint8)
    first[:half, :half] = resize(image, half)
    start, speed = random.integers(0, drawn.size, 2), random.integers(1, 3)
    places = start + np.arange(drawn.frames)[:, None] * speed * step
    return np.stack([np.roll(first, place, axis=(0, 1)) for place in places])


def _options(name: str) -> MovingDigits:
    _, colon, rest = name.partition(":")
    values: dict[str, str | int] = {}
    known = [each.name for each in fields(MovingDigits)]
    for word in rest.split(",") if colon else ():
        key, _, value = word.partition("=")
        if key not in known:
            raise unknown(f"option of {name}:", key, known)
        if key == "label":
            if value not in ("direction", "digit"):
                raise unknown(f"label of {name}:", value, ("direction", "digit"))
            values[key] = value
        elif not value.isdecimal() or int(value) < (8 if key == "size" else 1):
            least = "at least 8" if key == "size" else "above zero"
            raise UserError(f"{word!r} of {name}: {key} must be a whole number {least}")
        else:
            values[key] = int(value)
    return MovingDigits(**values)  # type: ignore[arg-type]
