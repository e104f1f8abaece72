"""Output that may fail without a harm to the work: a full disk, a closed terminal, `| head`."""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from collections.abc import Iterator
from typing import Any, TextIO


class Output:
    """What became of the output of a process.

    Attributes:
      failure: why the first piece that was lost could not be written to stdout, if one was lost.
    """

    failure: OSError | None = None


@contextlib.contextmanager
def forgiving_output() -> Iterator[Output]:
    """Within it nothing that is printed fails: what cannot be written is left out.

    Streams that are closed lead nowhere, also where a file would take their place.
    """
    found = Output()
    _open_closed()
    kept = sys.stdout, sys.stderr
    sys.stdout, lost = _forgiving(kept[0], found)
    sys.stderr, also_lost = _forgiving(kept[1], Output())
    try:
        yield found
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        # A stream with text that it could not write would try again when the process ends.
        if not (lost or also_lost):
            sys.stdout, sys.stderr = kept


class _Forgiving(io.FileIO):
    """A file descriptor that takes what it cannot write for written."""

    def __init__(self, descriptor: int, found: Output) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._found = found

    def write(self, data: Any) -> int:
        try:
            while (written := super().write(data)) is None:
                # Another program has set a terminal or pipe that we share not to block.
                select.select([], [self.fileno()], [])
        except OSError as error:
            self._found.failure = self._found.failure or error
            return memoryview(data).nbytes
        return written


def _forgiving(stream: TextIO, found: Output) -> tuple[TextIO, bool]:
    """A stream that is written as this one is, and whether this one holds text it cannot write.

    What is no file, such as a notebook's, stays as it is.
    """
    buffer = getattr(stream, "buffer", None)
    # PYTHONUNBUFFERED leaves the buffer out.
    raw = getattr(buffer, "raw", buffer)
    if type(raw) is not io.FileIO or not isinstance(stream, io.TextIOWrapper):
        return stream, False
    lost = False
    try:
        stream.flush()
    except OSError as error:
        found.failure, lost = error, True
    forgiving = _Forgiving(stream.fileno(), found)
    made = io.TextIOWrapper(
        io.BufferedWriter(forgiving) if raw is not buffer else forgiving,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
    return made, lost


def _open_closed() -> None:
    """Lets stdin, stdout and stderr lead nowhere where they are closed.

    The next files that are opened would get their numbers, and be written over by whoever speaks
    to stderr.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if descriptor == 0 else "w"))  # noqa: SIM115, PTH123
