"""Training and evaluation of U-Net and FCN at 180x240 pixels beside PyTorch's, images a second.

    make bench-pixels
    make bench-pixels ARGS="--nets unet32 --rounds 5"

Both are given the same images, classes and initial weights, and the losses of three steps and of
an evaluation are compared, so that the same work is measured. Then they are timed in turn, round
after round; ratios are of medians, ours to PyTorch's, and above 1 ours is faster.
"""

import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from benchmarks.pixels.cases import CASES, CLASSES, OPTIONS, SIDES
from benchmarks.speed.processes import Worker, environment
from cnn_jax import models
from cnn_jax.models.cost import multiply_adds
from cnn_jax.pretrained.matching import paths
from cnn_jax.pretrained.naming import Naming, namings
from cnn_jax.pretrained.weights import as_tensors

_PAIR = {0: "conv1/conv", 1: "conv1/norm", 3: "conv2/conv", 4: "conv2/norm"}
"""The layers of a pair of convolutions in PyTorch, by their places."""

_UNET = Naming(
    (
        *(
            (rf"{way}\.{level - 1}\.{place}", f"{way}{level}/{layer}")
            for way, levels in (("down", 5), ("up", 4))
            for level in range(1, levels + 1)
            for place, layer in _PAIR.items()
        ),
        *((rf"larger\.{level - 1}", f"larger{level}") for level in range(1, 5)),
        (r"head", "head"),
    )
)
"""The plain U-Net's names of modules as ours."""

LIMIT = 300.0
"""Seconds that an answer may take."""


@dataclass(frozen=True)
class Options:
    """What is measured."""

    nets: tuple[str, ...] = tuple(CASES)
    """Of unet32 and fcn_resnet50."""
    dtype: str = "float32"
    """Or bfloat16; PyTorch by autocast."""
    cores: int = 2
    """Of the CPU, that both processes are bound to."""
    rounds: int = 3
    """How often each is timed."""
    steps: int = 3
    """Of training in a round, and batches evaluated."""
    torch_python: Path = Path(".venv-torch/bin/python")
    """The Python that has PyTorch and torchvision."""


def write(folder: Path, net: str) -> int:
    """Writes the initial weights for both; returns the multiply-adds of an image."""
    module = models.create(CASES[net].model, CLASSES, **OPTIONS[net])
    arguments = (jax.random.key(0), jnp.zeros((1, *SIDES, 3)))
    init = jax.jit(module.init).lower(*arguments).compile({"xla_backend_optimization_level": 0})
    variables = init(*arguments)
    by_path = {path: np.asarray(value) for path, value in paths(variables).items()}
    np.savez(folder / f"{net}_paths.npz", **by_path)
    naming = _UNET if net == "unet32" else namings(CASES[net].model)[0]
    tensors = as_tensors(variables, naming)
    for name in [name for name in tensors if name.startswith("larger") and "weight" in name]:
        # PyTorch's transposed kernels have the maps that come in first.
        tensors[name] = np.ascontiguousarray(tensors[name].transpose(1, 0, 2, 3))
    if net == "fcn_resnet50":
        tensors = {f"net.{name}": value for name, value in tensors.items()}
    np.savez(folder / f"{net}_torch.npz", **tensors)
    return multiply_adds(module, (*SIDES, 3), variables)


def main(options: Options) -> None:
    """Prints a line for each net and implementation."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    commands = {
        "ours": [sys.executable, "-m", "benchmarks.pixels.worker_ours"],
        "torch": [str(options.torch_python.absolute()), "-m", "benchmarks.pixels.worker_torch"],
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
