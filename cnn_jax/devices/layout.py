"""How a run is laid over devices and processes: what a command line gives, without JAX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Compile = Literal["jit", "pmap"]
"""The two ways of compiling a step for many devices."""


@dataclass(frozen=True)
class Parallel:
    """How a run is spread over the devices. This changes its result only by rounding."""

    data: int | None = None
    """Number of copies of the model, between which each batch is divided. By default the number of
    devices divided by `fsdp`."""
    fsdp: int = 1
    """Number of devices that share one copy of the parameters, the optimizer state and the
    averages, and each hold a part (fully sharded data parallelism,
    https://arxiv.org/abs/1910.02054). The batch is divided between them too."""
    compile: Compile = "jit"
    """`jit`: the compiler decides what devices send each other. `pmap`: one program for each
    device, which averages gradients itself; only with fsdp 1 and one process."""
    steps_per_call: int | None = None
    """Largest number of training steps in one call of the compiled program; a call never goes
    beyond a validation or a checkpoint, and signals wait for its end. By default 50 on GPUs and
    TPUs; 1 on CPUs, with `pmap` and for streamed data."""


@dataclass(frozen=True)
class Processes:
    """The processes that train together, each on the devices of its machine."""

    coordinator: str | None = None
    """Address and port of the first process, such as node1:1234. Not needed if the cluster says
    it."""
    count: int | None = None
    """Number of processes. Not needed if the cluster says it."""
    index: int | None = None
    """Number of this process, from 0. Not needed if the cluster says it."""
    cluster: bool | None = None
    """Get these three from the cluster: Slurm, Open MPI, a TPU pod or Kubernetes. By default done
    in a job of Slurm, Open MPI or Cloud TPU with more than one process."""
    heartbeat: int = 60
    """After this many seconds without a sign of life, a process counts as dead and the others
    end."""
