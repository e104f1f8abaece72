"""Devices -> mesh -> shardings: how one program is laid over all the devices there are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, get_args

import jax
import numpy as np
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec, Sharding

from cnn_jax.devices.layout import Compile as Compile
from cnn_jax.devices.layout import Parallel as Parallel
from cnn_jax.errors import UserError, unknown

DATA = "data"
"""Name of the mesh axis of copies of the state."""

FSDP = "fsdp"
"""Name of the mesh axis of devices that share one copy of the state."""

SMALL = 2**12
"""Arrays of fewer numbers than this lie whole on every device: to gather them would take longer
than it saves memory."""

STEPS_PER_CALL = 50
"""Training steps in a call on accelerators, at most: the time between two calls is then little
beside that of the steps, and a signal is still heard within seconds."""


def make_mesh(
    parallel: Parallel | None = None, devices: Sequence[jax.Device] | None = None
) -> Mesh:
    """A mesh (data, fsdp) of devices.

    Args:
      parallel: the sizes of its axes, by default all devices along the data axis.
      devices: by default those of all processes.

    Raises:
      UserError: there are not so many devices, or some of a process would be left over.
    """
    parallel = parallel or Parallel()
    if parallel.compile not in get_args(Compile):
        raise unknown("--parallel.compile", parallel.compile, get_args(Compile))
    devices = jax.devices() if devices is None else devices
    there, fsdp = len(devices), parallel.fsdp
    for flag, value in (("data", parallel.data), ("fsdp", fsdp)):
        if value is not None and value < 1:
            raise UserError(f"--parallel.{flag} {value} must be at least 1")
    data = there // fsdp if parallel.data is None else parallel.data
    if parallel.data is None and there % fsdp:
        raise UserError(
            f"--parallel.fsdp {fsdp} does not divide the number of devices, {there}; "
            "give a divisor, or --parallel.data as well"
        )
    if data * fsdp > there:
        raise UserError(
            f"--parallel.data {data} times --parallel.fsdp {fsdp} is {data * fsdp} devices, but "
            f"there {'are' if there > 1 else 'is'} only {there}"
        )
    if data * fsdp < there and jax.process_count() > 1:
        raise UserError(
            f"--parallel.data {data} times --parallel.fsdp {fsdp} is {data * fsdp} devices, but "
            f"the {jax.process_count()} processes have {there}, and none may be left over"
        )
    if parallel.compile == "pmap" and fsdp > 1:
        raise UserError(
            f"--parallel.compile pmap keeps the whole state on every device, so "
            f"--parallel.fsdp {fsdp} must be 1"
        )
    if parallel.compile == "pmap" and jax.process_count() > 1:
        raise UserError("--parallel.compile pmap is for the devices of one process; leave it out")
    return Mesh(np.array(devices[: data * fsdp]).reshape(data, fsdp), (DATA, FSDP))


def most_steps(
    mesh: Mesh, compile: Compile, steps_per_call: int | None, *, streamed: bool = False
) -> int:
    """How many training steps a call may have.

    Args:
      mesh: the devices.
      compile: see `Parallel`.
      steps_per_call: what was asked for, see `Parallel`.
      streamed: whether the examples of a step come from disk.

    Raises:
      UserError: it is less than 1, or more than 1 with `pmap` or streamed examples.
    """
    if steps_per_call is None:
        alone = streamed or compile == "pmap" or mesh.devices.flat[0].platform == "cpu"
        return 1 if alone else STEPS_PER_CALL
    if steps_per_call < 1:
        raise UserError(f"--parallel.steps-per-call {steps_per_call} must be at least 1")
    if compile == "pmap" and steps_per_call > 1:
        raise UserError(
            f"--parallel.compile pmap calls every step alone, so --parallel.steps-per-call "
            f"{steps_per_call} must be 1"
        )
    if streamed and steps_per_call > 1:
        raise UserError(
            f"every step of a streamed set is given its own examples, so --parallel.steps-per-call "
            f"{steps_per_call} must be 1"
        )
    return steps_per_call


def replicated(mesh: Mesh | AbstractMesh) -> NamedSharding:
    """Every device holds the whole array: the data set."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Every device holds its part of the first axis: examples."""
    return NamedSharding(mesh, PartitionSpec((DATA, FSDP)))


def batches_sharding(mesh: Mesh) -> NamedSharding:
    """Every device holds its part of the second axis: examples of many steps."""
    return NamedSharding(mesh, PartitionSpec(None, (DATA, FSDP)))


def state_sharding(mesh: Mesh | AbstractMesh, shape: Sequence[int]) -> NamedSharding:
    """How an array of the state lies on the devices of a mesh.

    Split along its largest axis that the size of the fsdp axis divides, of equal ones the last;
    whole where none is divided, or where the array is `SMALL`.

    Args:
      mesh: the devices, or only how many there would be.
      shape: of the array.
    """
    parts = mesh.shape[FSDP]
    axes = [axis for axis, size in enumerate(shape) if size and size % parts == 0]
    if parts == 1 or math.prod(shape) < SMALL or not axes:
        return replicated(mesh)
    largest = max(axes, key=lambda axis: (shape[axis], axis))
    names: list[str | None] = [None] * len(shape)
    names[largest] = FSDP
    return NamedSharding(mesh, PartitionSpec(*names))


def shardings(tree: Any) -> Any:
    """The shardings of the arrays of a tree."""
    return jax.tree.map(lambda leaf: leaf.sharding, tree)


def placed(value: np.ndarray, sharding: Sharding) -> jax.Array:
    """An array of this host on the devices; of several processes each gives its devices theirs.

    Args:
      value: the whole array, the same in all processes.
      sharding: how it is laid out.
    """
    if sharding.is_fully_addressable:
        return jax.device_put(value, sharding)
    return placed_parts(value.shape, sharding, lambda index: value[index])


def placed_parts(
    shape: tuple[int, ...], sharding: Sharding, part: Callable[[Any], np.ndarray]
) -> jax.Array:
    """An array on the devices, of which this host makes the parts of its devices only.

    Args:
      shape: of the whole array.
      sharding: how it is laid out.
      part: gives the part of an index, a tuple of slices.
    """
    # A copy that is asked for, unlike those which JAX's guard is to find.
    with jax.transfer_guard_host_to_device("allow"):
        return jax.make_array_from_callback(shape, sharding, part)


def gathered(mesh: Mesh, tree: Any) -> Any:
    """Within a compiled function: parts of the state made whole on every device."""
    return tree if mesh.shape[FSDP] == 1 else _laid_out(tree, lambda shape: replicated(mesh))


def split(mesh: Mesh, tree: Any) -> Any:
    """Within a compiled function: arrays of the shapes of the state, in parts as it is."""
    if mesh.shape[FSDP] == 1:
        return tree
    return _laid_out(tree, lambda shape: state_sharding(mesh, shape))


def _laid_out(tree: Any, sharding: Callable[[tuple[int, ...]], NamedSharding]) -> Any:
    return jax.tree.map(
        lambda leaf: jax.lax.with_sharding_constraint(leaf, sharding(leaf.shape)), tree
    )


def on_host(mesh: Mesh, tree: Any) -> Any:
    """The whole arrays of a tree in the memory of this host, also those that lie in parts."""
    whole = jax.jit(lambda tree: tree, out_shardings=replicated(mesh))(tree)
    return jax.tree.map(np.array, whole)
