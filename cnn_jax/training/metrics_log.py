"""Training and validation metrics as JSON lines and TensorBoard events."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter


class MetricsLog:
    """Writes metrics of a run; lines after the step it goes on from are taken back.

    Args:
      file: the JSON lines.
      tensorboard: the folder of TensorBoard's events.
      step: the number of updates that the run starts or goes on from.
      validated: the step of the last validation that the run knows of.
    """

    def __init__(self, file: Path, tensorboard: Path, step: int, validated: int) -> None:
        _cut(file, step, validated)
        self._file = file.open("a")
        self._writer = SummaryWriter(str(tensorboard), purge_step=step + 1 if step else None)

    def write(self, kind: str, step: int, values: dict[str, Any]) -> None:
        """Adds a line.

        Args:
          kind: `train` or `validation`.
          step: the number of updates made.
          values: numbers, or dictionaries of numbers by layer.
        """
        self._file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        for name, value in values.items():
            if isinstance(value, dict):
                for layer, number in value.items():
                    self._writer.add_scalar(f"{name}/{layer}", number, step)
            elif isinstance(value, int | float):
                self._writer.add_scalar(f"{kind}/{name}", value, step)

    def flush(self) -> None:
        """Returns when all lines are on disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._writer.flush()

    def close(self) -> None:
        """Writes what is left and closes the files."""
        self.flush()
        self._file.close()
        self._writer.close()


def _cut(file: Path, step: int, validated: int) -> None:
    """Takes back what the run will write again, and a last line that was cut short."""
    if not file.exists():
        return
    kept = []
    for line in file.read_text().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry["step"] <= (step if entry["kind"] == "train" else validated):
            kept.append(line + "\n")
    partial = file.with_name(file.name + ".partial")
    partial.write_text("".join(kept))
    partial.replace(file)
