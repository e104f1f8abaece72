"""Devices -> mesh -> shardings: how one program is laid over all the devices there are."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from cnn_jax.models.cpu_convolution import convolutions_for

DATA = "data"
"""Name of the mesh axis that the examples of a batch are spread over."""


def make_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh of all local devices (or those given) along the data axis."""
    return Mesh(np.array(jax.local_devices() if devices is None else devices), (DATA,))


def compiler_options(mesh: Mesh) -> dict[str, bool]:
    """Options of XLA for programs with convolutions.

    On the CPU oneDNN's convolutions are faster: in float32 a LeNet-5 step takes two thirds of
    the time, in bfloat16 forward convolutions run several times as fast. Older versions of
    jaxlib know the options and ignore them, or do not know them and refuse.
    """
    version = tuple(int(part) for part in importlib.metadata.version("jaxlib").split(".")[:2])
    if mesh.devices.flat[0].platform != "cpu" or version < (0, 12):
        return {}
    return {"xla_cpu_use_onednn": True, "xla_cpu_experimental_onednn_custom_call": True}


def compiled(mesh: Mesh, function: Any, *arguments: Any) -> Any:
    """A jitted function that applies a model, compiled as is best for the devices of a mesh.

    Args:
      mesh: the devices.
      function: what `jax.jit` gave, not traced before.
      *arguments: its arguments, or their shapes.
    """
    with convolutions_for(mesh.devices.flat[0].platform):
        return function.lower(*arguments).compile(compiler_options(mesh))


def replicated(mesh: Mesh) -> NamedSharding:
    """Every device holds the whole array: the state of a run, the data set."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Every device holds its part of the first axis: examples."""
    return NamedSharding(mesh, PartitionSpec(DATA))
