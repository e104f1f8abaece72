"""Where the time of a training step goes, by operation: what XLA runs and what it is for.

    make bench-profile ARGS="--net resnet20"

A step is recorded by JAX's profiler. Times of an operation are summed over all threads that ran
it, waiting included, so that they can add up to more than the step took; numbers in names of
layers are left out, so that layers of a kind are one line.
"""

import collections
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import tyro

from benchmarks.case_step import case_step
from cnn_jax.batch import Batch
from cnn_jax.data.spec import DataSpec
from cnn_jax.devices.compilation import compiled
from cnn_jax.devices.mesh import make_mesh
from cnn_jax.errors import shown_to_user
from cnn_jax.recipe import Recipe
from cnn_jax.tasks import Task, make_task
from cnn_jax.tasks.classification import class_loss
from cnn_jax.tasks.losses import CLASS_LOSSES
from cnn_jax.training.step import make_eval_step, make_train_step


@dataclass(frozen=True)
class Options:
    """What is recorded."""

    net: str = "resnet20"
    """A net of `make bench`."""
    dtype: str = "float32"
    """What it computes in."""
    steps: int = 3
    """How many steps are recorded."""
    evaluation: bool = False
    """Record steps of evaluation instead."""
    lines: int = 25
    """How many lines are printed, the longest first."""


def grouped(program: str, events: list[tuple[str, int]]) -> collections.Counter[str]:
    """Nanoseconds by direction, kind of operation and layer.

    Args:
      program: the text of the compiled program.
      events: the name of an operation and how long it ran.
    """
    layers = {}
    for line in program.splitlines():
        if found := re.match(r"\s+(?:ROOT )?%?([\w.\-]+) = (.*)", line):
            named = re.search(r'op_name="([^"]*)"', found[2])
            layers[found[1]] = named[1] if named else ""
    total: collections.Counter[str] = collections.Counter()
    for name, nanoseconds in events:
        if name not in layers:
            continue
        way = "backward" if "transpose(jvp" in layers[name] else "forward"
        kind = re.sub(r"[\d.]+$", "", name)
        layer = re.sub(r"([a-z])\d+", r"\1", "/".join(layers[name].split("/")[-3:]))
        total[f"{way:8}  {kind:28}  {layer}"] += nanoseconds
    return total


def _task(batch: Batch) -> Task:
    """A classification of such images."""
    classes = batch.targets.shape[1]
    shape = batch.inputs.shape[1:]
    ones = (1.0,) * shape[-1]
    names = tuple(map(str, range(classes)))
    return make_task(Recipe("profile"), DataSpec("noise", names, shape, ones, ones, {"train": 1}))


def main(options: Options) -> None:
    """Prints the longest operations of a step."""
    model, optimizer, state, batch = case_step(options.net, options.dtype)
    loss = class_loss(CLASS_LOSSES["cross_entropy"])
    if options.evaluation:
        step, given = make_eval_step(model, _task(batch)), (state.variables, batch)
    else:
        step, given = make_train_step(model, loss, optimizer), (state, batch)
    run = compiled(make_mesh(devices=jax.devices()[:1]), jax.jit(step), *given)
    jax.block_until_ready(run(*given))
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            began = time.perf_counter()
            for _ in range(options.steps):
                jax.block_until_ready(run(*given))
            seconds = (time.perf_counter() - began) / options.steps
        (record,) = Path(folder).rglob("*.xplane.pb")
        planes = jax.profiler.ProfileData.from_file(str(record)).planes
        events = [
            (event.name, event.duration_ns)
            for plane in planes
            for line in plane.lines
            for event in line.events
        ]
    total = grouped(run.as_text(), events)
    scale = 1e6 * options.steps
    print(
        f"{options.net} {options.dtype}: {seconds * 1e3:.0f} ms a step while recorded, "
        f"{sum(total.values()) / scale:.0f} ms summed over threads, mean of {options.steps} steps"
    )
    for name, nanoseconds in total.most_common(options.lines):
        print(f"{nanoseconds / scale:9.1f} ms  {name}")


if __name__ == "__main__":
    with shown_to_user():
        main(tyro.cli(Options, description=__doc__))
