"""cnn_jax: a functional JAX codebase for research on convolutional networks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnn_jax.data import Order, from_arrays
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
        Series,
        Sound,
        Task,
        Video,
    )
    from cnn_jax.runs.own_loop import make_batch, make_init, make_train_step, read_data
    from cnn_jax.runs.run import train
    from cnn_jax.runs.seeds import train_seeds
    from cnn_jax.trained import load
    from cnn_jax.training.callbacks import Callback, RunFacts
    from cnn_jax.training.trackers import MlflowLog, WandbLog

__all__ = [
    "Augment",
    "Callback",
    "Checkpoints",
    "Data",
    "Duration",
    "EarlyStopping",
    "Init",
    "Lookahead",
    "Loss",
    "MlflowLog",
    "Model",
    "Optimizer",
    "Order",
    "Parallel",
    "Preprocess",
    "Recipe",
    "RunFacts",
    "Schedule",
    "Series",
    "Sound",
    "Task",
    "UserError",
    "Video",
    "WandbLog",
    "epochs",
    "examples",
    "from_arrays",
    "load",
    "main",
    "make_batch",
    "make_init",
    "make_train_step",
    "percent",
    "read_data",
    "steps",
    "train",
    "train_seeds",
]

_PLACES = {
    **dict.fromkeys(("Duration", "epochs", "examples", "percent", "steps"), "duration"),
    "Parallel": "devices.layout",
    "UserError": "errors",
    **dict.fromkeys(("Order", "from_arrays"), "data"),
    **dict.fromkeys(("Callback", "RunFacts"), "training.callbacks"),
    **dict.fromkeys(("MlflowLog", "WandbLog"), "training.trackers"),
    **dict.fromkeys(("make_batch", "make_init", "make_train_step", "read_data"), "runs.own_loop"),
    "load": "trained",
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
