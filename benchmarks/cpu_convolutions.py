"""What training steps on a CPU gain by the convolutions of `cnn_jax.models.cpu_convolution`.

    make bench-conv
    make bench-conv ARGS="--nets airbench94 --rounds 4"

Three programs of the same step run in turn on the same batch: with these convolutions, with these
but for Winograd's tiles, and with XLA's own. Printed is the time a step of each and the ratio of
the others to the first, as median and spread over the rounds, and by how much losses differ after
the first step.
"""

import json
import statistics
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import tyro

from benchmarks.case_step import case_step
from cnn_jax.compilation import compiler_options
from cnn_jax.errors import shown_to_user
from cnn_jax.models.platform_layers import layers_for
from cnn_jax.parallel import make_mesh
from cnn_jax.tasks.losses import LOSSES
from cnn_jax.training.step import make_train_step

KINDS = {"ours": True, "without Winograd": False, "XLA's own": None}
"""From how many maps on Winograd's tiles are taken; None takes XLA's own convolutions."""


@dataclass(frozen=True)
class Options:
    """What is measured."""

    nets: tuple[str, ...] = ("resnet20", "resnet18", "airbench94")
    """Nets of `make bench`."""
    rounds: int = 9
    """Steps of each program."""
    json: Path | None = None
    """Also write the numbers here."""


def measure(net: str, rounds: int) -> dict[str, Any]:
    """Times a step of a net with each kind of convolutions."""
    model, optimizer, state, batch = case_step(net)
    steps = {}
    for kind, winograd in KINDS.items():
        step = make_train_step(model, LOSSES["cross_entropy"], optimizer)
        with nullcontext() if winograd is None else layers_for("cpu", winograd):
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
    ratios = {
        kind: [other / ours for other, ours in zip(times[kind], times["ours"], strict=True)]
        for kind in list(KINDS)[1:]
    }
    return {
        "net": net,
        "batch": len(batch.images),
        "ms": {kind: 1e3 * statistics.median(found) for kind, found in times.items()},
        "ratio": {kind: statistics.median(found) for kind, found in ratios.items()},
        "spread": {kind: [min(found), max(found)] for kind, found in ratios.items()},
        "rounds": rounds,
        "loss_difference": max(abs(losses["ours"] - loss) for loss in losses.values()),
    }


def main(options: Options) -> None:
    """Measures every net and prints a line for each kind."""
    found = []
    for net in options.nets:
        row = measure(net, options.rounds)
        found.append(row)
        print(
            f"{net} b{row['batch']}: {row['ms']['ours']:.0f} ms a step (n={row['rounds']}; "
            f"losses differ by {row['loss_difference']:.1e})"
        )
        for kind, ratio in row["ratio"].items():
            low, high = row["spread"][kind]
            print(
                f"  {kind}: {row['ms'][kind]:.0f} ms, {ratio:.2f} ({low:.2f} to {high:.2f}) "
                "times as long",
                flush=True,
            )
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    with shown_to_user():
        main(tyro.cli(Options))
