"""Orbax's own remarks, which a user can do nothing about."""

from __future__ import annotations

import logging


class _NotOfOrbax(logging.Filter):
    """Drops what Orbax says through the logger that it shares with other libraries."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a remark is shown."""
        return "/orbax/" not in record.pathname.replace("\\", "/")


_FILTER = _NotOfOrbax()


def quiet_orbax() -> None:
    """Keeps Orbax's remarks off the terminal from now on; what it raises is told by us."""
    logging.getLogger("absl").addFilter(_FILTER)
