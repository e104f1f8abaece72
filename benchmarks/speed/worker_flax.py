"""A training program as flax's examples have it: a jitted step of `TrainState`, optax, no more."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import traverse_util
from flax.training import train_state

from benchmarks.speed.cases import BATCHES, LEARNING_RATE, MEAN, MOMENTUM, STD, Case, Inputs
from benchmarks.speed.nets_flax import NETS
from benchmarks.speed.worker import serve

FROZEN = {"airbench94": "whitening/kernel"}
"""The path of what a net does not train."""


class TrainState(train_state.TrainState):
    """With the running statistics of batch normalisation."""

    batch_stats: Any


def normalised(examples: jax.Array) -> jax.Array:
    """Examples as `Inputs` has them -> float32 of mean 0 and deviation 1; words as they are.

    A sound is given its own mean and deviation, other inputs about these.
    """
    if examples.dtype == jnp.int32:
        return examples
    values = examples.astype(jnp.float32)
    if examples.dtype == jnp.int16:
        values = values / 2**15
        apart = values - jnp.mean(values, axis=1, keepdims=True)
        return apart / jnp.std(values, axis=1, keepdims=True)
    scale = 255 if examples.dtype == jnp.uint8 else 1
    return (values / scale - MEAN) / STD


def loss_and_accuracy(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Means over the batch."""
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return jnp.mean(losses), jnp.mean(jnp.argmax(logits, -1) == labels)


@functools.partial(jax.jit, donate_argnums=0)
def train_step(
    state: TrainState, examples: jax.Array, labels: jax.Array
) -> tuple[TrainState, dict[str, jax.Array]]:
    """One update."""

    def objective(params: Any) -> Any:
        logits, changed = state.apply_fn(
            {"params": params, "batch_stats": state.batch_stats},
            normalised(examples),
            train=True,
            mutable=["batch_stats"],
        )
        loss, accuracy = loss_and_accuracy(logits, labels)
        return loss, (changed, accuracy)

    gradient = jax.value_and_grad(objective, has_aux=True)
    (loss, (changed, accuracy)), grads = gradient(state.params)
    state = state.apply_gradients(grads=grads, batch_stats=changed.get("batch_stats", {}))
    return state, {"loss": loss, "accuracy": accuracy}


@jax.jit
def eval_step(state: TrainState, examples: jax.Array, labels: jax.Array) -> dict[str, jax.Array]:
    """Loss and accuracy of a batch."""
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    logits = state.apply_fn(variables, normalised(examples), train=False)
    loss, accuracy = loss_and_accuracy(logits, labels)
    return {"loss": loss, "accuracy": accuracy}


def optimizer(net: str) -> optax.GradientTransformation:
    """Momentum, but for what is frozen."""
    trained = optax.sgd(LEARNING_RATE, momentum=MOMENTUM)
    if net not in FROZEN:
        return trained

    def kind(params: Any) -> Any:
        flat = traverse_util.flatten_dict(params, sep="/")
        kinds = {path: "frozen" if path == FROZEN[net] else "trained" for path in flat}
        return traverse_util.unflatten_dict(kinds, sep="/")

    return optax.partition({"trained": trained, "frozen": optax.set_to_zero()}, kind)


class PlainFlax:
    """A net of `benchmarks.speed.nets_flax`.

    Args:
      net: its name.
      case: its inputs and batch.
      dtype: what it computes in.
      inputs: examples, labels, and weights by our paths, which are the net's own.
    """

    def __init__(self, net: str, case: Case, dtype: str, inputs: Inputs) -> None:
        self._case, self._dtype = case, jnp.dtype(dtype)
        self._module = NETS[net](classes=case.classes, dtype=self._dtype)
        self._optimizer = optimizer(net)
        self._inputs = inputs

    def compile(self) -> None:
        """Draws initial weights, as a program has to, and puts those of the file in their place."""
        case, inputs = self._case, self._inputs
        example = jnp.zeros((1, *case.shape))
        drawn = jax.jit(self._module.init)(jax.random.key(0), example)
        weights = traverse_util.unflatten_dict(inputs.weights, sep="/")
        self._variables = jax.tree.map(
            lambda leaf, value: np.asarray(value, leaf.dtype).reshape(leaf.shape),
            dict(drawn),
            weights,
        )
        size = case.batch
        self._batches = [
            (
                jnp.asarray(inputs.examples[i * size : (i + 1) * size]),
                jnp.asarray(inputs.labels[i * size : (i + 1) * size]),
            )
            for i in range(BATCHES)
        ]
        self._begin = self._start()
        # Ahead of the first call, so that the time of a step can be limited by itself.
        self._train_step = train_step.lower(self._begin, *self._batches[0]).compile()

    def _start(self) -> TrainState:
        variables = jax.tree.map(jnp.array, self._variables)
        return jax.block_until_ready(
            TrainState.create(
                apply_fn=self._module.apply,
                params=variables["params"],
                tx=self._optimizer,
                batch_stats=variables.get("batch_stats", {}),
            )
        )

    def losses(self, steps: int) -> list[float]:
        """See `benchmarks.speed.worker.Implementation`."""
        state, found = self._start(), []
        for _ in range(steps):
            state, metrics = self._train_step(state, *self._batches[0])
            found.append(float(metrics["loss"]))
        return found

    def train(self, steps: int) -> float:
        """See `benchmarks.speed.worker.Implementation`."""
        state = self._start()
        began = time.perf_counter()
        for step in range(steps):
            state, _ = self._train_step(state, *self._batches[step % BATCHES])
        jax.block_until_ready(state)
        return time.perf_counter() - began

    def evaluate(self, batches: int) -> float:
        """See `benchmarks.speed.worker.Implementation`."""
        began = time.perf_counter()
        found = [eval_step(self._begin, *self._batches[i % BATCHES]) for i in range(batches)]
        jax.block_until_ready(found)
        return time.perf_counter() - began

    def evaluation_loss(self) -> float:
        """See `benchmarks.speed.worker.Implementation`."""
        found = [eval_step(self._begin, *batch)["loss"] for batch in self._batches]
        return float(np.mean(jax.device_get(found)))

    def matmul(self, side: int) -> float:
        """Seconds of one product of two square matrices in the net's dtype."""
        a = jax.random.normal(jax.random.key(0), (side, side)).astype(self._dtype)
        product = jax.jit(jnp.matmul)
        jax.block_until_ready(product(a, a))
        began = time.perf_counter()
        jax.block_until_ready(product(a, a))
        return time.perf_counter() - began


def make(net: str, case: Case, dtype: str, folder: Path) -> PlainFlax:
    """See `benchmarks.speed.worker.Make`."""
    return PlainFlax(net, case, dtype, Inputs.read(folder, net, "paths"))


if __name__ == "__main__":
    serve(make)
