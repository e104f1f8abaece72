"""Locks on files, where the file system has them."""

from __future__ import annotations

import errno
import fcntl
from typing import IO

_NONE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}


def lock_file(file: IO[str], *, wait: bool = False) -> bool:
    """Locks a file until it is closed; false where its file system has no locks.

    Some network file systems have none, so that work must go on without.

    Args:
      file: open.
      wait: until another process lets it go.

    Raises:
      BlockingIOError: another process holds it.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _NONE:
            raise
        return False
    return True
