"""Errors a user can mend, and the messages that help to do so."""

from __future__ import annotations

import contextlib
import difflib
import errno
import sys
from collections.abc import Callable, Iterable, Iterator

from cnn_jax.interruption import STATUS


class UserError(Exception):
    """Something the user asked for cannot be done; the message says what would be valid.

    Commands print the message without a traceback and exit with `exit_code`.

    Attributes:
      shared: whether all processes of a job raise it, so that one of them may say it.
      is_error: false of what was asked for, such as a stop.
    """

    exit_code = 2
    shared = False
    is_error = True


def unknown(what: str, name: str, valid: Iterable[str]) -> UserError:
    """An error for a misspelt `name`, with the nearest valid names and, if few, all of them."""
    names = sorted(valid)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    message = f"unknown {what} {name!r}"
    if near:
        message += f"; did you mean {' or '.join(map(repr, near))}?"
    else:
        message += "."
    if len(names) <= 40:
        message += f" Valid: {', '.join(names)}."
    return UserError(message)


def forget_closed_loops() -> None:
    """From now on nothing is printed where a read or write ends after its event loop.

    Of several that fail at once Orbax waits for the first only; what becomes of the others, later
    and in other threads, would be printed with a traceback for each.
    """
    shown = sys.unraisablehook
    if getattr(shown, "forgets_closed_loops", False):
        return

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            shown(unraisable)

    hook.forgets_closed_loops = True  # type: ignore[attr-defined]
    sys.unraisablehook = hook


@contextlib.contextmanager
def shown_to_user(process: Callable[[], int] = lambda: 0) -> Iterator[None]:
    """Within it a `UserError` ends the program: its message to stderr, no traceback.

    So does a name that is too long for a file.

    Args:
      process: gives the index of this process among those of its job; those after the first
        leave out what the first says as well.
    """
    try:
        yield
    except UserError as error:
        index = process()
        if index == 0:
            print(f"{'error: ' * error.is_error}{error}", file=sys.stderr)
        elif not error.shared:
            print(f"error in process {index}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        # No place where a name is looked up expects it, and it is always what a user gave.
        print(f"error: a name is too long for a file: {str(error.filename)[:200]}", file=sys.stderr)
        sys.exit(UserError.exit_code)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(STATUS)
