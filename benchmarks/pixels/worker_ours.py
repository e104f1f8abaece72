"""Our nets in a jitted step of plain optax, compiled as a run's."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import traverse_util

from benchmarks.pixels.cases import (
    BATCHES,
    CASES,
    CLASSES,
    LEARNING_RATE,
    MOMENTUM,
    OPTIONS,
    Case,
    draw,
    read,
)
from benchmarks.speed.worker import serve
from cnn_jax import models
from cnn_jax.devices.compilation import compiled
from cnn_jax.devices.mesh import make_mesh


class Ours:
    """A net of `cnn_jax.models`; see `benchmarks.speed.worker.Implementation`."""

    def __init__(self, net: str, case: Case, dtype: str, folder: Path) -> None:
        self._case = case
        self._module = models.create(case.model, CLASSES, dtype=dtype, **OPTIONS[net])
        self._variables = traverse_util.unflatten_dict(read(folder, net, "paths"), sep="/")
        self._optimizer = optax.sgd(LEARNING_RATE, MOMENTUM)
        images, labels = draw(case)
        parts = [slice(i * case.batch, (i + 1) * case.batch) for i in range(BATCHES)]
        self._batches = [(jnp.asarray(images[part]), jnp.asarray(labels[part])) for part in parts]

    def compile(self) -> None:
        """Compiles a training step and an evaluation."""
        module, optimizer = self._module, self._optimizer

        def loss_of(logits: jax.Array, labels: jax.Array) -> jax.Array:
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

        def step(state: Any, images: jax.Array, labels: jax.Array) -> Any:
            def objective(params: Any) -> Any:
                variables = {"params": params, "batch_stats": state["batch_stats"]}
                logits, changed = module.apply(
                    variables, images, train=True, mutable=["batch_stats"]
                )
                return loss_of(logits, labels), changed["batch_stats"]

            gradient = jax.value_and_grad(objective, has_aux=True)
            (loss, stats), found = gradient(state["params"])
            updates, moved = optimizer.update(found, state["optimizer"])
            params = optax.apply_updates(state["params"], updates)
            return {"params": params, "batch_stats": stats, "optimizer": moved}, loss

        def evaluated(state: Any, images: jax.Array, labels: jax.Array) -> jax.Array:
            variables = {"params": state["params"], "batch_stats": state["batch_stats"]}
            return loss_of(module.apply(variables, images), labels)

        state, mesh = self._start(), make_mesh()
        self._step = compiled(mesh, jax.jit(step, donate_argnums=0), state, *self._batches[0])
        self._evaluated = compiled(mesh, jax.jit(evaluated), state, *self._batches[0])

    def _start(self) -> Any:
        variables = jax.tree.map(jnp.array, self._variables)
        return {**variables, "optimizer": self._optimizer.init(variables["params"])}

    def losses(self, steps: int) -> list[float]:
        """See `Implementation`."""
        state, found = self._start(), []
        for _ in range(steps):
            state, loss = self._step(state, *self._batches[0])
            found.append(float(loss))
        return found

    def train(self, steps: int) -> float:
        """See `Implementation`."""
        state = self._start()
        began = time.perf_counter()
        for step in range(steps):
            state, _ = self._step(state, *self._batches[step % BATCHES])
        jax.block_until_ready(state)
        return time.perf_counter() - began

    def evaluate(self, batches: int) -> float:
        """See `Implementation`."""
        state = self._start()
        began = time.perf_counter()
        for i in range(batches):
            jax.block_until_ready(self._evaluated(state, *self._batches[i % BATCHES]))
        return time.perf_counter() - began

    def evaluation_loss(self) -> float:
        """See `Implementation`."""
        state = self._start()
        return sum(float(self._evaluated(state, *each)) for each in self._batches) / BATCHES


def make(net: str, case: Case, dtype: str, folder: Path) -> Ours:
    """See `benchmarks.speed.worker.Make`."""
    return Ours(net, case, dtype, folder)


if __name__ == "__main__":
    serve(make, CASES)
