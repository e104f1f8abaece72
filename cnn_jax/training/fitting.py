"""Parameters that are fitted to the data before the first step, where a model asks for that."""

from __future__ import annotations

from typing import Any

import jax
from flax import linen as nn

from cnn_jax.devices.processes import of_first
from cnn_jax.tasks import Task

FITTED_TO = 5000
"""Training examples that parameters are fitted to, as in airbench."""


def fits(model: nn.Module) -> bool:
    """Whether a model asks for that, by a method `fitted(params, inputs) -> params`."""
    return getattr(model, "fitted", None) is not None


def fitted(model: nn.Module, task: Task, params: Any, inputs: Any) -> Any:
    """Parameters fitted to the data.

    The model is given the first `FITTED_TO` training examples as evaluation prepares them.

    Args:
      model: one that `fits`.
      task: what it is trained for.
      params: arrays of this host.
      inputs: raw, a tree of arrays (n, ...), those of the training part.
    """
    # On one device of each process: fitting is no program for many. Those of the first count,
    # since others' last digits may differ.
    first = jax.tree.map(lambda leaf: leaf.addressable_data(0)[:FITTED_TO], inputs)
    fit: Any = getattr(model, "fitted")  # noqa: B009
    return of_first(fit(params, task.prepared(first)))
