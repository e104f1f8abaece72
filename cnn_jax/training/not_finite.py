"""Where a computation first goes wrong."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax


def first_not_finite(run: Callable[[], Any]) -> str | None:
    """The operation that first gives a number which is not finite, and the lines that led to it.

    Args:
      run: computes something; it is run operation by operation, which takes long.

    Returns:
      Text for a user, or None where all numbers are finite.
    """
    try:
        with jax.disable_jit(), jax.debug_nans(True), jax.debug_infs(True):
            run()
    except FloatingPointError as error:
        package = str(Path(__file__).parent.parent)
        places = [
            f"{frame.filename}:{frame.lineno}, in {frame.name}: {frame.line}"
            for frame in traceback.extract_tb(error.__traceback__)
            if "site-packages" not in frame.filename or frame.filename.startswith(package)
        ]
        return f"{str(error).splitlines()[0]}\n  " + "\n  ".join(places[-3:])
    return None
