"""Devices -> mesh -> shardings: how one program is laid over all the devices there are."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

DATA = "data"
"""Name of the mesh axis that the examples of a batch are spread over."""


def make_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh of all local devices (or those given) along the data axis."""
    return Mesh(np.array(jax.local_devices() if devices is None else devices), (DATA,))


def replicated(mesh: Mesh) -> NamedSharding:
    """Every device holds the whole array: the state of a run, the data set."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Every device holds its part of the first axis: examples."""
    return NamedSharding(mesh, PartitionSpec(DATA))
