"""The command that writes what there is to say of runs as one HTML file: report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from cnn_jax.commands.shown_run import check_least
from cnn_jax.errors import UserError

if TYPE_CHECKING:
    from cnn_jax.report.page.described import Asked, Described

_HEAD = 4000
"""In so many bytes at its beginning a file of ours says so."""


@dataclass(frozen=True)
class Report:
    """Write a report of a run, or of several runs side by side, as one HTML file that needs no
    network.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders. Several, or a folder that contains several, are compared."""
    output: Path = Path("report.html")
    """The HTML file to write. An older report of this name is replaced."""
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Overwrite --output even if it is not a report."""
    card: Path | None = None
    """Also write a model card of the run in Markdown to this file."""
    view: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A view of your own, FILE.py:NAME: a function of the run that returns HTML or a picture. Give
    the flag once for each."""
    split: Literal["validation", "test"] | None = None
    """Part of the data whose examples and mistakes are shown. By default validation, so that the
    test part stays unseen. Without validation: examples of the training part, mistakes of the test
    part."""
    examples: int = 24
    """How many examples of the data are shown."""
    mistakes: int = 150
    """How many mistakes are shown at most."""
    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""
    code: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """A file with your own code, such as a model class, to use if it has changed, moved or been
    deleted since the run began; give the flag once for each file. The file is imported, which runs
    it."""

    def __call__(self) -> None:
        """Writes the file, and prints what is not in it.

        Raises:
          UserError: there is no such run, or it is damaged; or the file may not be written.
        """
        from cnn_jax.commands.found_runs import find_runs
        from cnn_jax.report.page.libraries import check_libraries

        check_libraries()
        if not self.runs:
            raise UserError("no run is given: cnn-jax report RUN...")
        check_least(examples=self.examples, mistakes=self.mistakes)
        for flag, file in (("--output", self.output), ("--card", self.card)):
            if file is not None:
                check_output(flag, file, overwrite=self.overwrite)
        folders: list[Path] = []
        for run in self.runs:
            below = find_runs(run) if run.is_dir() else []
            folders += below or [run]
        if len(folders) == 1:
            self._one(folders[0])
        else:
            self._several(folders)

    def _one(self, run: Path) -> None:
        from cnn_jax.commands.output import show
        from cnn_jax.report.page.card import card
        from cnn_jax.report.page.described import described
        from cnn_jax.report.page.page import page

        found = described(run, self._asked())
        written = [(self.output, page(found))]
        if self.card is not None:
            written.append((self.card, card(found)))
        for file, text in written:
            write_output(file, text)
        show([("", line) for line in _left_out(found)])
        print(", ".join(f"{file} ({_size(text)})" for file, text in written))

    def _asked(self) -> Asked:
        from cnn_jax.report.page.described import Asked
        from cnn_jax.report.page.views import view_named

        return Asked(
            self.split,
            self.examples,
            self.mistakes,
            self.data_dir,
            self.code,
            [view_named(name) for name in self.view],
        )

    def _several(self, runs: Sequence[Path]) -> None:
        from cnn_jax.commands.output import show
        from cnn_jax.report.page.comparison import compared, comparison_page

        for flag, given in (("--card", self.card), ("--view", self.view)):
            if given:
                raise UserError(f"{flag} is of one run, and here are {len(runs)}: give one of them")
        found = compared(runs, self.split)
        text = comparison_page(found)
        write_output(self.output, text)
        show([("", line) for line in found.notes])
        print(f"{self.output} ({_size(text)})")


def check_output(flag: str, file: Path, *, overwrite: bool) -> None:
    """Refuses to write over what is no report of ours.

    Raises:
      UserError: such a file lies there, or a folder.
    """
    from cnn_jax.report.page.page import GENERATOR

    if file.is_dir():
        raise UserError(f"{flag} {file} is a folder; give a file")
    if overwrite or not file.exists():
        return
    try:
        with file.open("rb") as given:
            head = given.read(_HEAD)
    except OSError as error:
        raise UserError(f"{flag} {file} cannot be read: {error.strerror}") from None
    if GENERATOR.encode() not in head:
        raise UserError(
            f"{flag} {file} is there already, and is no report; give another file, or --overwrite"
        )


def write_output(file: Path, text: str) -> None:
    """Writes a file whole or not at all.

    Raises:
      UserError: it cannot be written.
    """
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror or error}") from None


def _left_out(found: Described) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for section, why in found.left_out.items():
        by_reason.setdefault(why, []).append(section)
    return [f"left out: {', '.join(names)}: {why}" for why, names in by_reason.items()]


def _size(text: str) -> str:
    count = len(text.encode())
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
