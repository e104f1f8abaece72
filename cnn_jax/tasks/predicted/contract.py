"""What is asked of the stored predictions of a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cnn_jax.errors import UserError
from cnn_jax.tasks.contract import Metric

Columns = Mapping[str, np.ndarray]
"""Arrays (n, ...) by name."""


@dataclass(frozen=True, eq=False)
class Predicted(ABC):
    """What was told of n examples, and what is true.

    Attributes:
      columns: what the task has stored, its records and what it keeps besides.
      names: of the classes, tags or numbers.
      options: of the task.
    """

    METRICS: ClassVar[tuple[Metric, ...]] = ()
    COLUMNS: ClassVar[tuple[str, ...]] = ()
    """Those that must be there."""
    HEADLINE: ClassVar[tuple[str, ...]] = ()
    """The metrics that a comparison shows, the one that counts first."""

    columns: Columns
    names: tuple[str, ...]
    options: Mapping[str, Any]

    def fault(self) -> str | None:
        """Why no metrics can be made of the columns, such as of a damaged file; None if they can.

        Classes that check more ask this first.
        """
        lacking = [name for name in self.COLUMNS if name not in self.columns]
        if lacking:
            return f"the columns {' and '.join(lacking)} are lacking"
        if not len(self.columns[self.COLUMNS[0]]):
            return "there is no example"
        wide = [name for name in self.COLUMNS if self.columns[name].ndim > 1]
        for name in wide:
            if self.columns[name].shape[1] != len(self.names):
                return f"{name} has {self.columns[name].shape[1]} a row, of {len(self.names)} names"
        return None

    @abstractmethod
    def told(self) -> np.ndarray:
        """The numbers that the model gave, (n, ...)."""

    @abstractmethod
    def values(self) -> dict[str, np.ndarray]:
        """What metrics are made of, small arrays (n, ...)."""

    @abstractmethod
    def statistics(self, values: Columns) -> dict[str, float]:
        """Metrics that are quickly made of `values`, of all examples or of some drawn again."""

    def rankings(self) -> dict[str, float]:
        """Metrics for which all examples are put in order, which takes longer."""
        return {}

    def metrics(self) -> dict[str, float]:
        """All metrics."""
        return {**self.statistics(self.values()), **self.rankings()}

    def by_name(self) -> list[dict[str, Any]]:
        """A row of metrics for each class, tag or number."""
        return []

    def confusion(self) -> np.ndarray | None:
        """How many examples of each class (rows) are told to be of each (columns), (k, k) int64."""
        return None

    def right(self) -> np.ndarray | None:
        """Which examples are told right, (n,) bool; None where none is simply right or wrong."""
        return None

    @abstractmethod
    def averaged(self, others: Sequence[Predicted]) -> dict[str, np.ndarray]:
        """The columns of an ensemble of these and others, of the same examples in one order."""

    def not_finite(self) -> int:
        """Of how many examples what is told is not all finite numbers."""
        told = self.told()
        return int((~np.isfinite(told.reshape(len(told), -1)).all(axis=-1)).sum())

    def check_finite(self) -> None:
        """Checks that no temperature is fitted to what is no number.

        Raises:
          UserError: there is such.
        """
        if count := self.not_finite():
            raise UserError(
                f"no temperature is fitted: of {count:,} of {len(self.told()):,} examples what the "
                "model tells is no finite number"
            )

    def temperature(self) -> float:
        """What the logits are divided by so that the negative log-likelihood is least.

        Raises:
          UserError: these are no probabilities, or there is no such number.
        """
        raise UserError("a temperature is for probabilities, and here numbers are told")

    def at_temperature(self, temperature: float) -> dict[str, np.ndarray]:
        """The columns with logits divided by a temperature; every example is told as before."""
        raise UserError("a temperature is for probabilities, and here numbers are told")
