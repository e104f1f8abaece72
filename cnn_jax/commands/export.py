"""The command that writes a run's model for other programs to read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from cnn_jax.errors import UserError


@dataclass(frozen=True)
class Export:
    """Write the model of a run to a file for PyTorch and other programs.

    Names and layout are those of torchvision if it has the model, else of timm, else of the public
    version named in the file of the model. Models without such names keep ours.
    """

    run: tyro.conf.Positional[Path]
    """A run folder, such as runs/digits_lenet5."""
    to: Literal["safetensors"] = "safetensors"
    """Format of the file."""
    output: Path | None = None
    """The file to write, which must not exist yet. By default RUN/MODEL-stepSTEP.safetensors, which
    is overwritten."""
    checkpoint: str = "best"
    """Which checkpoint: best, latest, or a step such as 500. Without validation, best is the
    latest."""
    code: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """A file with your own code, such as a model class, to use if it has changed, moved or been
    deleted since the run began; give the flag once for each file. The file is imported, which runs
    it."""

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
