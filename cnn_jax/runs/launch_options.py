"""How a recipe is run, as a command line says it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from cnn_jax.devices.layout import Parallel, Processes
from cnn_jax.recipe import Recipe
from cnn_jax.training.tracker_names import Tracker


@dataclass(frozen=True)
class Launch:
    """How a recipe is run: what does not change its result."""

    recipe: Annotated[Recipe, tyro.conf.arg(name="")]
    parallel: Parallel = field(default_factory=Parallel)
    processes: Processes = field(default_factory=Processes)
    workdir: Path | None = None
    """The run folder. A run of the same recipe in it is continued. By default runs/NAME; if that
    holds another recipe, runs/NAME-2, runs/NAME-3 and so on."""
    seeds: int | None = None
    """Run this many seeds one after the other, from --seed on, and print mean and deviation; the
    program is compiled once. Run folders are WORKDIR/seed-S; WORKDIR is by default runs/NAME-seeds
    (or runs/NAME-seeds-2 and so on)."""
    folds: int | None = None
    """Cross-validation: run this many times, each time with another fold of the data as test part,
    and print mean and deviation. Run folders are WORKDIR/fold-K; WORKDIR is by default
    runs/NAME-folds (or runs/NAME-folds-2 and so on)."""
    at_once: bool = False
    """With --seeds: train each seed on a device of its own, as many at the same time as there are
    devices."""
    workers: int | None = None
    """Number of processes that read and decode the images of a streamed data set. By default one
    for each processor; 0 reads in threads of the training process."""
    restarts: int = 0
    """If the loss is not finite, go back to the last good checkpoint and skip the batches from
    there to the failure; at most this many times."""
    debug: bool = False
    """Wait for every step, forbid implicit copies from host to device, and name the operation that
    first gave a number that is not finite. This is slow."""
    allow_recipe_change: bool = False
    """Continue the run in the folder even if its recipe was different, such as to train longer."""
    compilation_cache: bool = True
    """Keep compiled programs on disk, so that the next start need not compile them again: in
    $JAX_COMPILATION_CACHE_DIR, else $XDG_CACHE_HOME/cnn_jax/compiled, else
    ~/.cache/cnn_jax/compiled."""
    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""
    log: tuple[Tracker, ...] = ()
    """Also log metrics and hyper-parameters to Weights & Biases (into the run folder, unless
    WANDB_MODE is online) or to MLflow (mlflow.db beside the run folder, or MLFLOW_TRACKING_URI)."""
