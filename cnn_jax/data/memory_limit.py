"""Whether a data set fits in memory, told before it is read."""

from __future__ import annotations

import os
from pathlib import Path

from cnn_jax.errors import UserError


def default_limit() -> int:
    """Half of the bytes of memory that this process could still take."""
    return available_memory() // 2


def available_memory() -> int:
    """Bytes of memory that can be had: of the machine, or of a container if that is less."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        available = int(fields["MemAvailable"].split()[0]) * 1024
    else:
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    group = Path("/sys/fs/cgroup")
    limit, used = group / "memory.max", group / "memory.current"
    if limit.exists() and (text := limit.read_text().strip()) != "max":
        available = min(available, int(text) - int(used.read_text()))
    return available


def check_size(
    name: str,
    n: int,
    shape: tuple[int, int, int],
    max_bytes: int | None = None,
    *,
    streams: bool = False,
) -> None:
    """Checks that n images of a shape (h, w, c) uint8 may be held in memory.

    Args:
      name: of the set.
      n: count of images.
      shape: (h, w, c) of each.
      max_bytes: the limit, by default half of the memory that is available.
      streams: whether it could be read from disk instead.

    Raises:
      UserError: they take more.
    """
    limit = default_limit() if max_bytes is None else max_bytes
    height, width, channels = shape
    need = n * height * width * channels
    if need <= limit:
        return
    whose = " (half of the memory that is available)" if max_bytes is None else ""
    side = int((limit / (n * channels)) ** 0.5)
    advice = (
        f"give a smaller --data.image-size, at most {side}"
        if side >= 1
        else "no --data.image-size is small enough"
    )
    advice += "; or let it stream (--data.streaming True)" * streams
    raise UserError(
        f"{name} would take {need / 1e9:.2f} GB as {n} images of {height}x{width}x{channels} "
        f"bytes, more than the {limit / 1e9:.2f} GB it may{whose}; {advice}"
    )
