"""What all seeds of a recipe share: the data on the devices and the compiled program."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from cnn_jax.augment import output_shape
from cnn_jax.data import Dataset, InMemory, Order, Split
from cnn_jax.data.dataset import input_kind
from cnn_jax.data.memory_limit import check_batch_size
from cnn_jax.data.parts import Parts
from cnn_jax.data.pieces import check_workers
from cnn_jax.data.recipe_data import data_spec, load_data
from cnn_jax.data.spec import DataSpec
from cnn_jax.data.streamed import StreamedSplit
from cnn_jax.devices.mesh import Parallel, batch_sharding, make_mesh, placed, replicated
from cnn_jax.devices.processes import first_does
from cnn_jax.pretrained.preparation import preparation_of
from cnn_jax.recipe import Recipe
from cnn_jax.run_folder import RunFolder
from cnn_jax.state import TrainState
from cnn_jax.tasks import resolved, target_kind
from cnn_jax.training.compiled_steps import Whole
from cnn_jax.training.fitting import FITTED_TO
from cnn_jax.training.input import HeldInput, Input, StreamedInput
from cnn_jax.training.program import Program


@dataclass(frozen=True)
class Experiment:
    """A recipe made ready to run with any seed.

    Attributes:
      recipe: what is trained.
      dataset: the data, with a validation part if the recipe asks for one.
      program: the compiled functions.
      train: the training examples on the devices; None where they are read from disk.
      workers: processes that read from disk, by default as many as there are processors.
      lock: see `cnn_jax.checkpoints.checkpoints.Checkpoints`.
      preparation_note: how the images are normalised for weights from elsewhere, in words.
    """

    recipe: Recipe
    dataset: Dataset
    program: Program
    train: InMemory | None
    workers: int | None = None
    lock: contextlib.AbstractContextManager[Any] | None = None
    preparation_note: str | None = None

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        data_dir: Path | None = None,
        *,
        parallel: Parallel | None = None,
        devices: Sequence[jax.Device] | None = None,
        dataset: Dataset | None = None,
        debug: bool = False,
        workers: int | None = None,
        began_with: DataSpec | None = None,
        begun: RunFolder | None = None,
        free_rate: bool = False,
    ) -> Experiment:
        """Reads the data and builds the program.

        Args:
          recipe: what is trained.
          data_dir: where data sets lie, by default as TFDS has it.
          parallel: how it is laid over the devices.
          devices: by default all of all processes.
          dataset: the data, if they have been read.
          debug: see `cnn_jax.training.program.Program`.
          workers: processes that read a set which streams; 0 reads in threads of this one.
          began_with: facts of the data that a run which goes on began with.
          begun: a run of this recipe that may have begun, whose parts of the data and whose means
            and deviations are gone on with.
          free_rate: as of `cnn_jax.training.program.Program`.

        Raises:
          UserError: something in the recipe is unknown or does not fit.
        """
        recipe = resolved(recipe)
        parallel = parallel or Parallel()
        mesh = make_mesh(parallel, devices)
        if dataset is None:
            found: list[Dataset] = []
            parts = None if begun is None else begun.parts()
            # What has to be fetched is fetched by one process, and lies there for the others.
            read = functools.partial(
                load_data, recipe.data, data_dir, parts, kind=target_kind(recipe)
            )
            first_does(lambda: found.append(read()))
            dataset = found[0] if found else read()
        check_workers(workers)
        shape = dataset.train.image_shape
        is_image = input_kind(dataset.train) == "image"
        # What the host holds, which is also the device where it is a CPU.
        held = [(shape, 1 if is_image else 4)]
        if mesh.devices.flat[0].platform == "cpu":
            held.append((output_shape(recipe.preprocess, shape) if is_image else shape, 4))
        examples = min(recipe.batch_size, len(dataset.train))
        check_batch_size(examples // jax.process_count(), *held)
        preparation, preparation_note = preparation_of(recipe, shape[-1], begun)
        spec = data_spec(dataset, recipe.preprocess, preparation)
        if began_with is not None:
            spec = spec.taken_up(began_with)
        program = Program(
            recipe,
            spec,
            mesh,
            parallel.compile,
            debug=debug,
            steps_per_call=parallel.steps_per_call,
            workers=workers,
            free_rate=free_rate,
        )
        train = None
        if isinstance(dataset.train, Split):
            train = InMemory(dataset.train, replicated(mesh))
        return cls(recipe, dataset, program, train, workers, preparation_note=preparation_note)

    @functools.cached_property
    def parts(self) -> Parts:
        """What the examples of the data's parts hold."""
        return Parts.of(self.dataset)

    def step_arrays(self) -> tuple[Whole, Whole]:
        """The inputs and targets that a training step is compiled for."""
        if self.train is not None:
            return self.train.inputs, self.train.targets
        spread = batch_sharding(self.program.mesh)
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=spread),
            self.program.spec.examples_of(self.recipe.batch_size),
        )

    def input(self, seed: int, skipped: int = 0) -> Input:
        """What gives the steps of a run their examples.

        Args:
          seed: of the run.
          skipped: batches that are left out.
        """
        plan, train = self.program.plan, self.dataset.train
        if self.train is not None:
            return HeldInput(self.train, Order(seed, plan.examples, plan.batch_size))
        assert isinstance(train, StreamedSplit)
        return StreamedInput(
            train,
            seed=seed,
            batch_size=plan.batch_size,
            end=plan.total + skipped,
            mesh=self.program.mesh,
            workers=self.workers,
        )

    def start(self, seed: int) -> TrainState:
        """The state before the first step, with random parameters."""
        if not self.program.fits:
            return self.program.init(seed)
        return self.program.start(seed, self._first_images())

    def fitted(self, params: Any) -> Any:
        """Parameters, arrays of this host, fitted to the data, of a model that asks for that."""
        return self.program.fitted(params, self._first_images())

    def _first_images(self) -> jax.Array:
        if self.train is not None:
            return self.train.inputs
        first = self.dataset.train.decoded(np.arange(min(FITTED_TO, len(self.dataset.train))))
        whole = replicated(self.program.mesh)
        return jax.tree.map(lambda leaf: placed(leaf, whole), first.inputs)
