"""What a device holds and sends, and that the losses stay the same, on 1 to 8 virtual devices.

    make bench-scaling

Each layout runs in a process of its own, on virtual devices of this machine's CPU: how fast it is
says nothing of real devices, so no time is given. Two things are measured:

- with as many examples a device on every number of devices (weak scaling): the bytes of state and
  of temporary arrays that a device holds, and what the compiled step sends between devices;
- with the same batch on every number of devices: the losses, drawn over each other. Devices sum in
  another order, and training amplifies what rounding differs by; so beside them stands, as a
  measure, one device with initial parameters that were changed by their last bit (`changed`).
"""

import dataclasses
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from cnn_jax import Augment, Data, Model, Optimizer, Parallel, Recipe, steps
from cnn_jax.data import InMemory, Order
from cnn_jax.data.recipe_data import data_spec, load_data
from cnn_jax.devices.collectives import collectives
from cnn_jax.devices.mesh import make_mesh, replicated
from cnn_jax.errors import shown_to_user
from cnn_jax.training.program import Program


@dataclass(frozen=True)
class Options:
    """What is measured."""

    model: str = "resnet20"
    """On CIFAR-10."""
    each: int = 16
    """Examples a device in the first part."""
    batch: int = 128
    """Examples of all devices in the second."""
    steps: int = 60
    """Steps of the second."""
    json: Path = Path("benchmarks/results/scaling.json")
    """Where the numbers go."""
    plot: Path = Path("benchmarks/results/scaling.png")
    """Where the losses are drawn."""
    one: int | None = None
    """Measure this layout only, by its place in the list, and print JSON: what processes do."""


LAYOUTS = ((1, 1), (2, 1), (4, 1), (8, 1), (1, 2), (1, 4), (1, 8), (2, 4), (1, 1))
"""Sizes of the axes data and fsdp; the last is the run with changed parameters."""


def recipe_of(options: Options, batch: int) -> Recipe:
    """ResNet-20 with random crops and mirrors, and its batch statistics."""
    return Recipe(
        name="scaling",
        data=Data("cifar10", validation=5000),
        augment=Augment(pad_crop=4, mirror="random"),
        model=Model(options.model),
        optimizer=Optimizer("sgd", learning_rate=0.01, options={"momentum": 0.9}),
        batch_size=batch,
        duration=steps(options.steps),
    )


def measure(options: Options, data: int, fsdp: int, *, changed: bool) -> dict:
    """What one layout holds, sends and loses, on the devices of this process."""
    recipe = recipe_of(options, options.each * data * fsdp)
    dataset = load_data(recipe.data)
    mesh = make_mesh(Parallel(data=data, fsdp=fsdp))
    train = InMemory(dataset.train, replicated(mesh))

    program = Program(recipe, data_spec(dataset), mesh)
    program.compile_train(train.inputs, train.targets)
    state = program.init(0)
    held = dict.fromkeys(mesh.devices.flat, 0)
    for leaf in jax.tree.leaves(state):
        for shard in leaf.addressable_shards:
            held[shard.device] += shard.data.nbytes
    compiled = program.compiled_step
    sent = collectives(compiled.as_text())
    found = {
        "devices": data * fsdp,
        "data": data,
        "fsdp": fsdp,
        "state_bytes": max(held.values()),
        "temporary_bytes": compiled.memory_analysis().temp_size_in_bytes,
        "collectives": {kind: list(entry) for kind, entry in sent.items() if entry[0]},
    }
    same = dataclasses.replace(recipe, batch_size=options.batch)
    program = Program(same, data_spec(dataset), mesh)
    program.compile_train(train.inputs, train.targets)
    state, order, losses = program.init(0), Order(0, len(dataset.train), options.batch), []
    if changed:
        params = jax.tree.map(lambda x: jnp.nextafter(x, jnp.inf), state.params)
        state = state.replace(params=params)
    for step in range(options.steps):
        state, metrics = program.train_step(state, train.inputs, train.targets, *order(step))
        losses.append(float(metrics["loss"]))
    return {**found, "changed": changed, "losses": losses}


def draw(rows: list[dict], file: Path) -> None:
    """Draws the losses of all layouts over each other."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    widths = np.linspace(9, 1, len(rows))
    for row, width in zip(rows, widths, strict=True):
        axes.plot(row["losses"], linewidth=width, label=name(row))
    axes.set(xlabel="step", ylabel="training loss")
    axes.legend(fontsize="small")
    figure.savefig(file, dpi=110)


def main() -> None:
    """Measures all layouts, prints a table, writes the numbers and the plot."""
    options = tyro.cli(Options, description=__doc__)
    if options.one is not None:
        changed = options.one == len(LAYOUTS) - 1
        with shown_to_user():
            print(json.dumps(measure(options, *LAYOUTS[options.one], changed=changed)))
        return
    rows = []
    for index, (data, fsdp) in enumerate(LAYOUTS):
        flag = f"--xla_force_host_platform_device_count={data * fsdp}"
        environment = {**os.environ, "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flag}"}
        done = subprocess.run(
            [sys.executable, __file__, *sys.argv[1:], "--one", str(index)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            check=True,
        )
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(line(rows[-1], rows[0]), flush=True)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    chosen = {name: getattr(options, name) for name in ("model", "each", "batch", "steps")}
    options.json.write_text(json.dumps({"options": chosen, "rows": rows}, indent=1) + "\n")
    draw(rows, options.plot)
    print(f"{options.json}, {options.plot}")


def name(row: dict) -> str:
    """A layout in words."""
    if row["changed"]:
        return "1 device, last bits changed"
    return f"data {row['data']} × fsdp {row['fsdp']}"


def line(row: dict, first: dict) -> str:
    """A row of the table in Markdown."""
    sent = ", ".join(
        f"{kind} {count}, {size / 1e6:.2f} MB" for kind, (count, size) in row["collectives"].items()
    )
    losses, alone = np.array(row["losses"]), np.array(first["losses"])
    apart = np.abs(losses / alone - 1)
    return (
        f"| {name(row)} | {row['state_bytes'] / 1e6:.3f} | "
        f"{row['temporary_bytes'] / 1e6:.1f} | {sent or 'none'} | "
        f"{apart[1]:.0e} | {np.max(apart):.0e} |"
    )


if __name__ == "__main__":
    main()
