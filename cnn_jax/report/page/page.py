"""The page of a run, one HTML file that loads nothing."""

from __future__ import annotations

from pathlib import Path


def page_of(run_folder: Path, *, extra_section: str | None = None) -> str:
    """The page of a run.

    Args:
      run_folder: of any task, finished or not.
      extra_section: HTML, with its own scripts and styles within it, that is put in at the top of
        the page, below its heading. It is taken as it is: nothing in it is escaped.

    Returns:
      A whole HTML document.

    Raises:
      UserError: it is no run folder, or cannot be read; or the extra `report` is not installed.
    """
    raise NotImplementedError
