"""Whether a data set fits in memory, told before it is read."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cnn_jax.data.containers import MAX_PIXELS
from cnn_jax.errors import UserError


def default_limit() -> int:
    """Half of the bytes of memory that this process could still take."""
    return available_memory() // 2


def available_memory(root: Path = Path("/")) -> int:
    """Bytes of memory that can be had: of the machine, or of a control group if that is less.

    A container, a job of Slurm and each of its steps are groups, one within the other, and each may
    have a limit of its own. What a group holds of files that were read counts as free: the system
    gives it up when memory is asked for.

    Args:
      root: where /proc and /sys lie.
    """
    available = _of_machine(root)
    for group, names in _groups(root):
        # Not every group has a limit, and some files may be read by the administrator alone.
        with contextlib.suppress(OSError, ValueError, KeyError):
            limit = int((group / names.limit).read_text())
            used = int((group / names.used).read_text())
            with contextlib.suppress(OSError, ValueError, KeyError):
                used -= _fields(group / "memory.stat", None)[names.given_up]
            available = min(available, limit - used)
    return max(available, 0)


class _Names(NamedTuple):
    """What the files and fields of a control group are called."""

    limit: str
    used: str
    given_up: str


_VERSION_1 = _Names("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_VERSION_2 = _Names("memory.max", "memory.current", "inactive_file")


def _of_machine(root: Path) -> int:
    meminfo = root / "proc" / "meminfo"
    if meminfo.exists():
        return _fields(meminfo, ":")["MemAvailable"] * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _groups(root: Path) -> Iterator[tuple[Path, _Names]]:
    """The folders of the memory groups that this process is in, from the innermost out."""
    mounts = list(_mounts(root))
    for line in _lines(root / "proc" / "self" / "cgroup"):
        number, controllers, path = line.split(":", 2)
        if number != "0" and "memory" not in controllers.split(","):
            continue
        names = _VERSION_2 if number == "0" else _VERSION_1
        for mounted, top, version in mounts:
            if version is not names:
                continue
            # Within a container its own group may be mounted, which the path still goes through.
            inner = Path(path.removeprefix(mounted.rstrip("/")).lstrip("/"))
            if ".." in inner.parts or not (top / inner).is_dir():
                inner = Path()
            for each in (inner, *inner.parents):
                yield top / each, names


def _mounts(root: Path) -> Iterator[tuple[str, Path, _Names]]:
    """Of each mount of memory groups the group that is mounted, where, and its version."""
    for line in _lines(root / "proc" / "self" / "mountinfo"):
        before, _, after = line.partition(" - ")
        kind, *_, options = after.split()
        _, _, _, mounted, point, *_ = before.split()
        top = root / point.replace("\\040", " ").lstrip("/")
        if kind == "cgroup2":
            yield mounted, top, _VERSION_2
        elif kind == "cgroup" and "memory" in options.split(","):
            yield mounted, top, _VERSION_1


def _lines(file: Path) -> list[str]:
    """The lines of a file; none where there is no such file."""
    with contextlib.suppress(OSError):
        return file.read_text().splitlines()
    return []


def _fields(file: Path, separator: str | None) -> dict[str, int]:
    """The first number of each line of a file, by what stands before the separator."""
    pairs = (line.split(separator, 1) for line in file.read_text().splitlines())
    return {name: int(values.split()[0]) for name, values in pairs}


def check_side(flag: str, side: int | None) -> None:
    """Checks the side in pixels that images are to have, before anything is made of it.

    Args:
      flag: or what else it was given by.
      side: None for none.

    Raises:
      UserError: it is below 1, or a square of it would be larger than any image that is read.
    """
    most = math.isqrt(MAX_PIXELS)
    if side is not None and not 1 <= side <= most:
        why = "must be at least 1" if side < 1 else f"must be at most {most:,} pixels"
        raise UserError(f"{flag} {side} {why}")


def check_batch_size(batch_size: int, *images: tuple[tuple[int, ...], int]) -> None:
    """Checks that the inputs of a batch may be held in memory.

    Args:
      batch_size: examples.
      images: the shape of one, such as (h, w, c), and the bytes of each value of it, for each form
        in which a batch is held.

    Raises:
      UserError: they take more than half of what is available.
    """
    need = batch_size * sum(math.prod(shape) * size for shape, size in images)
    if need > (limit := default_limit()):
        what = "images" if len(images[-1][0]) == 3 else "examples"
        raise UserError(
            f"a batch of {batch_size:,} {what} of {'x'.join(map(str, images[-1][0]))} takes "
            f"{need / 1e9:.1f} GB before the first layer, more than the {limit / 1e9:.1f} GB it "
            "may (half of the memory that is available); give a smaller --batch-size, "
            "--data.image-size or --preprocess.size"
        )


def check_size(
    name: str,
    n: int,
    shape: tuple[int, ...],
    max_bytes: int | None = None,
    *,
    value_bytes: int = 1,
    streams: bool = False,
) -> None:
    """Checks that n images of a shape (h, w, c) may be held in memory.

    Args:
      name: of the set.
      n: count of images.
      shape: (h, w, c) of each.
      max_bytes: the limit, by default half of the memory that is available.
      value_bytes: of each value of them.
      streams: whether it could be read from disk instead.

    Raises:
      UserError: they take more.
    """
    limit = default_limit() if max_bytes is None else max_bytes
    height, width, channels = shape
    need = n * height * width * channels * value_bytes
    if need <= limit:
        return
    whose = " (half of the memory that is available)" if max_bytes is None else ""
    side = int((limit / (n * channels * value_bytes)) ** 0.5)
    advice = (
        f"give a smaller --data.image-size, at most {side}"
        if side >= 1
        else "no --data.image-size is small enough"
    )
    advice += "; or let it stream (--data.streaming True)" * streams
    size = "bytes" if value_bytes == 1 else f"values of {value_bytes} bytes"
    raise UserError(
        f"{name} would take {need / 1e9:.2f} GB as {n} images of {height}x{width}x{channels} "
        f"{size}, more than the {limit / 1e9:.2f} GB it may{whose}; {advice}"
    )
