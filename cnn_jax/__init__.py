"""cnn_jax: a functional JAX codebase for research on convolutional networks."""

from cnn_jax.interruption import importing

with importing():
    from cnn_jax.data import from_arrays
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
        Series,
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
    "Series",
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
