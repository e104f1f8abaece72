"""Our detectors in a jitted step of plain optax, compiled as a run's."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import traverse_util

from benchmarks.boxes.cases import (
    BATCHES,
    CASES,
    CLASSES,
    LEARNING_RATE,
    MOMENTUM,
    SIDES,
    Case,
    draw,
    read,
)
from benchmarks.speed.worker import serve
from cnn_jax import models
from cnn_jax.devices.compilation import compiled
from cnn_jax.devices.mesh import make_mesh


class Ours:
    """A detector of `cnn_jax.models`; see `benchmarks.speed.worker.Implementation`."""

    def __init__(self, net: str, case: Case, dtype: str, folder: Path) -> None:
        self._case = case
        self._module: Any = models.create(case.model, CLASSES, dtype=dtype, **case.options)
        self._variables = traverse_util.unflatten_dict(read(folder, net, "paths"), sep="/")
        self._optimizer = optax.sgd(LEARNING_RATE, MOMENTUM)
        images, boxes, classes = map(jnp.asarray, draw(case))
        truth = {"boxes": boxes, "classes": classes, "there": jnp.ones(classes.shape, bool)}
        parts = [slice(i * case.batch, (i + 1) * case.batch) for i in range(BATCHES)]
        self._batches = [
            {"image": images[part], "truth": {name: each[part] for name, each in truth.items()}}
            for part in parts
        ]

    def compile(self) -> None:
        """Compiles a training step and an evaluation."""
        module, optimizer = self._module, self._optimizer

        def step(state: Any, batch: Any, seed: jax.Array) -> Any:
            def objective(params: Any) -> Any:
                key = jax.random.key(seed)
                outputs, changed = module.apply(
                    {"params": params, "batch_stats": state["batch_stats"]},
                    batch,
                    train=True,
                    rngs={"dropout": key},
                    mutable=["batch_stats"],
                )
                parts = module.losses(outputs, batch["truth"], SIDES, key)
                return sum(map(jnp.mean, parts.values())), changed["batch_stats"]

            gradient = jax.value_and_grad(objective, has_aux=True)
            (loss, stats), found = gradient(state["params"])
            updates, moved = optimizer.update(found, state["optimizer"])
            params = optax.apply_updates(state["params"], updates)
            return {"params": params, "batch_stats": stats, "optimizer": moved}, loss

        def evaluated(state: Any, images: jax.Array) -> Any:
            variables = {"params": state["params"], "batch_stats": state["batch_stats"]}
            return module.decode(module.apply(variables, images), SIDES)

        state, mesh, first = self._start(), make_mesh(), self._batches[0]
        self._step = compiled(
            mesh, jax.jit(step, donate_argnums=0), state, first, jnp.zeros((), jnp.uint32)
        )
        self._evaluated = compiled(mesh, jax.jit(evaluated), state, first["image"])

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
            jax.block_until_ready(self._evaluated(state, self._batches[i % BATCHES]["image"]))
        return time.perf_counter() - began

    def evaluation_loss(self) -> float:
        """The mean score of the ten best boxes, instead of a loss."""
        state = self._start()
        found = [self._evaluated(state, each["image"]) for each in self._batches]
        return sum(float(each.scores[:, :10].mean()) for each in found) / BATCHES


def make(net: str, case: Case, dtype: str, folder: Path) -> Ours:
    """See `benchmarks.speed.worker.Make`."""
    return Ours(net, case, dtype, folder)


if __name__ == "__main__":
    serve(make, CASES)
