"""The command that lists the models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from cnn_jax import models
from cnn_jax.commands.output import print_rows


@dataclass(frozen=True)
class Models:
    """List the models: parameters, multiply-adds of one image, input, paper."""

    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON, with every option and its default."""

    def __call__(self) -> None:
        """Prints a row for each model."""
        columns = ("name", "parameters", "multiply_adds", "input", "paper")
        print_rows(models.table(), columns, as_json=self.json, empty="no models")
