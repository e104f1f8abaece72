"""What `train` returns."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from cnn_jax.errors import UserError
from cnn_jax.run_folder import RunFolder
from cnn_jax.trained import TrainedModel, load


class Result(dict[str, Any]):
    """The summary of a finished run, as it is stored in `summary.json`, and what lies beside it.

    Args:
      summary: what is stored.
      folder: the run folder.
    """

    def __init__(self, summary: dict[str, Any], folder: Path) -> None:
        super().__init__(summary)
        self.folder = folder

    @property
    def metrics(self) -> dict[str, Any] | None:
        """The test metrics by name; None where there is no test part."""
        found: dict[str, Any] | None = self["test"]
        return found

    @functools.cached_property
    def history(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`: `kind` (train, validation or restart), `step`, numbers.

        Raises:
          UserError: the file is gone or damaged.
        """
        file = RunFolder(self.folder).metrics
        try:
            return [json.loads(line) for line in file.read_text().splitlines()]
        except (OSError, ValueError) as error:
            raise UserError(f"{file} cannot be read: {error}") from None

    @functools.cached_property
    def model(self) -> TrainedModel:
        """The model of the best checkpoint, read when it is first asked for."""
        return load(self.folder)
