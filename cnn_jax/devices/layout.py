"""How a run is laid over devices and processes: what a command line gives, without JAX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Compile = Literal["jit", "pmap"]
"""The two ways of compiling a step for many devices."""


@dataclass(frozen=True)
class Parallel:
    """How a run is laid over the devices: this changes its result by no more than rounding."""

    data: int | None = None
    """Copies of the state that the batch is spread over; by default as many as there are devices,
    or groups of `fsdp` devices."""
    fsdp: int = 1
    """Devices that share one copy of parameters, optimizer state and averages, each holding its
    part (fully sharded data parallelism, https://arxiv.org/abs/1910.02054); the batch is spread
    over them as well."""
    compile: Compile = "jit"
    """Let the compiler place what devices send each other (`jit`), or write one program a device
    which averages gradients itself (`pmap`, for fsdp 1 and one process)."""
    steps_per_call: int | None = None
    """Training steps in one call of the compiled program, at most: so many as fit between
    validations and checkpoints. By default 50 on GPUs and TPUs, and 1 on CPUs, whose convolutions
    are slow inside a loop, with `pmap`, and with streamed sets. A signal is heeded between two
    calls."""


@dataclass(frozen=True)
class Processes:
    """The processes that train together, each on the devices of its machine."""

    coordinator: str | None = None
    """Address and port of the first process, such as `node1:1234`, where no cluster tells."""
    count: int | None = None
    """How many processes there are, where no cluster tells."""
    index: int | None = None
    """Which of them this is, from 0, where no cluster tells."""
    cluster: bool | None = None
    """Ask the cluster for the three of them: Slurm, Open MPI, a TPU pod, Kubernetes. By default
    done where the environment of a Slurm, Open MPI or Cloud TPU job names more than one."""
    heartbeat: int = 60
    """Seconds without a sign of life after which a process is taken for dead and the others end."""
