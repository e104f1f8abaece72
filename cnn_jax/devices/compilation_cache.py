"""JAX's cache of compiled programs on disk: switched on, bounded, and never in a run's way."""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
import threading
import time
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache

from cnn_jax.devices.user_cache import user_cache
from cnn_jax.errors import UserError
from cnn_jax.user_path import user_path

_MAX_BYTES = 2**30
"""Beyond this the programs that were not used for the longest time are deleted."""

_MIN_SECONDS = 0.5
"""Programs that compile faster than this are not stored."""

_MOMENT = 0.1
"""Seconds in which single operations compile, and no program with a model."""

_READING = "Error reading persistent compilation cache entry"
_WRITING = "Error writing persistent compilation cache entry"


@dataclass
class Compilation:
    """How a program was come by.

    Attributes:
      seconds: to trace and to compile or load it.
      loaded: programs that came from the cache.
      built: programs that were compiled, without those of a moment, which no cache is for.
      problem: why one could not be read or stored, if JAX said so.
    """

    seconds: float = 0.0
    loaded: int = 0
    built: int = 0
    problem: str | None = None
    _hit: bool = False

    def __add__(self, other: Compilation) -> Compilation:
        return Compilation(
            self.seconds + other.seconds,
            self.loaded + other.loaded,
            self.built + other.built,
            self.problem or other.problem,
        )

    def __str__(self) -> str:
        if self.loaded and not self.built:
            return f"from the cache in {self.seconds:.1f} s"
        told = f" ({self.problem})" if self.problem else ""
        return f"compiled in {self.seconds:.1f} s{told}"


_watching = threading.local()
"""The `Compilation` that a thread is about."""

_lock = threading.Lock()
_registered = False
_threads = 0
"""How many threads watch."""
_shown: tuple[Any, Any]
"""How warnings were shown before them, and how while they do."""
_unstored = 0
"""How many threads compile what is not stored."""
_least = 0.0
"""Seconds from which on programs were stored before them."""


def default_folder() -> Path:
    """Where programs lie unless JAX_COMPILATION_CACHE_DIR says otherwise."""
    return user_cache() / "compiled"


def use_cache() -> str | None:
    """Switches the cache on for this process, before it compiles anything.

    What the environment says of JAX's own settings stays: JAX_COMPILATION_CACHE_DIR,
    JAX_COMPILATION_CACHE_MAX_SIZE, JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS, and
    JAX_ENABLE_COMPILATION_CACHE=false, which switches it off.

    Returns:
      Why there is no cache, where its folder cannot be used.
    """
    if not jax.config.jax_enable_compilation_cache:
        return None
    folder = jax.config.jax_compilation_cache_dir or ""
    if "://" not in folder:
        try:
            folder = str(user_path(folder) if folder else default_folder())
        except UserError as error:
            return f"compiled programs are not kept: {error}"
    if "://" not in folder and (why := _unusable(Path(folder))) is not None:
        # XLA's own cache of tuned kernels lies there too, and ends a run that cannot write it.
        _set("jax_compilation_cache_dir", None)
        return f"compiled programs are not kept: {folder} cannot be used ({why})"
    if "://" not in folder:
        _complete(Path(folder))
    _set("jax_compilation_cache_dir", folder)
    for name, value in (
        ("jax_compilation_cache_max_size", _MAX_BYTES),
        ("jax_persistent_cache_min_compile_time_secs", _MIN_SECONDS),
    ):
        if name.upper() not in os.environ:
            _set(name, value)
    return None


def no_cache() -> None:
    """Switches the cache off for this process."""
    _set("jax_enable_compilation_cache", False)


def _set(name: str, value: Any) -> None:
    """Changes a setting of JAX; a cache that is already open would keep the old one."""
    if getattr(jax.config, name) != value:
        jax.config.update(name, value)
        compilation_cache.reset_cache()


