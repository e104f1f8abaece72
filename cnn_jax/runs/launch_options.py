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
    """The run folder. A run of the same recipe that lies there is gone on with. By default
    runs/NAME, or where that holds another recipe runs/NAME-2, runs/NAME-3 and so on."""
    seeds: int | None = None
    """Run so many seeds in turn, from --seed on, compiling once; their run folders are
    WORKDIR/seed-S, by default in runs/NAME-seeds, runs/NAME-seeds-2 and so on."""
    folds: int | None = None
    """Cross-validate: run so many times, each time with another fold of the data as test part; the
    run folders are WORKDIR/fold-K, by default in runs/NAME-folds, runs/NAME-folds-2 and so on."""
    at_once: bool = False
    """Run the seeds at once, each on a device of its own, as many as there are devices."""
    workers: int | None = None
    """Processes that read and decode images of a set which streams, by default as many as there
    are processors; 0 reads in threads of the one that trains."""
    restarts: int = 0
    """After a loss that is not finite go back to the last good checkpoint and leave out the
    batches from there to the failure, so many times at most."""
    debug: bool = False
    """Wait for every step, forbid copies between host and devices that nobody asked for, and name
    the operation that gave the first number which is not finite."""
    allow_recipe_change: bool = False
    """Go on with the run in the folder although its recipe was another."""
    compilation_cache: bool = True
    """Keep compiled programs in ~/.cache/cnn_jax/compiled (or $XDG_CACHE_HOME/cnn_jax/compiled, or
    $JAX_COMPILATION_CACHE_DIR), so that the next start need not compile them."""
    data_dir: Path | None = None
    """Where data sets lie, by default as TFDS has it."""
    log: tuple[Tracker, ...] = ()
    """Write metrics and hyper-parameters to these as well: Weights & Biases, into the run folder
    unless $WANDB_MODE is online; MLflow, into mlflow.db beside it or to $MLFLOW_TRACKING_URI."""
