"""How much of what is sent is read: so that one file cannot fill the memory of this machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnn_jax.data.images import UnreadableImage, header
from cnn_jax.data.sound_files import head_of

MOST_BYTES = {"image": 32 << 20, "sound": 32 << 20, "series": 4 << 20, "tokens": 100_000}
"""Of a request, by the kind of the model's inputs."""
MOST_PIXELS = 25_000_000
MOST_SECONDS = 300
MOST_SAMPLES = 60_000_000
"""Of a sound before it is brought to the model's rate, of all channels."""
MOST_SERIES = 100
MOST_TIMES = 100_000


def check_pixels(file: Path, *, full_depth: bool) -> list[str]:
    """Checks the size of an image by its head, before its pixels are decoded.

    Args:
      file: the image.
      full_depth: whether 16 bits are read as such.

    Returns:
      What there is to say of how it is read.

    Raises:
      UnreadableImage: it has too many pixels, or is no image.
    """
    found = header(file, full_depth=full_depth)
    if found.height * found.width > MOST_PIXELS:
        raise UnreadableImage(
            str(file),
            f"has {found.width:,} x {found.height:,} pixels, more than the {MOST_PIXELS:,} that "
            "are read here; make it smaller",
        )
    notes = []
    if found.cut:
        notes.append("The picture has 16 bits, of which the upper 8 are read.")
    if found.wide:
        notes.append("The picture is grey of 16 bits, which are read as 8.")
    if found.pages:
        notes.append("The picture has several pages, of which the first is read.")
    return notes


def check_sound(file: Path) -> None:
    """Checks how long a sound is by its head, before its samples are decoded.

    Raises:
      UnreadableImage: it is too long, does not say how long it is, or is no sound.
    """
    found = head_of(file)
    if found.seconds > MOST_SECONDS:
        raise UnreadableImage(
            str(file),
            f"lasts {found.seconds:,.0f} s, longer than the {MOST_SECONDS} s that are read here; "
            "cut it",
        )
    samples = found.seconds * found.rate * found.channels
    if samples > MOST_SAMPLES:
        raise UnreadableImage(
            str(file),
            f"has {samples:,.0f} samples, more than the {MOST_SAMPLES:,} that are read here",
        )


def check_series(name: str, series: np.ndarray) -> None:
    """Checks how many series (n, t, c) there are, and how long, before they are told.

    Raises:
      UnreadableImage: they are too many, or too long.
    """
    count, times = series.shape[:2]
    if count > MOST_SERIES:
        raise UnreadableImage(
            name,
            f"holds {count:,} series, more than the {MOST_SERIES} that are told here; cnn-jax "
            "predict tells all of a file",
        )
    if times > MOST_TIMES:
        raise UnreadableImage(
            name, f"has {times:,} times, more than the {MOST_TIMES:,} that are read here"
        )
