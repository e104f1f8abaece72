"""Where this user's machine keeps what can be made again."""

from __future__ import annotations

import os
from pathlib import Path

from cnn_jax.user_path import user_path


def user_cache() -> Path:
    """`~/.cache/cnn_jax`, or `$XDG_CACHE_HOME/cnn_jax`; it need not be there."""
    return user_path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "cnn_jax"
