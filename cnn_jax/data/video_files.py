"""Videos, from files or from folders of frames, as arrays of pixels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cnn_jax.data.images import UnreadableImage, decode
from cnn_jax.data.resizing import resize
from cnn_jax.errors import UserError

SUFFIXES = (
    ".mp4",
    ".avi",
    ".mov",
    ".mkv",
    ".webm",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".wmv",
    ".flv",
    ".gif",
)
"""What files of videos are called; what they are is told by their content."""

FRAMES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
"""What the frames of a video are called that is a folder."""

Size = int | tuple[int, int]
"""Side in pixels, or height and width, to which frames are resized."""

_LEAST = 0.9
"""Of the frames that a file says it has; with fewer it is cut off. Some files count frames that are
not shown."""


class Video(NamedTuple):
    """A video as it was read.

    Attributes:
      frames: (t, h, w, 3) uint8.
      stored: how many frames it has on disk.
    """

    frames: np.ndarray
    stored: int


def reader() -> Any:
    """The module that reads files of videos, which not every installation has.

    Raises:
      UserError: it is not there.
    """
    try:
        import av
    except ImportError as error:
        raise UserError(
            f"files of videos are read by PyAV, which cannot be loaded here ({error}); pip install "
            "'cnn-jax[video]' or pip install av brings it. Folders of frames need nothing more"
        ) from None
    return av


def is_video(path: Path) -> bool:
    """Whether a path is called as a file of a video, or is a folder that holds frames."""
    if path.is_dir():
        return bool(frames_in(path))
    return path.suffix.lower() in SUFFIXES


def frames_in(folder: Path) -> list[Path]:
    """The frames in a folder in their order: `frame2` stands before `frame10`."""
    found = [
        each
        for each in folder.iterdir()
        if each.suffix.lower() in FRAMES and not each.name.startswith(".")
    ]
    return sorted(found, key=_by_numbers)


def _by_numbers(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", path.stem)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def size_of(path: Path) -> tuple[int, int, int]:
    """How many frames a video has, and their height and width, by what its head tells.

    Of a file that does not say so it is 0 frames.

    Raises:
      UnreadableImage: it cannot be read.
    """
    if path.is_dir():
        files = frames_in(path)
        if not files:
            raise UnreadableImage(str(path), "holds no frames")
        height, width, _ = decode(files[0], 3).shape
        return len(files), height, width
    av = reader()
    _check_there(path)
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            return int(stream.frames), int(stream.height), int(stream.width)
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise UnreadableImage(str(path), _why(error)) from None


def read_video(path: Path, size: Size | None = None, most: int | None = None) -> Video:
    """Reads a video.

    Args:
      path: a file as `SUFFIXES` says, or a folder of frames.
      size: to which frames are resized, whatever their proportions; None leaves them as they are.
      most: of a video of more frames every second, third and so on is kept, so that there are no
        more than these.

    Raises:
      UnreadableImage: it is no video, holds no frame, ends before it should, or its frames differ
        in size.
    """
    if path.is_dir():
        files = frames_in(path)
        if not files:
            raise UnreadableImage(str(path), "holds no frames")
        kept = files[:: step_of(len(files), most)]
        return Video(_same_size(path, [decode(file, 3) for file in kept], size), len(files))
    frames = _decoded(path, size)
    return Video(np.stack(frames[:: step_of(len(frames), most)]), len(frames))


def step_of(count: int, most: int | None) -> int:
    """From a frame to the next that is kept, where of so many no more than `most` are."""
    return 1 if most is None else max(1, -(-count // most))


def _same_size(path: Path, frames: Sequence[np.ndarray], size: Size | None) -> np.ndarray:
    shapes = sorted({each.shape[:2] for each in frames})
    if len(shapes) > 1:
        told = " and ".join(f"{height}x{width}" for height, width in shapes[:3])
        raise UnreadableImage(str(path), f"holds frames of different sizes, {told} pixels")
    whole = np.stack(frames)
    return whole if size is None else resize(whole, size)


def _decoded(path: Path, size: Size | None) -> list[np.ndarray]:
    """All frames of a file."""
    av = reader()
    _check_there(path)
    frames: list[np.ndarray] = []
    declared = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UnreadableImage(str(path), "holds no pictures that move")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            declared = int(stream.frames)
            for frame in container.decode(stream):
                pixels = frame.to_ndarray(format="rgb24")
                frames.append(pixels if size is None else resize(pixels, size))
    except (av.FFmpegError, OSError, ValueError) as error:
        after = f" after {len(frames):,} frames" if frames else ""
        raise UnreadableImage(str(path), _why(error) + after) from None
    if len(frames) < _LEAST * declared:
        raise UnreadableImage(
            str(path),
            f"is cut off: it should hold {declared:,} frames, and {len(frames):,} can be read",
        )
    if not frames:
        raise UnreadableImage(str(path), "holds no frame")
    if len({each.shape for each in frames}) > 1:
        raise UnreadableImage(str(path), "holds frames of different sizes")
    return frames


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise UnreadableImage(str(path), "there is no such file")
    if not path.stat().st_size:
        raise UnreadableImage(str(path), "is empty")


def _why(error: Exception) -> str:
    told = str(getattr(error, "strerror", None) or error).rstrip(".")
    return f"cannot be read as a video ({told})"


def lengths(clips: np.ndarray) -> np.ndarray:
    """How many frames each of the videos (n, t, h, w, c) uint8 has before its end, (n,) int.

    After the end all is black; so frames are not counted that are black up to the end.
    """
    there = np.stack([each.any(axis=(1, 2, 3)) for each in clips])
    last = there.shape[1] - np.argmax(there[:, ::-1], axis=1)
    return np.where(there.any(axis=1), last, 1)


def padded(clips: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Videos (t, h, w, c) uint8 of any lengths as one array (n, length, h, w, c), black after."""
    whole = np.zeros((len(clips), length, *clips[0].shape[1:]), np.uint8)
    for row, frames in zip(whole, clips, strict=True):
        row[: len(frames)] = frames
    return whole
