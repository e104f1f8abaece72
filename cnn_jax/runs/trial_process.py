"""A trial in a process of its own: how it is started, and what it says at its end.

Imported by jobs of a cluster, which wait for such a process and need nothing else.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from cnn_jax.interruption import how_it_ended

LOG = "log.txt"
"""What the processes of a trial have printed, in its folder."""

OUTCOME = "outcome.json"
"""What has come of a trial, in its folder."""

_STARTED = "--- started "
_ERROR = "error: "


def start_trial(
    folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts `cnn-jax sweep-trial`, whose output goes to the folder's log.

    It saves and ends at a signal, and also where this process dies, which closes its stdin.

    Args:
      folder: of the trial, see `cnn_jax.runs.trial_folder`.
      environment: of the process, by default as here.
    """
    with (folder / LOG).open("a") as log:
        log.write(f"{_STARTED}{time.strftime('%Y-%m-%d %H:%M:%S')}\n")
        log.flush()
        # A session of its own: Ctrl-C reaches it once, through us.
        return subprocess.Popen(
            [sys.executable, "-m", "cnn_jax", "sweep-trial", str(folder), "--ends-with-stdin"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )


def note_failure(folder: Path, status: int) -> str:
    """How a trial's process has ended that left no outcome, in words; the log says it, too.

    Args:
      folder: of the trial.
      status: of its process.
    """
    said = "" if status < 0 else last_words(folder)
    why = f"ended with {how_it_ended(status)}" + f": {said}" * bool(said)
    with (folder / LOG).open("a") as log:
        log.write(f"{_ERROR}{why}\n")
    return why


def last_words(folder: Path) -> str:
    """The last error in the log of a trial's last process, or its last line; may be empty."""
    if not (folder / LOG).exists():
        return ""
    printed = (folder / LOG).read_text(errors="replace").rpartition(_STARTED)[2].splitlines()[1:]
    errors = [place for place, line in enumerate(printed) if line.startswith(_ERROR)]
    if errors:
        return "\n".join(printed[errors[-1] :]).removeprefix(_ERROR).strip()
    return next((line.strip() for line in reversed(printed) if line.strip()), "")
