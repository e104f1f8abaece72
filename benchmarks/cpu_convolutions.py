"""What training steps on a CPU gain by the convolutions of `cnn_jax.models.cpu_convolution`.

    make bench-conv

Two programs of the same step, with these and with XLA's own, run in turn on the same batch; what
is printed for each model is the time a step of each and their ratio, as median and spread over
the rounds, and by how much their losses differ after the first step.
"""

import json
import statistics
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import optax
import tyro

from cnn_jax import models
from cnn_jax.batch import Batch
from cnn_jax.compilation import compiler_options
from cnn_jax.errors import shown_to_user
from cnn_jax.models.cpu_convolution import convolutions_for
from cnn_jax.parallel import make_mesh
from cnn_jax.tasks.losses import LOSSES
from cnn_jax.training.state import init_state
from cnn_jax.training.step import make_train_step

CASES = (("resnet20", 32, 128), ("resnet18", 32, 32), ("mobilenet_v2", 96, 32))
"""Model, side of the images in pixels, batch size."""


@dataclass(frozen=True)
class Options:
    """What is measured."""

    rounds: int = 9
    """Steps of each program."""
    json: Path | None = None
    """Also write the numbers here."""


def measure(name: str, side: int, batch_size: int, rounds: int) -> dict[str, object]:
    """Times a step of a model with both kinds of convolutions."""
    options = {"stem": "small"} if name == "resnet18" else {}
    model = models.create(name, 10, **options)
    optimizer = optax.sgd(0.01, momentum=0.9)
    draw = np.random.default_rng(0)
    images = draw.standard_normal((batch_size, side, side, 3), np.float32)
    targets = np.eye(10, dtype=np.float32)[draw.integers(10, size=batch_size)]
    batch = Batch(images, targets, np.ones(batch_size, np.float32))
    state = jax.jit(lambda: init_state(0, model, optimizer, (side, side, 3)))()
    steps = {}
    for kind in ("ours", "xla"):
        step = make_train_step(model, LOSSES["cross_entropy"], optimizer)
        with convolutions_for("cpu") if kind == "ours" else nullcontext():
            lowered = jax.jit(step).lower(state, batch)
        steps[kind] = lowered.compile(compiler_options(make_mesh(), lowered.as_text()))
    losses = {
        kind: float(step(step(state, batch)[0], batch)[1]["loss"]) for kind, step in steps.items()
    }
    times: dict[str, list[float]] = {kind: [] for kind in steps}
    for _ in range(rounds):
        for kind, step in steps.items():
            began = time.perf_counter()
            jax.block_until_ready(step(state, batch))
            times[kind].append(time.perf_counter() - began)
    ratios = [xla / ours for ours, xla in zip(times["ours"], times["xla"], strict=True)]
    return {
        "model": name,
        "side": side,
        "batch": batch_size,
        "ms": {kind: 1e3 * statistics.median(found) for kind, found in times.items()},
        "ratio": statistics.median(ratios),
        "spread": [min(ratios), max(ratios)],
        "rounds": rounds,
        "loss_difference": abs(losses["ours"] - losses["xla"]),
    }


def main(options: Options) -> None:
    """Measures every case and prints a line for each."""
    found = []
    for case in CASES:
        row = measure(*case, options.rounds)
        found.append(row)
        print(
            f"{row['model']} {row['side']} px b{row['batch']}: {row['ms']['ours']:.0f} ms a step, "
            f"XLA's own {row['ms']['xla']:.0f} ms; {row['ratio']:.2f} times as fast "
            f"({row['spread'][0]:.2f} to {row['spread'][1]:.2f}, n={row['rounds']}); "
            f"losses differ by {row['loss_difference']:.1e}",
            flush=True,
        )
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    with shown_to_user():
        main(tyro.cli(Options))
