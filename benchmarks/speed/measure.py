"""One net in one dtype: its processes are started, compared, and timed in turn."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.speed.cases import CASES
from benchmarks.speed.processes import Failed, TooSlow, Worker, environment

MATMUL = 2048
"""Side of the matrices."""

LOOP_FROM = 2
"""Steps a round from which the training loop is timed too."""


@dataclass(frozen=True)
class Limits:
    """How long is measured, in seconds.

    Attributes:
      rounds: the most of them.
      seconds: of training in a round.
      budget: of all rounds of all implementations.
      step: of one step.
      compile: from the command to the first step's beginning.
    """

    rounds: int
    seconds: float
    budget: float
    step: float
    compile: float


def steps_for(seconds: float, step: float) -> int:
    """Steps that take about so many seconds, at least one."""
    return max(1, round(seconds / step))


def rounds_for(limits: Limits, round_seconds: float) -> int:
    """Rounds that the budget lets, at least one."""
    return max(1, min(limits.rounds, int(limits.budget / round_seconds)))


class Running:
    """An implementation whose process runs, with what is known of it.

    Attributes:
      worker: the process.
      found: the numbers.
      seconds: of a step or of an evaluated batch, by `train` and `evaluate`.
      steps: in a round, by the same.
    """

    worker: Worker

    def __init__(self, found: dict[str, Any], limits: Limits, batch: int) -> None:
        self.found, self._limits, self._batch = found, limits, batch
        self.seconds: dict[str, float] = {}
        self.steps: dict[str, int] = {}

    def compile(self) -> None:
        """Waits for it."""
        self.worker.compile(self._limits.compile)

    def first_step(self, limit: float) -> None:
        """Adds the seconds from the command to the first step done."""
        self.found.setdefault("start", []).append(self.worker.first_step(limit))

    def close(self) -> None:
        """Ends the process, if there is one."""
        if hasattr(self, "worker"):
            self.worker.close()

    def prepare(self) -> None:
        """Compares and estimates; the first call of each kind may compile."""
        ask, limits = self.worker.ask, self._limits
        step = ask("train", 1, limit=limits.step)
        losses = ask("losses", 3, limit=6 * limits.step)
        losses.append(ask("evaluation_loss", limit=limits.compile))
        self.found["losses"] = losses
        self.seconds["train"] = min(step, ask("train", 1, limit=limits.step))
        self.seconds["evaluate"] = ask("evaluate", 1, limit=limits.step)
        for mode, part in (("train", 1.0), ("evaluate", 0.5)):
            self.steps[mode] = steps_for(part * limits.seconds, self.seconds[mode])

    @property
    def round_seconds(self) -> float:
        """About how long a round takes."""
        return sum(self.steps[mode] * self.seconds[mode] for mode in self.steps)

    def round(self, mode: str) -> None:
        """Adds the examples a second of a round, after a step that is not counted.

        While the process waited for its turn, a virtual machine's host may have taken back the
        memory that it had freed; the first step has to fetch it again, page by page.
        """
        count = self.steps["train" if mode == "loop" else mode]
        if mode != "loop":
            self.worker.ask(mode, 1, limit=10 * self._limits.step)
        seconds = self.worker.ask(mode, count, limit=10 * self._limits.step)
        self.found.setdefault(mode, []).append(count * self._batch / seconds)


def measure(
    commands: Mapping[str, list[str]],
    net: str,
    dtype: str,
    folder: Path,
    limits: Limits,
    *,
    device: str,
    again: bool,
    matmul: bool,
) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """What there is to know of a net in a dtype.

    Args:
      commands: the Python and the module of each implementation.
      net: a name of `CASES`.
      dtype: float32 or bfloat16.
      folder: of the inputs; compiled programs are stored below it.
      limits: how long is measured.
      device: see `environment`.
      again: start every process a second time.
      matmul: time products of matrices as well.

    Returns:
      Of each implementation its numbers, and the floating-point operations a second of a product
      of matrices where they were asked for.
    """
    found: dict[str, dict[str, Any]] = {name: {} for name in commands}
    running: dict[str, Running] = {}
    try:
        for name, command in commands.items():
            one = Running(found[name], limits, CASES[net].batch)
            running[name] = one
            variables = environment(device, folder / f"cache-{name}-{dtype}")
            arguments = [*command, str(folder), net, dtype]
            for _ in range(2 if again else 1):
                if name not in running:
                    break
                one.close()
                one.worker = Worker(arguments, variables, folder / f"{name}.log")
                _tried(running, name, Running.compile, "to compile", limits.compile)
                # torch.compile compiles when it is called.
                most = limits.compile if name == "compiled" else limits.step
                _tried(running, name, lambda one, s=most: one.first_step(s), "a step", most)
        for name in list(running):
            _say(f"{net} {dtype}: {name} started in {found[name]['start'][-1]:.1f} s")
            _tried(running, name, Running.prepare, "a step", limits.step)
        _rounds(running, limits)
        for name, one in running.items():
            found[name]["peak_bytes"] = one.worker.peak_bytes
        products = _products(running) if matmul else {}
    finally:
        for one in running.values():
            one.close()
    return found, products


def _rounds(running: dict[str, Running], limits: Limits) -> None:
    """Times all in turn, until each has been timed so often."""
    if not running:
        return
    rounds = rounds_for(limits, sum(one.round_seconds for one in running.values()))
    began = time.perf_counter()
    for _ in range(rounds):
        for name in list(running):
            modes = ["train"]
            if name == "ours" and running[name].steps["train"] >= LOOP_FROM:
                modes.append("loop")
            for mode in modes:
                _timed(running, name, mode, limits)
        for name in list(running):
            _timed(running, name, "evaluate", limits)
    _say(f"  {rounds} rounds in {time.perf_counter() - began:.0f} s")


def _timed(running: dict[str, Running], name: str, mode: str, limits: Limits) -> None:
    _tried(running, name, lambda one: one.round(mode), "a step", limits.step)


def _products(running: dict[str, Running]) -> dict[str, list[float]]:
    """Rates of those that are fast enough; nothing is asked of the processes after this."""
    found: dict[str, list[float]] = {}
    asked = [name for name in ("torch", "flax") if name in running]
    for _ in range(3):
        for name in list(asked):
            try:
                seconds = running[name].worker.ask("matmul", MATMUL, limit=60)
            except TooSlow:
                _say(f"  a product of matrices took {name} more than 30 s")
                asked.remove(name)
            else:
                found.setdefault(name, []).append(2 * MATMUL**3 / seconds)
    return found


def _tried(
    running: dict[str, Running],
    name: str,
    call: Callable[[Running], None],
    what: str,
    limit: float,
) -> None:
    """Makes a call for one that runs, and takes it out where that is too slow or fails."""
    if name not in running:
        return
    one = running[name]
    try:
        call(one)
        return
    except TooSlow:
        one.found["why"] = f"> {limit:g} s {what}"
    except Failed as failure:
        one.found["why"] = "failed"
        _say(f"{failure}")
    _say(f"  {name}: {one.found['why']}")
    for mode in ("train", "evaluate", "loop"):
        one.found.pop(mode, None)
    del running[name]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
