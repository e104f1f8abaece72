"""Scripts that train although they are only imported, by the processes that read their images."""

from __future__ import annotations

import multiprocessing
import os
import sys

from cnn_jax.own.importing import stop_if_importing

UNGUARDED = 78
"""Status with which a process ends that has found its script without a guard (EX_CONFIG)."""


def end_if_imported() -> None:
    """Ends this process, silently, if it is a worker that has yet to import its script.

    Where a file is imported for the code in it, to use a run's model, its import ends.

    Such a process runs the script again; without the guard it would train as well, and start
    workers of its own. `no_guard` is what the one that started it says.
    """
    # What Python's own check looks at, which comes too late for us.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(UNGUARDED)
    stop_if_importing()


def no_guard() -> str:
    """What is said of a script whose workers have ended so."""
    script = getattr(sys.modules.get("__main__"), "__file__", None) or "the script"
    return (
        f"{script} trains whenever it is imported, and the processes that read its images import "
        "it. Put what trains under a guard:\n"
        '    if __name__ == "__main__":\n'
        "        main(recipe)\n"
        "or read in threads: --workers 0, or workers=0 for a call of train."
    )
