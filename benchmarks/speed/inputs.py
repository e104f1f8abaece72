"""The files that the processes read: images, labels and the initial weights of our models."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.speed.cases import Case, draw_images
from cnn_jax import models
from cnn_jax.models.cost import multiply_adds
from cnn_jax.pretrained.matching import paths
from cnn_jax.pretrained.naming import Naming, namings
from cnn_jax.pretrained.weights import as_tensors

_SIMPLE_CNN = Naming(
    ((r"(conv\d|dense\d|head)", r"\1"),),
    # Two poolings have halved the image twice.
    flattened={"dense1": (64, 7, 7)},
)
"""Nobody else has this net, so that its family knows no other names."""


def write(folder: Path, net: str, case: Case) -> int:
    """Writes what `Inputs.read` reads for a net.

    Returns:
      The multiply-adds of one image.
    """
    images, labels = draw_images(case)
    np.savez(folder / f"{net}_images.npz", images=images, labels=labels)
    module = models.create(case.model, case.classes, **case.options)
    shape = (case.side, case.side, case.channels)
    arguments = (jax.random.key(0), jnp.zeros((1, *shape)))
    # Called once: XLA's best code for random numbers takes long to make.
    init = jax.jit(module.init).lower(*arguments).compile({"xla_backend_optimization_level": 0})
    variables = init(*arguments)
    by_path = {path: np.asarray(value) for path, value in paths(variables).items()}
    np.savez(folder / f"{net}_paths.npz", **by_path)
    naming = _SIMPLE_CNN if case.model == "simple_cnn" else namings(case.model)[0]
    np.savez(folder / f"{net}_torch.npz", **as_tensors(variables, naming))
    return multiply_adds(module, shape, variables)
