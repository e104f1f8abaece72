"""What training steps on a CPU gain by layers of `models.platform_layers`, and by oneDNN.

    make bench-layers
    make bench-layers ARGS="--nets mobilenet_v2 --without normalisation --rounds 4"
    make bench-layers ARGS="--nets resnet20 mobilenet_v2 --evaluate --without folding"

Programs of the same step run in turn on the same batch: one with these layers, and for each kind of
them one without it. Printed is the time a step of each and the ratio of the others to the first, as
median and spread over the rounds, and by how much losses differ after the first step.
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import optax
import tyro
from flax import linen as nn

from benchmarks.case_step import case_step
from cnn_jax.batch import Batch
from cnn_jax.devices.compilation import compiler_options
from cnn_jax.devices.mesh import make_mesh
from cnn_jax.errors import shown_to_user
from cnn_jax.layers.cpu.platform import layers_for
from cnn_jax.state import TrainState
from cnn_jax.tasks.classification import class_loss
from cnn_jax.tasks.losses import CLASS_LOSSES
from cnn_jax.training.step import make_train_step

Kind = Literal["convolutions", "winograd", "normalisation", "folding", "onednn"]
"""Layers as `layers_for` names them, where convolutions are those of `winograd` too; or what
`compiler_options` asks for."""


@dataclass(frozen=True)
class Options:
    """What is measured."""

    nets: tuple[str, ...] = ("resnet20", "resnet18", "airbench94")
    """Nets of `make bench`."""
    without: tuple[Kind, ...] = ("winograd", "convolutions", "normalisation")
    """What is left out, one at a time."""
    evaluate: bool = False
    """Evaluations, and not training steps."""
    rounds: int = 9
    """Steps of each program."""
    json: Path | None = None
    """Also write the numbers here."""


def measure(net: str, without: tuple[Kind, ...], evaluate: bool, rounds: int) -> dict[str, Any]:
    """Times a step of a net with all layers, and without each kind of them."""
    model, optimizer, state, batch = case_step(net)
    steps = {}
    for kind in (None, *without):
        step = make_train_step(model, class_loss(CLASS_LOSSES["cross_entropy"]), optimizer)
        if evaluate:
            step = evaluation_of(model)
        with layers_for("cpu", **({} if kind in (None, "onednn") else {kind: False})):
            lowered = jax.jit(step).lower(state, batch)
        wanted = {} if kind == "onednn" else compiler_options(make_mesh(), lowered.as_text())
        steps[kind] = lowered.compile(wanted)
    losses = {
        kind: float(step(step(state, batch)[0], batch)[1]["loss"]) for kind, step in steps.items()
    }
    times: dict[Kind | None, list[float]] = {kind: [] for kind in steps}
    for _ in range(rounds):
        for kind, step in steps.items():
            began = time.perf_counter()
            jax.block_until_ready(step(state, batch))
            times[kind].append(time.perf_counter() - began)
    ratios = {
        kind: [other / ours for other, ours in zip(times[kind], times[None], strict=True)]
        for kind in without
    }
    return {
        "net": net,
        "batch": len(batch.inputs),
        "ms": 1e3 * statistics.median(times[None]),
        "ms_without": {kind: 1e3 * statistics.median(times[kind]) for kind in without},
        "ratio": {kind: statistics.median(found) for kind, found in ratios.items()},
        "spread": {kind: [min(found), max(found)] for kind, found in ratios.items()},
        "rounds": rounds,
        "loss_difference": max(abs(losses[None] - loss) for loss in losses.values()),
    }


def evaluation_of(model: nn.Module) -> Callable[[TrainState, Batch], Any]:
    """What evaluates a batch, called and answering as a step is."""

    def evaluated(state: TrainState, batch: Batch) -> Any:
        logits = model.apply(state.variables, batch.inputs)
        return state, {"loss": optax.softmax_cross_entropy(logits, batch.targets).mean()}

    return evaluated


def main(options: Options) -> None:
    """Measures every net and prints a line for each kind."""
    found = []
    for net in options.nets:
        row = measure(net, options.without, options.evaluate, options.rounds)
        found.append(row)
        print(
            f"{net} b{row['batch']}: {row['ms']:.0f} ms a step (n={row['rounds']}; "
            f"losses differ by {row['loss_difference']:.1e})"
        )
        for kind, ratio in row["ratio"].items():
            low, high = row["spread"][kind]
            took = f"{row['ms_without'][kind]:.0f} ms, {ratio:.2f} ({low:.2f} to {high:.2f})"
            print(f"  without {kind}: {took} times as long", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    with shown_to_user():
        main(tyro.cli(Options))
