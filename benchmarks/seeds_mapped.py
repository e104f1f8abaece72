"""Whether several seeds of a small net are trained faster as one program than in turn.

python benchmarks/seeds_mapped.py

prints processor time a step of `fcn1d` on 16 series of 24 times, of one seed and of five that are
mapped over: 11.3 and 54.3 ms on two cores of an AMD EPYC with AVX2, so that five in turn take 56.3.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from cnn_jax import models
from cnn_jax.layers.cpu.platform import layers_for

SEEDS, BATCH, TIMES, STEPS, ROUNDS = 5, 16, 24, 30, 4
MODEL, OPTIMIZER = models.create("fcn1d", 2), optax.adam(1e-3)


def begun(key: jax.Array) -> tuple[Any, Any]:
    """Variables and the optimizer's state before the first step."""
    variables = MODEL.init(key, jnp.zeros((1, TIMES, 1)))
    return variables, OPTIMIZER.init(variables["params"])


def step(variables: Any, state: Any, series: jax.Array, labels: jax.Array) -> tuple[Any, Any]:
    """The same after one update."""

    def loss(params: Any) -> tuple[jax.Array, Any]:
        given = {**variables, "params": params}
        logits, changed = MODEL.apply(given, series, train=True, mutable=["batch_stats"])
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return jnp.mean(losses), changed

    gradient, changed = jax.grad(loss, has_aux=True)(variables["params"])
    updates, state = OPTIMIZER.update(gradient, state)
    return {"params": optax.apply_updates(variables["params"], updates), **changed}, state


def milliseconds(function: Callable[..., Any], *arguments: Any) -> float:
    """Processor time of a call, in the best of some rounds."""
    with layers_for("cpu"):
        compiled = jax.jit(function).lower(*arguments).compile()
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(STEPS):
            result = compiled(*arguments)
        jax.block_until_ready(result)
        found.append(1000 * (time.process_time() - began) / STEPS)
    return min(found)


def main() -> None:
    """Prints both."""
    random = np.random.default_rng(0)
    series = random.normal(size=(SEEDS, BATCH, TIMES, 1)).astype(np.float32)
    labels = random.integers(0, 2, (SEEDS, BATCH))
    keys = jax.random.split(jax.random.key(0), SEEDS)
    one = milliseconds(step, *jax.jit(begun)(keys[0]), series[0], labels[0])
    every = milliseconds(jax.vmap(step), *jax.jit(jax.vmap(begun))(keys), series, labels)
    print(
        f"one seed {one:.1f} ms, {SEEDS} mapped {every:.1f} ms, {SEEDS} in turn {SEEDS * one:.1f}"
    )


if __name__ == "__main__":
    main()
