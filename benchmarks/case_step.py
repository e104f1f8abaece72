"""A net of `make bench` with all that a training step is given."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
import optax
from flax import linen as nn

from benchmarks.speed.cases import CASES, LEARNING_RATE, MOMENTUM, draw_examples
from benchmarks.speed.worker_flax import normalised
from cnn_jax import models
from cnn_jax.batch import Batch
from cnn_jax.errors import unknown
from cnn_jax.state import TrainState, init_state


class CaseStep(NamedTuple):
    """The net, its optimizer, and the arguments of its training step."""

    model: nn.Module
    optimizer: optax.GradientTransformation
    state: TrainState
    batch: Batch


def case_step(name: str, dtype: str = "float32") -> CaseStep:
    """Initial values and a batch of noise, normalised as a plain program does.

    Series are given whole, without the mask that a run has beside them.

    Args:
      name: a net of `benchmarks.speed.cases.CASES`.
      dtype: what it computes in.

    Raises:
      UserError: there is no such net.
    """
    if name not in CASES:
        raise unknown("net", name, CASES)
    case = CASES[name]
    model = models.create(case.model, case.classes, dtype=dtype, **case.all_options)
    optimizer = optax.sgd(LEARNING_RATE, momentum=MOMENTUM)
    tokens = case.kind == "tokens"
    example = jax.ShapeDtypeStruct(case.shape, np.int32 if tokens else np.float32)
    state = jax.jit(lambda: init_state(0, model, optimizer, example))()
    examples, labels = (values[: case.batch] for values in draw_examples(case))
    targets = np.eye(case.classes, dtype=np.float32)[labels]
    batch = Batch(np.asarray(normalised(examples)), targets, np.ones(case.batch, np.float32))
    return CaseStep(model, optimizer, state, batch)
