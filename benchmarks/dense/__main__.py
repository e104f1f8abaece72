"""Nets for segmentation and detection beside PyTorch's and torchvision's, images a second.

    make bench-dense
    make bench-dense ARGS="--nets unet32 fcos --rounds 5"

U-Net and FCN see 180x240 pixels, the detectors 320x320. Both sides are given the same images, truth
and initial weights, and the losses of three steps are compared, so that the same work is measured;
but Faster R-CNN draws other samples, and FCOS's losses differ in what they are divided by. What is
compared of an evaluation is the loss, or the mean score of the best boxes. Then they are timed in
turn, round after round; above 1 ours is faster.
"""

import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.dense.cases import CASES
from benchmarks.dense.initial import write
from benchmarks.speed.processes import Worker, environment

LIMIT = 600.0
"""Seconds that an answer may take."""


@dataclass(frozen=True)
class Options:
    """What is measured."""

    nets: tuple[str, ...] = tuple(CASES)
    """Of `benchmarks/dense/cases.py`."""
    dtype: str = "float32"
    """Or bfloat16; PyTorch by autocast."""
    cores: int = 2
    """Of the CPU, that both processes are bound to."""
    rounds: int = 3
    """How often each is timed."""
    steps: int = 3
    """Of training in a round, and batches evaluated."""
    torch_python: Path = Path(".venv-torchvision/bin/python")
    """The Python that has PyTorch and torchvision."""


def main(options: Options) -> None:
    """Prints a line for each net and implementation."""
    unknown = sorted(set(options.nets) - set(CASES))
    if unknown:
        sys.exit(f"error: --nets {' '.join(unknown)}: not measured; valid: {', '.join(CASES)}")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    commands = {
        "ours": [sys.executable, "-m", "benchmarks.dense.worker_ours"],
        "torch": [str(options.torch_python.absolute()), "-m", "benchmarks.dense.worker_torch"],
    }
    for net in options.nets:
        with tempfile.TemporaryDirectory() as place:
            measured(Path(place), net, commands, options)


def measured(folder: Path, net: str, commands: dict[str, list[str]], options: Options) -> None:
    """Measures a net by both, one process at a time busy."""
    cost, case = write(folder, net), CASES[net]
    workers: dict[str, Worker] = {}
    rates: dict[tuple[str, str], list[float]] = {}
    try:
        for name, command in commands.items():
            arguments = [*command, str(folder), net, options.dtype]
            variables = environment("cpu", folder / "cache")
            workers[name] = Worker(arguments, variables, folder / f"{name}.log")
            workers[name].compile(LIMIT)
            started = workers[name].first_step(LIMIT)
            losses = workers[name].ask("losses", 3, limit=LIMIT)
            losses.append(workers[name].ask("evaluation_loss", limit=LIMIT))
            shown = ", ".join(f"{loss:.5f}" for loss in losses)
            print(f"{net} {name}: started in {started:.0f} s; losses {shown}", flush=True)
        for _ in range(options.rounds):
            for mode in ("train", "evaluate"):
                for name, worker in workers.items():
                    seconds = worker.ask(mode, options.steps, limit=LIMIT)
                    rate = options.steps * case.batch / seconds
                    rates.setdefault((mode, name), []).append(rate)
        for mode in ("train", "evaluate"):
            ours, torch = (rates[mode, name] for name in commands)
            ratios = [mine / theirs for mine, theirs in zip(ours, torch, strict=True)]
            print(
                f"{net} {options.dtype} {case.sides[0]}x{case.sides[1]} batch {case.batch}, "
                f"{cost / 1e9:.2f} G multiply-adds an image: {mode} ours "
                f"{statistics.median(ours):.2f}, torch {statistics.median(torch):.2f} images/s, "
                f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}, "
                f"n={len(ratios)})",
                flush=True,
            )
        peaks = ", ".join(f"{n} {w.peak_bytes / 2**20:.0f} MiB" for n, w in workers.items())
        print(f"{net} peak memory: {peaks}", flush=True)
    finally:
        for worker in workers.values():
            worker.close()


if __name__ == "__main__":
    main(tyro.cli(Options, prog="make bench-dense", description=__doc__))
