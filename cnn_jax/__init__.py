"""cnn_jax: a functional JAX codebase for research on convolutional networks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnn_jax.data import from_arrays
    from cnn_jax.devices.layout import Parallel
    from cnn_jax.duration import Duration, epochs, examples, percent, steps
    from cnn_jax.errors import UserError
    from cnn_jax.launch import main
    from cnn_jax.recipe import (
        Augment,
        Checkpoints,
        Data,
        EarlyStopping,
        Init,
        Lookahead,
        Loss,
        Model,
        Optimizer,
        Preprocess,
        Recipe,
        Schedule,
        Task,
    )
    from cnn_jax.runs.run import train
    from cnn_jax.runs.seeds import train_seeds

__all__ = [
    "Augment",
    "Checkpoints",
    "Data",
    "Duration",
    "EarlyStopping",
    "Init",
    "Lookahead",
    "Loss",
    "Model",
    "Optimizer",
    "Parallel",
    "Preprocess",
    "Recipe",
    "Schedule",
    "Task",
    "UserError",
    "epochs",
    "examples",
    "from_arrays",
    "main",
    "percent",
    "steps",
    "train",
    "train_seeds",
]

_PLACES = {
    **dict.fromkeys(("Duration", "epochs", "examples", "percent", "steps"), "duration"),
    "Parallel": "devices.layout",
    "UserError": "errors",
    "from_arrays": "data",
    "main": "launch",
    "train": "runs.run",
    "train_seeds": "runs.seeds",
}
"""Where a name is, if not in `recipe`. It is imported when it is first asked for: an experiment
that is only asked for its flags needs no JAX."""


_PACKAGES = ("augment", "data", "models", "tasks")


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"cnn_jax.{name}")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cnn_jax.interruption import importing

    with importing():
        module = importlib.import_module(f"cnn_jax.{_PLACES.get(name, 'recipe')}")
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
