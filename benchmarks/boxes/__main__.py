"""Training and evaluation of detectors at 320x320 pixels beside torchvision's, images a second.

    python -m benchmarks.boxes --torch-python .venv-torch/bin/python

Both are given the same images, boxes and initial weights. The losses of three steps are compared:
those of FCOS and RetinaNet are the same but for what FCOS divides by, while Faster R-CNN draws
other samples; and the mean score of the best boxes at evaluation. Then they are timed in turn,
round after round; ratios are of medians, ours to torchvision's, and above 1 ours is faster.
"""

import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import tyro

from benchmarks.boxes.cases import CASES, CLASSES, SIDES
from benchmarks.speed.processes import Worker, environment
from cnn_jax import models
from cnn_jax.models.cost import multiply_adds, shapes
from cnn_jax.pretrained.matching import paths
from cnn_jax.pretrained.naming import namings
from cnn_jax.pretrained.weights import as_tensors

LIMIT = 600.0
"""Seconds that an answer may take."""


@dataclass(frozen=True)
class Options:
    """What is measured."""

    nets: tuple[str, ...] = tuple(CASES)
    """Of fcos, retinanet and faster_rcnn."""
    dtype: str = "float32"
    """Or bfloat16; PyTorch by autocast."""
    cores: int = 2
    """Of the CPU, that both processes are bound to."""
    rounds: int = 3
    """How often each is timed."""
    steps: int = 2
    """Of training in a round, and batches evaluated."""
    torch_python: Path = Path(".venv-torch/bin/python")
    """The Python that has PyTorch and torchvision."""


def write(folder: Path, net: str) -> int:
    """Writes the initial weights for both; returns the multiply-adds of an image."""
    case = CASES[net]
    module = models.create(case.model, CLASSES, **case.options)
    template, random = shapes(module, (*SIDES, 3)), np.random.default_rng(0)

    def value(path: tuple[jax.tree_util.DictKey, ...], leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        name = path[-1].key
        if name == "kernel":
            inside = path[1].key in ("body", "fpn")
            deviation = np.sqrt(1 / np.prod(leaf.shape[:-1])) if inside else 0.01
            return random.normal(0, deviation, leaf.shape).astype(np.float32)
        if path[-2].key == "logits" and path[1].key == "class_head":
            return np.full(leaf.shape, -np.log(99), np.float32)
        return np.full(leaf.shape, float(name in ("scale", "var")), np.float32)

    variables = jax.tree_util.tree_map_with_path(value, template)
    np.savez(folder / f"{net}_paths.npz", **paths(variables))
    np.savez(folder / f"{net}_torch.npz", **as_tensors(variables, namings(case.model)[0]))
    return multiply_adds(module, (*SIDES, 3), template)


def main(options: Options) -> None:
    """Prints a line for each net and implementation."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    commands = {
        "ours": [sys.executable, "-m", "benchmarks.boxes.worker_ours"],
        "torch": [str(options.torch_python.absolute()), "-m", "benchmarks.boxes.worker_torch"],
    }
    for net in options.nets:
        with tempfile.TemporaryDirectory() as place:
            measured(Path(place), net, commands, options)


def measured(folder: Path, net: str, commands: dict[str, list[str]], options: Options) -> None:
    """Measures a net by both, one process at a time busy."""
    cost, batch = write(folder, net), CASES[net].batch
    workers: dict[str, Worker] = {}
    rates: dict[tuple[str, str], list[float]] = {}
    try:
        for name, command in commands.items():
            arguments = [*command, str(folder), net, options.dtype]
            workers[name] = Worker(
                arguments, environment("cpu", folder / "cache"), folder / f"{name}.log"
            )
            workers[name].compile(LIMIT)
            started = workers[name].first_step(LIMIT)
            losses = workers[name].ask("losses", 3, limit=LIMIT)
            shown = ", ".join(f"{loss:.4f}" for loss in losses)
            score = workers[name].ask("evaluation_loss", limit=LIMIT)
            print(f"{net} {name}: started in {started:.0f} s; losses {shown}; score {score:.4f}")
        for _ in range(options.rounds):
            for mode in ("train", "evaluate"):
                for name, worker in workers.items():
                    seconds = worker.ask(mode, options.steps, limit=LIMIT)
                    rate = options.steps * batch / seconds
                    rates.setdefault((mode, name), []).append(rate)
        for mode in ("train", "evaluate"):
            ours, torch = (statistics.median(rates[mode, name]) for name in commands)
            print(
                f"{net} {options.dtype} {SIDES[0]}x{SIDES[1]} batch {batch}, "
                f"{cost / 1e9:.2f} G multiply-adds an image: {mode} ours {ours:.2f}, torch "
                f"{torch:.2f} images/s, ratio {ours / torch:.2f}",
                flush=True,
            )
        peaks = ", ".join(f"{n} {w.peak_bytes / 2**20:.0f} MiB" for n, w in workers.items())
        print(f"{net} peak memory: {peaks}", flush=True)
    finally:
        for worker in workers.values():
            worker.close()


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
