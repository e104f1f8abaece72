"""Our nets in a jitted step of plain optax, compiled as a run's."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import traverse_util

from benchmarks.dense.cases import (
    BATCHES,
    CASES,
    LEARNING_RATE,
    MOMENTUM,
    Case,
    boxes_of,
    images_of,
    pixels_of,
    read,
)
from benchmarks.speed.worker import serve
from cnn_jax import models
from cnn_jax.devices.compilation import compiled
from cnn_jax.devices.mesh import make_mesh


class Pixels:
    """What is learnt of pixels, and what an evaluation does."""

    def __init__(self, module: Any, case: Case) -> None:
        self._module = module
        self.examples = {"image": images_of(case), "pixels": pixels_of(case)}

    def learnt(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Any]:
        """The loss of a batch, and the statistics of batch normalisation after it."""
        logits, changed = self._module.apply(
            variables, batch["image"], train=True, mutable=["batch_stats"]
        )
        return self._loss(logits, batch), changed["batch_stats"]

    def evaluated(self, variables: Any, batch: Any) -> Any:
        """The loss of a batch."""
        return self._loss(self._module.apply(variables, batch["image"]), batch)

    def told(self, evaluated: Any) -> jax.Array:
        """The same."""
        return evaluated

    def _loss(self, logits: jax.Array, batch: Any) -> jax.Array:
        found = optax.softmax_cross_entropy_with_integer_labels(logits, batch["pixels"])
        return found.mean()


class Boxes:
    """What is learnt of boxes, and what an evaluation does."""

    def __init__(self, module: Any, case: Case) -> None:
        self._module, self._sides = module, case.sides
        boxes, classes = boxes_of(case)
        truth = {"boxes": boxes, "classes": classes, "there": classes >= 0}
        self.examples = {"image": images_of(case), "truth": truth}

    def learnt(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Any]:
        """See `Pixels`."""
        outputs, changed = self._module.apply(
            variables, batch, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
        )
        parts = self._module.losses(outputs, batch["truth"], self._sides, key)
        return sum(map(jnp.mean, parts.values()), jnp.zeros(())), changed["batch_stats"]

    def evaluated(self, variables: Any, batch: Any) -> Any:
        """The boxes that are found."""
        return self._module.decode(self._module.apply(variables, batch["image"]), self._sides)

    def told(self, evaluated: Any) -> jax.Array:
        """The mean score of the ten best boxes of each image."""
        return evaluated.scores[:, :10].mean()


class Jitted:
    """A net of `cnn_jax.models`; see `benchmarks.speed.worker.Implementation`."""

    def __init__(self, net: str, case: Case, dtype: str, folder: Path) -> None:
        module = models.create(case.model, case.classes, dtype=dtype, **case.options)
        self._task: Pixels | Boxes = (Pixels if case.kind == "pixels" else Boxes)(module, case)
        self._variables = traverse_util.unflatten_dict(read(folder, net, "paths"), sep="/")
        self._optimizer = optax.sgd(LEARNING_RATE, MOMENTUM)
        size = case.batch
        self._batches = [
            jax.tree.map(lambda each, i=i: jnp.asarray(each[i * size : (i + 1) * size]), examples)
            for examples in [self._task.examples]
            for i in range(BATCHES)
        ]

    def compile(self) -> None:
        """Compiles a training step and an evaluation."""
        task, optimizer = self._task, self._optimizer

        def step(state: Any, batch: Any, seed: jax.Array) -> Any:
            def objective(params: Any) -> Any:
                variables = {"params": params, "batch_stats": state["batch_stats"]}
                return task.learnt(variables, batch, jax.random.key(seed))

            gradient = jax.value_and_grad(objective, has_aux=True)
            (loss, stats), found = gradient(state["params"])
            updates, moved = optimizer.update(found, state["optimizer"])
            params = optax.apply_updates(state["params"], updates)
            return {"params": params, "batch_stats": stats, "optimizer": moved}, loss

        def evaluated(state: Any, batch: Any) -> Any:
            variables = {"params": state["params"], "batch_stats": state["batch_stats"]}
            return task.evaluated(variables, batch)

        state, mesh, first = self._start(), make_mesh(), self._batches[0]
        seed = jnp.zeros((), jnp.uint32)
        self._step = compiled(mesh, jax.jit(step, donate_argnums=0), state, first, seed)
        self._evaluated = compiled(mesh, jax.jit(evaluated), state, first)

    def _start(self) -> Any:
        variables = jax.tree.map(jnp.array, self._variables)
        return {**variables, "optimizer": self._optimizer.init(variables["params"])}

    def losses(self, steps: int) -> list[float]:
        """See `Implementation`."""
        state, found = self._start(), []
        for place in range(steps):
            state, loss = self._step(state, self._batches[0], jnp.uint32(place))
            found.append(float(loss))
        return found

    def train(self, steps: int) -> float:
        """See `Implementation`."""
        state = self._start()
        began = time.perf_counter()
        for place in range(steps):
            state, _ = self._step(state, self._batches[place % BATCHES], jnp.uint32(place))
        jax.block_until_ready(state)
        return time.perf_counter() - began

    def evaluate(self, batches: int) -> float:
        """See `Implementation`."""
        state = self._start()
        began = time.perf_counter()
        for i in range(batches):
            jax.block_until_ready(self._evaluated(state, self._batches[i % BATCHES]))
        return time.perf_counter() - began

    def evaluation_loss(self) -> float:
        """The mean loss, or of detectors the mean score of the ten best boxes of an image."""
        state = self._start()
        told = [self._task.told(self._evaluated(state, batch)) for batch in self._batches]
        return sum(map(float, told)) / BATCHES


if __name__ == "__main__":
    serve(Jitted, CASES)
