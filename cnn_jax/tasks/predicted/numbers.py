"""Stored predictions of numbers, or of angles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnn_jax.tasks.contract import Metric
from cnn_jax.tasks.predicted.contract import Columns, Predicted


class Numbers(Predicted):
    """Numbers: `told` and `truth`, (n, d) each, in the unit of the data."""

    METRICS = (
        Metric("mae", form="{:.4g}"),
        Metric("rmse", form="{:.4g}"),
        Metric("median_error", form="{:.4g}"),
        Metric("bias", form="{:.4g}"),
        Metric("r2", higher=True),
    )
    COLUMNS = ("told", "truth")
    HEADLINE = ("mae", "rmse", "r2")

    @property
    def _angle(self) -> bool:
        return bool(self.options.get("angle", False))

    def told(self) -> np.ndarray:
        """See `Predicted`."""
        return self.columns["told"]

    def values(self) -> dict[str, np.ndarray]:
        """See `Predicted`."""
        told, truth = (self.columns[name].astype(np.float64) for name in ("told", "truth"))
        errors = told - truth
        if self._angle:
            errors = (errors + 180.0) % 360.0 - 180.0
        return {"error": errors, "truth": truth}

    def statistics(self, values: Columns) -> dict[str, float]:
        """See `Predicted`: means over the numbers."""
        return {
            name: float(np.mean(each)) for name, each in self._each(values).items() if len(each)
        }

    def _each(self, values: Columns) -> dict[str, np.ndarray]:
        """Of each number, (d,)."""
        errors, truth = values["error"], values["truth"]
        found = {
            "mae": np.mean(np.abs(errors), axis=0),
            "rmse": np.sqrt(np.mean(errors**2, axis=0)),
            "median_error": np.median(np.abs(errors), axis=0),
            "bias": np.mean(errors, axis=0),
        }
        if not self._angle:
            spread = np.sum((truth - truth.mean(axis=0)) ** 2, axis=0)
            unexplained = np.sum(errors**2, axis=0)
            nothing = np.full_like(spread, np.nan)
            found["r2"] = 1 - np.divide(unexplained, spread, out=nothing, where=spread > 0)
        return found

    def by_name(self) -> list[dict[str, Any]]:
        """See `Predicted`."""
        each = self._each(self.values())
        return [
            {"number": name, **{what: float(values[place]) for what, values in each.items()}}
            for place, name in enumerate(self.names)
        ]

    def averaged(self, others: Sequence[Predicted]) -> dict[str, np.ndarray]:
        """See `Predicted`: the mean of what is told, of angles that of their directions."""
        every = [one.columns["told"].astype(np.float64) for one in (self, *others)]
        if not self._angle:
            return {**self.columns, "told": np.mean(every, axis=0)}
        radians = np.deg2rad(every)
        across, along = np.sin(radians).mean(axis=0), np.cos(radians).mean(axis=0)
        return {**self.columns, "told": np.rad2deg(np.arctan2(across, along)) % 360.0}
