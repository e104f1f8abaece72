"""The command that lists the models."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import Annotated

import tyro

from cnn_jax.commands.output import print_rows
from cnn_jax.errors import unknown

_NARROW: dict[str, tuple[str, ...]] = {"wrap": ("paper",), "drop": ("paper", "input", "classes")}


@dataclass(frozen=True)
class Models:
    """List the models with their input, classes and paper; with names also their size and cost."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Names or patterns such as 'resnet*'. For these, parameters and multiply-adds of one example
    are shown too."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON, with all options and their defaults."""

    def __call__(self) -> None:
        """Prints a row for each model.

        Raises:
          UserError: a name or pattern finds no model.
        """
        from cnn_jax import models

        for pattern in self.names:
            if not fnmatch.filter(models.names(), pattern):
                raise unknown("model", pattern, models.names())
        if not self.names:
            rows = [models.describe(name) for name in models.names()]
            print_rows(
                rows, ("name", "input", "classes", "paper"), as_json=self.json, empty="", **_NARROW
            )
            return
        chosen = [
            name
            for name in models.names()
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in self.names)
        ]
        rows = [models.describe(name) | models.count(name) for name in chosen]
        columns = ("name", "parameters", "multiply_adds", "input", "paper")
        print_rows(rows, columns, as_json=self.json, empty="", **_NARROW)
