"""Decoded splits kept on disk, so that only the first start decodes a hundred thousand images."""

from __future__ import annotations

import contextlib
import hashlib
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TypeVar

import numpy as np

from cnn_jax.data.dataset import Split

T = TypeVar("T")

MOST_BYTES = 2**30
"""Larger splits are decoded at every start: a second copy of them would fill disks."""

_PARTIAL = ".partial"
_STALE_SECONDS = 3600.0
"""A partial file that nothing was written to for so long was left by a process that has ended."""


def fingerprint(files: Sequence[Path], *facts: object) -> str:
    """A short name for the content of files, by their names, sizes and times, and other facts."""
    stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr((sorted(stats), facts)).encode()).hexdigest()[:16]


def kept(folder: Path, key: str, n: int, shape: Sequence[int], make: Callable[[], Split]) -> Split:
    """The split that was kept under a key, or a new one, which is then kept.

    Args:
      folder: where splits are kept; made if it is not there.
      key: what the split follows from.
      n: number of examples.
      shape: (h, w, c) of the images.
      make: decodes the split.
    """
    file = folder / f"{key}.npz"

    def stored() -> Split:
        with np.load(file) as arrays:
            return Split(arrays["images"], arrays["labels"])

    found = read(stored)
    if found is not None and found.images.shape == (n, *shape):
        return found
    split = make()
    if split.images.nbytes <= MOST_BYTES:
        write(file, lambda out: np.savez(out, images=split.images, labels=split.labels))
    return split


def read(stored: Callable[[], T]) -> T | None:
    """What was kept in a file, or None where it is not there or of no use.

    Args:
      stored: reads the file; whatever it raises, the file is as good as none. There is no list of
        what readers of archives raise for damaged ones.
    """
    with contextlib.suppress(Exception):
        return stored()
    return None


def write(file: Path, save: Callable[[IO[bytes]], object]) -> bool:
    """Writes a file whole, or not at all where the folder may not be written to.

    It can be read by whom the umask allows, since users may share the folder.

    Args:
      file: in a folder that is made if it is not there; others may share it.
      save: writes to what it is given.

    Returns:
      Whether it is written.
    """
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(file.parent)
        partial = file.with_name(f"{uuid.uuid4().hex}{_PARTIAL}")
        try:
            with partial.open("xb") as out:
                save(out)
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
        return True
    return False


def _remove_stale(folder: Path) -> None:
    for each in list(folder.iterdir()):
        if each.suffix == _PARTIAL:
            # Another process may be first, or it may be another user's.
            with contextlib.suppress(OSError):
                if each.stat().st_mtime < time.time() - _STALE_SECONDS:
                    each.unlink()
