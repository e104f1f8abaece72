"""The command that writes a run's model for other programs to read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from cnn_jax.errors import UserError


@dataclass(frozen=True)
class Export:
    """Write a run's model to a file for other programs, in PyTorch's names and layout.

    The names are those of torchvision, or else timm, or else of the public version that the
    family's file says. Families without such a table keep our own names and layout.
    """

    run: tyro.conf.Positional[Path]
    """A run folder."""
    to: Literal["safetensors"] = "safetensors"
    """The kind of file."""
    output: Path | None = None
    """The file, which must not be there yet; by default RUN/MODEL-stepSTEP.safetensors, which is
    written anew."""
    checkpoint: str = "best"
    """best, latest, or a step."""
    code: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """Files to use for code of your own that has changed, moved or gone since the run began. They
    are imported, which runs them."""

    def __call__(self) -> None:
        """Writes the file and names it.

        Raises:
          UserError: there is no such run, or the file is there or cannot be written.
        """
        if self.output is not None and self.output.exists():
            raise UserError(f"--output {self.output} is there already; name another file")
        from cnn_jax.pretrained.weights import export

        written = export(self.run, self.output, checkpoint=self.checkpoint, code=self.code)
        print(f"{written.arrays} arrays, names of {written.names}: {written.file}")
