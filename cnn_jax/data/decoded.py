"""Decoded splits kept on disk, so that only the first start decodes a hundred thousand images."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO
from zipfile import BadZipFile

import numpy as np

from cnn_jax.data.dataset import Split

MOST_BYTES = 2**30
"""Larger splits are decoded at every start: a second copy of them would fill disks."""


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
    # A file that is damaged, or that may not be read, is as good as none.
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
        with np.load(file) as stored:
            split = Split(stored["images"], stored["labels"])
        if split.images.shape == (n, *shape):
            return split
    split = make()
    if split.images.nbytes <= MOST_BYTES:
        write(file, lambda out: np.savez(out, images=split.images, labels=split.labels))
    return split


def write(file: Path, save: Callable[[IO[bytes]], None]) -> bool:
    """Writes a file whole, or not at all where the folder may not be written to.

    Args:
      file: in a folder that is made if it is not there; others may share it.
      save: writes to what it is given.

    Returns:
      Whether it is written.
    """
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, partial = tempfile.mkstemp(dir=file.parent, suffix=".partial")
        try:
            with os.fdopen(descriptor, "wb") as out:
                save(out)
            Path(partial).replace(file)
        finally:
            Path(partial).unlink(missing_ok=True)
        return True
    return False
