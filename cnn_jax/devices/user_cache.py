"""Where this user's machine keeps what can be made again."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache() -> Path:
    """`~/.cache/cnn_jax`, or `$XDG_CACHE_HOME/cnn_jax`; it need not be there."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cnn_jax"
