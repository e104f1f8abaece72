"""Files of sounds: WAV, FLAC, OGG and what else libsndfile reads, as samples of one channel."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cnn_jax.data.images import UnreadableImage
from cnn_jax.errors import UserError

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au")
"""What files of sounds are called; what they are is told by their content."""

END = -(2**15)
"""What stands after the end of a sound that is shorter than others; no sample has this value."""

_MOST = 2**15 - 1
_SHOULD_BE = re.compile(r"^\s*data\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_UNKNOWN_LENGTHS = (0, 2**31 - 1, 2**32 - 1)
"""What a program writes for the length of a WAV that it sends on before it knows it."""


class SoundFile(NamedTuple):
    """A sound as it was read.

    Attributes:
      samples: (t,) int16 of one channel.
      rate: samples a second, of the file.
      channels: of the file, whose mean it is.
      loud: whether samples were beyond -1 to 1, and were cut off there.
    """

    samples: np.ndarray
    rate: int
    channels: int
    loud: bool = False


def reader() -> Any:
    """The module that reads sounds; importing it loads a library that not every run needs.

    Raises:
      UserError: it cannot be loaded.
    """
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the library that it speaks to is not there
        raise UserError(
            f"sounds are read by soundfile, which cannot be loaded here ({error}); pip install "
            "soundfile brings it"
        ) from None
    return soundfile


class Head(NamedTuple):
    """What the head of a file of sound tells.

    Attributes:
      rate: samples a second.
      seconds: how long it is.
      channels: how many it has.
    """

    rate: int
    seconds: float
    channels: int = 1


def head_of(file: Path) -> Head:
    """Rate, length and channels of a file, by its head.

    Raises:
      UnreadableImage: it cannot be read.
    """
    soundfile = reader()
    try:
        found = soundfile.info(str(file))
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise UnreadableImage(str(file), _why(file, error)) from None
    return Head(int(found.samplerate), found.frames / found.samplerate, int(found.channels))


def read_sound(file: Path, rate: int | None = None) -> SoundFile:
    """Reads a file of sound as one channel at a rate.

    Several channels become their mean. Another rate is reached by a polyphase filter, which lets
    nothing through above half of the lower rate.

    Args:
      file: as `SUFFIXES` says.
      rate: samples a second of what is returned; None for the file's own.

    Raises:
      UnreadableImage: it is no sound, is empty, or ends before it should.
    """
    soundfile = reader()
    try:
        with soundfile.SoundFile(str(file)) as opened:
            declared, own, about = opened.frames, int(opened.samplerate), opened.extra_info
            values = opened.read(dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise UnreadableImage(str(file), _why(file, error)) from None
    short = _SHOULD_BE.search(about)
    if short and int(short[2]) < int(short[1]) and int(short[1]) not in _UNKNOWN_LENGTHS:
        raise UnreadableImage(
            str(file), f"is cut off: it should hold {int(short[1]):,} bytes and has {short[2]}"
        )
    if len(values) < declared and declared < 2**62:
        raise UnreadableImage(
            str(file), f"is cut off: it should hold {declared:,} samples and has {len(values):,}"
        )
    if not len(values):
        raise UnreadableImage(str(file), "holds no sample")
    if not np.isfinite(values).all():
        raise UnreadableImage(str(file), "holds samples that are no finite numbers")
    mean = values.mean(axis=1)
    # Another rate swings a little beyond the samples of its own; that is none of the file's doing.
    loud = bool(np.abs(mean).max() > 1)
    return SoundFile(in_16_bits(at_rate(mean, own, rate or own)), own, values.shape[1], loud)


def at_rate(samples: np.ndarray, own: int, rate: int) -> np.ndarray:
    """Samples (t,) float32 at another rate, (ceil(t rate / own),) float32."""
    if own == rate:
        return samples
    # It takes a moment to import, and most sets have one rate.
    from scipy.signal import resample_poly

    step = math.gcd(own, rate)
    return np.asarray(resample_poly(samples, rate // step, own // step), np.float32)


def in_16_bits(samples: np.ndarray) -> np.ndarray:
    """Samples of -1 to 1 as int16, -32,767 at least; what is louder is cut off."""
    return np.clip(np.rint(samples * 2**15), -_MOST, _MOST).astype(np.int16)


def padded(sounds: list[np.ndarray], length: int) -> np.ndarray:
    """Sounds (t,) int16 of any lengths as one array (n, length), `END` after their ends."""
    whole = np.full((len(sounds), length), END, np.int16)
    for row, samples in zip(whole, sounds, strict=True):
        row[: len(samples)] = samples
    return whole


def at_least(sounds: np.ndarray, length: int) -> np.ndarray:
    """Sounds (n, t) int16 that are held as at least so many samples."""
    return np.pad(sounds, ((0, 0), (0, max(0, length - sounds.shape[1]))), constant_values=END)


def lengths(sounds: np.ndarray) -> np.ndarray:
    """How many samples each of the sounds (n, t) has before its end, (n,) int."""
    return np.sum(sounds != END, axis=1)


def _why(file: Path, error: Exception) -> str:
    if not file.is_file():
        return "there is no such file"
    if not file.stat().st_size:
        return "is empty"
    told = str(getattr(error, "error_string", error)).rstrip(".")
    return f"cannot be read as a sound ({told})"
