"""Our training step and evaluation, as a run has them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from benchmarks.loop_overhead import loop_seconds
from benchmarks.speed.cases import BATCHES, LEARNING_RATE, MEAN, MOMENTUM, STD, Case, Inputs
from benchmarks.speed.worker import serve
from cnn_jax import (
    Checkpoints,
    Model,
    Optimizer,
    Parallel,
    Preprocess,
    Recipe,
    Schedule,
    Sound,
    Video,
    steps,
)
from cnn_jax.data import Dataset, InMemory, Split
from cnn_jax.data.fields import fields_of
from cnn_jax.data.spec import DataSpec
from cnn_jax.devices.mesh import make_mesh, placed, replicated
from cnn_jax.runs.experiment import Experiment
from cnn_jax.state import TrainState, with_variables
from cnn_jax.training.program import Program

LONGEST = 10_000
"""Steps of the recipe, and so the most of a round."""


def recipe_of(case: Case, dtype: str) -> Recipe:
    """Momentum and a constant rate, no augmentation, no validation on the way."""
    of_pixels = Preprocess(mean=(MEAN,) * case.channels, std=(STD,) * case.channels)
    of_kind: dict[str, dict[str, Any]] = {
        "image": {"preprocess": of_pixels},
        "clip": {"preprocess": of_pixels, "video": Video(frames=case.frames)},
        "sound": {"sound": Sound(picture="none")},
    }
    return Recipe(
        name="speed",
        model=Model(case.model, dtype=dtype, options=case.options),
        optimizer=Optimizer("sgd", learning_rate=LEARNING_RATE, options={"momentum": MOMENTUM}),
        schedule=Schedule("constant"),
        batch_size=case.batch,
        duration=steps(LONGEST),
        validate_every=steps(2 * LONGEST),
        checkpoints=Checkpoints(every=steps(2 * LONGEST)),
        **of_kind.get(case.kind, {}),
    )


class Ours:
    """A program of `cnn_jax` on one device.

    Args:
      case: the net.
      dtype: what it computes in.
      inputs: examples, labels, and weights by our paths.
    """

    def __init__(self, case: Case, dtype: str, inputs: Inputs) -> None:
        self._case, self._dtype = case, dtype
        self._split = Split(inputs.examples, inputs.labels)
        self._variables = traverse_util.unflatten_dict(inputs.weights, sep="/")
        self._variables.setdefault("batch_stats", {})

    def compile(self) -> None:
        """Builds and compiles the program, and puts the data on the device."""
        case, split = self._case, self._split
        recipe = recipe_of(case, self._dtype)
        mesh = make_mesh(Parallel(data=1))
        channels = case.channels
        spec = DataSpec(
            name="noise",
            class_names=tuple(map(str, range(case.classes))),
            image_shape=case.shape,
            mean=(MEAN,) * channels,
            std=(STD,) * channels,
            examples={"train": len(split), "validation": len(split)},
            inputs=fields_of(split.inputs),
            words=tuple(map(str, range(case.words))),
        )
        program = Program(recipe, spec, mesh)
        train = InMemory(split, replicated(mesh))
        dataset = Dataset("noise", spec.class_names, split, split, None, "drawn at random")
        self._experiment = Experiment(recipe, dataset, program, train)
        program.compile_train(train.inputs, train.targets)
        self._first = program.init(0)

    def _start(self) -> TrainState:
        optimizer = self._experiment.program.optimizer
        return self._at(with_variables(self._first, self._variables, optimizer), 0)

    def _at(self, state: TrainState, step: int) -> TrainState:
        """The state with scalars of its own, since those of the first one must stay."""
        layout = self._first.step.sharding
        step, seed = (placed(np.asarray(n, t), layout) for n, t in ((step, "i4"), (0, "u4")))
        return jax.block_until_ready(state.replace(step=step, seed=seed))

    def _step(self, state: TrainState, batch: int) -> tuple[TrainState, dict[str, jax.Array]]:
        size = self._case.batch
        indices = np.arange(batch * size, (batch + 1) * size, dtype=np.int32)
        train = self._experiment.train
        return self._experiment.program.train_step(
            state, train.inputs, train.targets, indices, np.zeros(size, np.int32)
        )

    def losses(self, steps: int) -> list[float]:
        """See `benchmarks.speed.worker.Implementation`."""
        state, found = self._start(), []
        for _ in range(steps):
            state, metrics = self._step(state, 0)
            found.append(float(metrics["loss"]))
        return found

    def train(self, steps: int) -> float:
        """See `benchmarks.speed.worker.Implementation`."""
        state = self._start()
        began = time.perf_counter()
        for step in range(steps):
            state, _ = self._step(state, step % BATCHES)
        jax.block_until_ready(state)
        return time.perf_counter() - began

    def loop(self, steps: int) -> float:
        """Seconds that the training loop's clock shows for so many steps, the last of its plan."""
        return loop_seconds(self._experiment, steps, self._at(self._start(), LONGEST - steps))

    def evaluate(self, batches: int) -> float:
        """See `benchmarks.speed.worker.Implementation`."""
        size, program = self._case.batch, self._experiment.program
        split = self._split.take(np.arange(batches * size) % len(self._split))
        began = time.perf_counter()
        program.evaluate(self._variables_on_device(), split)
        return time.perf_counter() - began

    def _variables_on_device(self) -> dict:
        if not hasattr(self, "_evaluated"):
            self._evaluated = self._start().variables
        return self._evaluated

    def evaluation_loss(self) -> float:
        """See `benchmarks.speed.worker.Implementation`."""
        program = self._experiment.program
        return program.evaluate(self._variables_on_device(), self._split)["loss"]


def make(net: str, case: Case, dtype: str, folder: Path) -> Ours:
    """See `benchmarks.speed.worker.Make`."""
    return Ours(case, dtype, Inputs.read(folder, net, "paths"))


if __name__ == "__main__":
    serve(make)
