"""The whole state of a run as one pytree, and the random streams derived from it."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax import struct

from cnn_jax.devices.jax_settings import PRNG
from cnn_jax.devices.mesh import placed

Variables = dict[str, Any]
"""What a model is applied with: `params` and `batch_stats`."""


@struct.dataclass
class TrainState:
    """All that a run needs to go on.

    Attributes:
      step: int32 scalar, the number of updates made.
      seed: uint32 scalar, which all randomness of the run derives from.
      params: trainable parameters, float32.
      batch_stats: running statistics of normalisation layers, float32.
      opt_state: state of the optimizer.
      averages: moving averages of params and batch_stats, or None.
      slow: the copy of params and batch_stats that `cnn_jax.optimisation.lookahead` keeps, or None.
    """

    step: jax.Array
    seed: jax.Array
    params: Any
    batch_stats: Any
    opt_state: optax.OptState
    averages: Variables | None
    slow: Variables | None = None

    @property
    def variables(self) -> Variables:
        """What the next training step applies the model with."""
        return {"params": self.params, "batch_stats": self.batch_stats}

    @property
    def evaluated(self) -> Variables:
        """What evaluation applies the model with: the averages where there are any."""
        return self.variables if self.averages is None else self.averages


def stream(seed: jax.Array, step: jax.Array | int, name: str) -> jax.Array:
    """The random key of one purpose at one step: a pure function of (seed, step, name)."""
    key = jax.random.fold_in(jax.random.key(seed, impl=PRNG), step)
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def init_state(
    seed: jax.Array,
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    example: Any,
    *,
    average: bool = False,
    slow: bool = False,
    initial: Callable[[Any], Any] = lambda params: params,
) -> TrainState:
    """The state before the first step, a pure function of the seed.

    Args:
      seed: uint32 scalar.
      model: module whose call takes the inputs of a batch.
      optimizer: what will update the parameters.
      example: shapes and dtypes of the inputs of one example, without the batch's axis, as a tree.
      average: whether moving averages are kept.
      slow: whether a slow copy is kept.
      initial: what a task makes of random parameters.
    """
    inputs = jax.tree.map(lambda leaf: jnp.zeros((1, *leaf.shape), leaf.dtype), example)
    variables = model.init({"params": stream(seed, 0, "init")}, inputs, train=False)
    params = initial(variables["params"])
    batch_stats = variables.get("batch_stats", {})
    copy = {"params": params, "batch_stats": batch_stats}
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        seed=jnp.asarray(seed, jnp.uint32),
        params=params,
        batch_stats=batch_stats,
        opt_state=optimizer.init(params),
        averages=copy if average else None,
        slow=copy if slow else None,
    )


def with_variables(
    state: TrainState, variables: Variables, optimizer: optax.GradientTransformation
) -> TrainState:
    """A state before its first step, with other variables; it lies on the devices as before.

    Args:
      state: the initial state.
      variables: of the same structure and shapes.
      optimizer: whose state begins anew: some keep parameters in it.
    """

    def laid(tree: Any, like: Any) -> Any:
        # Copied, since a state is given up at every step and its memory used again.
        return jax.tree.map(lambda value, leaf: placed(np.array(value), leaf.sharding), tree, like)

    params = laid(variables["params"], state.params)
    batch_stats = laid(variables.get("batch_stats", {}), state.batch_stats)
    copy = {"params": variables["params"], "batch_stats": variables.get("batch_stats", {})}
    return dataclasses.replace(
        state,
        params=params,
        batch_stats=batch_stats,
        opt_state=laid(optimizer.init(variables["params"]), state.opt_state),
        averages=None if state.averages is None else laid(copy, state.averages),
        slow=None if state.slow is None else laid(copy, state.slow),
    )
