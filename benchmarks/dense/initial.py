"""The initial weights of a net, written for our code and, by PyTorch's names, for PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks.dense.cases import CASES, Case
from cnn_jax import models
from cnn_jax.models.cost import multiply_adds, shapes
from cnn_jax.pretrained.matching import paths
from cnn_jax.pretrained.naming import Naming, namings
from cnn_jax.pretrained.weights import as_tensors

_PAIR = {0: "conv1/conv", 1: "conv1/norm", 3: "conv2/conv", 4: "conv2/norm"}
"""The layers of a pair of convolutions in PyTorch, by their places."""

_UNET = Naming(
    (
        *(
            (rf"{way}\.{level - 1}\.{place}", f"{way}{level}/{layer}")
            for way, levels in (("down", 5), ("up", 4))
            for level in range(1, levels + 1)
            for place, layer in _PAIR.items()
        ),
        *((rf"larger\.{level - 1}", f"larger{level}") for level in range(1, 5)),
        (r"head", "head"),
    )
)
"""The plain U-Net's names of modules as ours."""


def write(folder: Path, net: str) -> int:
    """Writes the initial weights of a net for both.

    Args:
      folder: where `cases.read` finds them.
      net: of `CASES`.

    Returns:
      The multiply-adds of an image.
    """
    case = CASES[net]
    module, shape = models.create(case.model, case.classes, **case.options), (*case.sides, 3)
    template = shapes(module, shape)
    variables = _drawn(case, template)
    naming = _UNET if net == "unet32" else namings(case.model)[0]
    tensors = as_tensors(variables, naming)
    for name in [name for name in tensors if name.startswith("larger") and "weight" in name]:
        # PyTorch's transposed kernels have the maps that come in first.
        tensors[name] = np.ascontiguousarray(tensors[name].transpose(1, 0, 2, 3))
    np.savez(folder / f"{net}_paths.npz", **paths(variables))
    np.savez(folder / f"{net}_torch.npz", **tensors)
    return multiply_adds(module, shape, template)


def _drawn(case: Case, template: Any) -> Any:
    """Random kernels; heads of detectors begin as they do in training."""
    random = np.random.default_rng(0)

    def value(path: tuple[jax.tree_util.DictKey, ...], leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        names = [each.key for each in path]
        if names[-1] == "kernel":
            small = case.kind == "boxes" and names[1] not in ("body", "fpn")
            deviation = 0.01 if small else np.sqrt(1 / np.prod(leaf.shape[:-1]))
            return random.normal(0, deviation, leaf.shape).astype(np.float32)
        if names[1] == "class_head" and names[-2] == "logits":
            return np.full(leaf.shape, -np.log(99), np.float32)
        return np.full(leaf.shape, float(names[-1] in ("scale", "var")), np.float32)

    return jax.tree_util.tree_map_with_path(value, template)
