"""cnn_jax: a functional JAX codebase for research on convolutional networks."""

from cnn_jax.interruption import importing

with importing():
    from cnn_jax.data import Order, from_arrays
    from cnn_jax.devices.mesh import Parallel
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
    "Task",
    "UserError",
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
