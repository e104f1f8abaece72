"""The files that the processes read: examples, labels and the initial weights of our models."""

from __future__ import annotations

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from benchmarks.speed.cases import Case, draw_examples
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
      The multiply-adds of one example.
    """
    examples, labels = draw_examples(case)
    np.savez(folder / f"{net}_examples.npz", examples=examples, labels=labels)
    module = models.create(case.model, case.classes, **case.all_options)
    arguments = (jax.random.key(0), jnp.zeros((1, *case.shape)))
    # Called once: XLA's best code for random numbers takes long to make.
    init = jax.jit(module.init).lower(*arguments).compile({"xla_backend_optimization_level": 0})
    variables = init(*arguments)
    by_path = {
        path: np.asarray(value) / np.float32(5 if re.fullmatch(case.faint, path) else 1)
        for path, value in paths(variables).items()
    }
    np.savez(folder / f"{net}_paths.npz", **by_path)
    known = [_SIMPLE_CNN] if case.model == "simple_cnn" else namings(case.model)
    tree = traverse_util.unflatten_dict(by_path, sep="/")
    tensors = as_tensors(tree, known[0]) if known else _along_one_axis(by_path)
    np.savez(folder / f"{net}_torch.npz", **tensors)
    return multiply_adds(module, case.shape, variables)


_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "vectors": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


def _along_one_axis(by_path: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights of a net for series, texts or sounds, whose parts are called alike in PyTorch."""
    tensors = {}
    for path, value in by_path.items():
        _, module, *_, leaf = path.split("/")
        if leaf == "kernel":
            # (w, 1, i, o) of series and sounds, (w, i, o) or (i, o) -> (o, i, w) or (o, i).
            value = (value[:, 0] if value.ndim == 4 else value).T
        if leaf == "vectors":
            # Of padding, which PyTorch sets to zero when it draws them.
            value = np.concatenate([np.zeros_like(value[:1]), value[1:]])
        tensors[f"{module}.{_LEAVES[leaf]}"] = value
    return tensors
