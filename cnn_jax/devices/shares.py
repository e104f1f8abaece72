"""The devices of this machine dealt out to processes, each of which sees no others: without JAX.

Whoever asks JAX for the GPUs of a machine takes memory of all of them, so that a process which
starts others finds out without it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from cnn_jax.errors import UserError

_COUNT = "--xla_force_host_platform_device_count"


class Share(NamedTuple):
    """Some devices of this machine.

    Attributes:
      name: which they are, such as `GPU 2`.
      environment: of a process that is to see these alone.
    """

    name: str
    environment: Mapping[str, str]


def shares(each: int, flag: str) -> tuple[list[Share], int]:
    """The devices of this machine in parts of so many.

    Args:
      each: devices of a part.
      flag: that was given, for the error.

    Returns:
      The parts, and how many devices there are.

    Raises:
      UserError: there are not so many devices.
    """
    if each < 1:
        raise UserError(f"{flag} {each} must be at least 1")
    gpus = visible_gpus()
    there = len(gpus) or _cpu_devices()
    if each > there:
        only = f"are only {there} devices" if there > 1 else "is only 1 device"
        more = "" if gpus else f"; XLA_FLAGS={_COUNT}={each} makes so many of a CPU"
        raise UserError(f"{flag} {each}: there {only} here{more}")
    found = []
    for first in range(0, there - each + 1, each):
        if gpus:
            mine = ",".join(gpus[first : first + each])
            found.append(Share(f"GPU {mine}", {**os.environ, "CUDA_VISIBLE_DEVICES": mine}))
        else:
            found.append(Share(f"CPU {first // each}", with_cpu_devices(os.environ, each)))
    return found, there


def visible_gpus() -> list[str]:
    """The GPUs of NVIDIA that a process started here would see, unless it is to use the CPU."""
    if os.environ.get("JAX_PLATFORMS") == "cpu":
        return []
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [gpu for gpu in visible.split(",") if gpu]
    there = Path("/proc/driver/nvidia/gpus")
    return [str(index) for index, _ in enumerate(there.iterdir())] if there.is_dir() else []


def with_cpu_devices(environment: Mapping[str, str], count: int) -> dict[str, str]:
    """An environment in which JAX makes so many devices of the CPU."""
    found = {name: value for name, value in environment.items() if name != "JAX_NUM_CPU_DEVICES"}
    flags = re.sub(rf"{_COUNT}=\S*", "", found.get("XLA_FLAGS", "")).split()
    return {**found, "XLA_FLAGS": " ".join([*flags, f"{_COUNT}={count}"])}


def _cpu_devices() -> int:
    """How many devices JAX makes of the CPU here."""
    given = re.findall(rf"{_COUNT}=(\d+)", os.environ.get("XLA_FLAGS", ""))
    return int(given[-1] if given else os.environ.get("JAX_NUM_CPU_DEVICES") or 1)