def _unusable(folder: Path) -> str | None:
    """Why nothing can be written in a folder, if nothing can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror or str(error)


def _complete(folder: Path) -> None:
    """Gives entries without a time of use one that was long ago.

    They are left by processes that were killed or kept a cache without bounds. JAX 0.10 stores
    nothing in a bounded cache that has one.
    """
    # Others may delete or write in the same folder, and what cannot be mended is told by JAX.
    with contextlib.suppress(OSError):
        names = {each.name for each in folder.iterdir()}
        for name in names:
            used = f"{name.removesuffix('-cache')}-atime"
            if name.endswith("-cache") and used not in names:
                (folder / used).write_bytes(bytes(8))


@contextlib.contextmanager
def watched() -> Iterator[Compilation]:
    """Within it what this thread compiles is counted, and what the cache complains of is kept.

    A damaged entry is deleted, so that the next start of a program replaces it: JAX would compile
    it anew every time and leave what lies there. What is watched within is part of it.
    """
    outer = getattr(_watching, "compilation", None)
    if outer is not None:
        yield outer
        return
    found = _watching.compilation = Compilation()
    began = time.perf_counter()
    try:
        with _listening():
            yield found
    finally:
        found.seconds = time.perf_counter() - began
        _watching.compilation = None


@contextlib.contextmanager
def unstored() -> Iterator[None]:
    """Within it nothing that is compiled is stored, which this thread's `Compilation` tells."""
    global _unstored, _least
    with _lock:
        if not _unstored:
            _least = jax.config.jax_persistent_cache_min_compile_time_secs
            jax.config.update("jax_persistent_cache_min_compile_time_secs", math.inf)
        _unstored += 1
    try:
        yield
    finally:
        with _lock:
            _unstored -= 1
            if not _unstored:
                jax.config.update("jax_persistent_cache_min_compile_time_secs", _least)
        found = getattr(_watching, "compilation", None)
        if found is not None and jax.config.jax_enable_compilation_cache:
            # What jaxlib 0.12 does not do for programs that call oneDNN.
            found.problem = found.problem or "XLA cannot store programs that call oneDNN"


@contextlib.contextmanager
def _listening() -> Iterator[None]:
    """Within it JAX's events and warnings are heard: from the first thread in it to the last.

    Warnings are given to the process and not to who caused them. Its way of showing them is taken
    for so long, and given back unless another has taken it in between.
    """
    global _threads, _registered, _shown
    with _lock:
        if not _registered:
            _registered = True
            jax.monitoring.register_event_listener(_on_event)
            jax.monitoring.register_event_duration_secs_listener(_on_duration)
        if not _threads:
            plain = warnings.showwarning

            # A new one each time: one that another has wrapped must not come to wrap that.
            def shown(message: Warning | str, *rest: Any, **named: Any) -> None:
                if not _on_warning(str(message)):
                    plain(message, *rest, **named)

            _shown = plain, shown
            warnings.showwarning = shown
            # By default a warning that was given once is not given again.
            for text in (_READING, _WRITING):
                warnings.filterwarnings("always", message=text)
        _threads += 1
    try:
        yield
    finally:
        with _lock:
            _threads -= 1
            plain, shown = _shown
            if not _threads and warnings.showwarning is shown:
                warnings.showwarning = plain


def _on_event(event: str, **_: Any) -> None:
    found = getattr(_watching, "compilation", None)
    if found is not None and event == "/jax/compilation_cache/cache_hits":
        found._hit = True


def _on_duration(event: str, duration_secs: float, **_: Any) -> None:
    found = getattr(_watching, "compilation", None)
    # Comes last, and also for what the cache had.
    if found is not None and event == "/jax/core/compile/backend_compile_duration":
        found.loaded += found._hit
        found.built += not found._hit and duration_secs > _MOMENT
        found._hit = False


def _on_warning(text: str) -> bool:
    """Takes in what the cache complains of; false of other warnings."""
    if not text.startswith((_READING, _WRITING)):
        return False
    reading = text.startswith(_READING)
    if reading:
        _delete_damaged(text.partition("'")[2].partition("'")[0])
    found = getattr(_watching, "compilation", None)
    if found is not None:
        found.problem = _problem(text, reading=reading)
    return True


def _problem(text: str, *, reading: bool) -> str:
    reason = text.partition("': ")[2]
    if reading:
        return f"the cache could not be read: {reason}"
    return f"not stored in the cache: {reason}"


def _delete_damaged(name: str) -> None:
    """Deletes the programs of a name that cannot be unpacked.

    Where JAX packs them otherwise than by zlib, which has a checksum, all of the name go.
    """
    for entry in Path(jax.config.jax_compilation_cache_dir).glob(f"{name}-*-cache"):
        # Others may delete or write in the same folder.
        with contextlib.suppress(OSError):
            try:
                zlib.decompress(entry.read_bytes())
            except zlib.error:
                entry.unlink()
