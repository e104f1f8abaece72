"""The command that starts several processes of one job on this machine, to try them out."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from types import FrameType
from typing import Annotated

import tyro

from cnn_jax.devices.shares import visible_gpus, with_cpu_devices
from cnn_jax.errors import UserError
from cnn_jax.interruption import how_it_ended, signals


@dataclass(frozen=True)
class LaunchProcesses:
    """Run an experiment in several processes on this machine, as on several machines.

    After `--` comes the file of an experiment and its flags, or `train` and its words: `cnn-jax
    launch --processes 2 -- train classification --data.name folder:photos`.
    """

    command: tyro.conf.Positional[tuple[str, ...]]
    """After `--`: the file of an experiment or `train`, and its flags."""
    processes: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 2
    """Number of processes."""
    devices: int | None = None
    """Number of virtual CPU devices of each process. By default 1. GPUs are shared out evenly
    between the processes."""
    heartbeat: int = 10
    """After this many seconds without a sign of life, a process counts as dead."""
    patience: int = 30
    """If one process fails, the others have this many seconds to end before they are killed."""

    def __call__(self) -> None:
        """Waits for all; ends with the status of the first that failed."""
        if self.processes < 1:
            raise UserError(f"--processes {self.processes} must be at least 1")
        if not self.command:
            raise UserError(
                "no experiment is given: cnn-jax launch -n 2 -- experiments/x.py, or -- train TASK"
            )
        port = _free_port()
        running: list[subprocess.Popen[bytes]] = []

        def forward(number: int, frame: FrameType | None) -> None:
            for process in running:
                if process.poll() is None:
                    process.send_signal(number)

        for number in signals():
            signal.signal(number, forward)
        gpus = visible_gpus()
        if gpus and len(gpus) < self.processes:
            raise UserError(
                f"--processes {self.processes} is more than the {len(gpus)} GPUs here; each needs "
                "one of its own"
            )
        for index in range(self.processes):
            running.append(self._start(index, port, gpus[index :: self.processes]))
        sys.exit(_wait(running, self.patience))

    def _start(self, index: int, port: int, gpus: list[str]) -> subprocess.Popen[bytes]:
        environment = dict(os.environ)
        if self.devices is not None:
            environment = with_cpu_devices(environment, self.devices)
        if gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
        words = [
            f"--processes.coordinator=localhost:{port}",
            f"--processes.count={self.processes}",
            f"--processes.index={index}",
            f"--processes.heartbeat={self.heartbeat}",
        ]
        ours = ["-m", "cnn_jax"] if self.command[0] == "train" else []
        # A group of its own: Ctrl-C reaches it once, through us.
        return subprocess.Popen(
            [sys.executable, *ours, *self.command, *words], env=environment, start_new_session=True
        )


def _wait(running: list[subprocess.Popen[bytes]], patience: float) -> int:
    """Waits for all processes; returns the status of the first that failed, or 0."""
    first, end = 0, float("inf")
    while None in [process.poll() for process in running]:
        for index, process in enumerate(running):
            if process.returncode and not first:
                first, end = process.returncode, time.monotonic() + patience
                if first != 75:
                    print(
                        f"process {index} has ended with {how_it_ended(first)}; the others have "
                        f"{patience} s to end",
                        file=sys.stderr,
                    )
        if time.monotonic() > end:
            for process in running:
                process.kill()
        time.sleep(0.05)
    first = first or next((p.returncode for p in running if p.returncode), 0)
    return 128 - first if first < 0 else first


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return int(found.getsockname()[1])
