"""The same run on one device and on eight virtual ones, in processes of their own."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

from cnn_jax import steps, train
from cnn_jax.evaluation.evaluate import evaluate
from cnn_jax.json_values import to_json
from cnn_jax.layers.cpu import norm as cpu_norm
from cnn_jax.runs.experiment import Experiment

# `.ci/run` runs this file by its name.
pytestmark = pytest.mark.slow

PROGRAM = """
import sys
from pathlib import Path
from cnn_jax import Recipe, train
from cnn_jax.json_values import from_json
from cnn_jax.layers.cpu import norm as cpu_norm
import json
cpu_norm.LEAST = 0  # the images of the test are small
recipe = from_json(json.loads(sys.argv[1]), Recipe, "arguments")
train(recipe, Path(sys.argv[2]))
"""


def environment(devices):
    return {
        **os.environ,
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
    }


def run_on(devices, recipe, path):
    """A run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(to_json(recipe)), str(path)],
        capture_output=True,
        text=True,
        env=environment(devices),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return results(path)


def results(path):
    """The summary and the metrics of a run."""
    entries = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return json.loads((path / "summary.json").read_text()), entries


@pytest.fixture(scope="module")
def recipe(tiny, changed):
    # Mirrors, shifts, batch statistics, mixup, dropout, the slow copy and the views of images
    # must all not depend on the devices.
    return changed(
        tiny,
        {
            "augment.mixup": 0.2,
            "duration": steps(12),
            "log_every": steps(1),
            "validate_every": steps(6),
            "optimizer.accumulate": 2,
            "optimizer.until": ("^head/bias$=4steps",),
            "lookahead.every": 3,
            "views": "six",
        },
    )


@pytest.fixture(scope="module")
def eight(recipe, tmp_path_factory):
    """The folder of a run on eight devices, its summary and metrics."""
    path = tmp_path_factory.mktemp("eight") / "run"
    return path, *run_on(8, recipe, path)


@pytest.fixture(scope="module")
def on_one(recipe):
    """`on_one(recipe, path)`: a run on one device, here, with another seed or the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_norm, "LEAST", 0)
        experiment = Experiment.of(recipe)

        def run(recipe, path):
            train(recipe, path, experiment=experiment, console=Console(quiet=True))
            return results(path)

        yield run


def test_eight_devices_give_the_losses_of_one(recipe, eight, on_one, tmp_path):
    one, lines = on_one(recipe, tmp_path / "one")
    _, summary, others = eight
    assert len(summary["devices"]) == 8
    for name in ("loss", "accuracy"):
        np.testing.assert_allclose(
            [e[name] for e in lines], [e[name] for e in others], rtol=2e-4, atol=1e-5
        )
    assert one["test"]["examples"] == summary["test"]["examples"] == 360
    assert one["test"]["nll"] == pytest.approx(summary["test"]["nll"], rel=1e-4)


def test_a_run_of_eight_devices_is_restored_on_one(eight):
    path, summary, _ = eight
    found = evaluate(path)
    assert len(found["devices"]) == 1
    assert found["examples"] == 360
    assert found["nll"] == pytest.approx(summary["test"]["nll"], rel=1e-5)
    assert found["accuracy"] == summary["test"]["accuracy"]


LAYOUTS = """
import dataclasses, json, sys
import jax
import cnn_jax.devices.mesh as parallel
from cnn_jax import Parallel, Recipe
from cnn_jax.data import InMemory, Order
from cnn_jax.data.recipe_data import data_spec, load_data
from cnn_jax.json_values import from_json
from cnn_jax.layers.cpu import norm as cpu_norm
from cnn_jax.training.program import Program

cpu_norm.LEAST = 0  # its images are, too
parallel.SMALL = 64  # the model of the test is small
recipe = from_json(json.loads(sys.argv[1]), Recipe, "arguments")
dataset = load_data(recipe.data)

def train(recipe, layout, devices):
    mesh = parallel.make_mesh(layout, jax.devices()[:devices])
    program = Program(recipe, data_spec(dataset), mesh, layout.compile)
    train = InMemory(dataset.train, parallel.replicated(mesh))
    program.compile_train(train.inputs, train.targets)
    state, order, losses = program.start(0, train.inputs), Order(0, len(dataset.train), 64), []
    for step in range(8):
        state, metrics = program.train_step(state, train.inputs, train.targets, *order(step))
        losses.append(float(metrics["loss"]))
    held = sum(leaf.addressable_data(0).nbytes for leaf in jax.tree.leaves(state))
    whole = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    return {"losses": losses, "nll": program.evaluate(state.evaluated, dataset.test)["nll"],
            "part": held / whole}

groups = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, norm_examples=8),
                             optimizer=dataclasses.replace(recipe.optimizer, accumulate=1))
cases = {
    "one": (recipe, Parallel(), 1),
    "fsdp": (recipe, Parallel(data=2, fsdp=4), 8),
    "pmap": (recipe, Parallel(compile="pmap"), 8),
    "groups, one": (groups, Parallel(), 1),
    "groups, fsdp": (groups, Parallel(fsdp=8), 8),
    "groups, pmap": (groups, Parallel(compile="pmap"), 8),
}
print(json.dumps({name: train(*cases[name]) for name in sys.argv[2:]}))
"""


def losses_of_layouts(recipe, *names):
    """Losses with some of `LAYOUTS`, which those of one device must equal."""
    done = subprocess.run(
        [sys.executable, "-c", LAYOUTS, json.dumps(to_json(recipe)), *names],
        capture_output=True,
        text=True,
        env=environment(8),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for name, layout in found.items():
        one = found["groups, one" if "groups" in name else "one"]
        np.testing.assert_allclose(layout["losses"], one["losses"], rtol=1e-5, err_msg=name)
        assert layout["nll"] == pytest.approx(one["nll"], rel=1e-5)
    return found


def test_layouts_give_the_losses_of_one_device(recipe):
    """Explicit averaging, and sharded parameters with batch statistics of groups; with mixup and
    dropout."""
    found = losses_of_layouts(recipe, "one", "pmap", "groups, one", "groups, fsdp")
    # Statistics of eight examples are not those of the batch.
    assert abs(found["one"]["losses"][-1] - found["groups, one"]["losses"][-1]) > 1e-4
    assert found["pmap"]["part"] == found["one"]["part"] == 1
    # All but the small arrays lie in eight parts.
    assert found["groups, fsdp"]["part"] < 0.3


def test_other_layouts_give_them_too(recipe):
    found = losses_of_layouts(recipe, "one", "fsdp", "groups, one", "groups, pmap")
    assert found["fsdp"]["part"] < 0.4
    assert found["groups, pmap"]["part"] == 1


AT_ONCE = """
import json, sys
from pathlib import Path
from cnn_jax import Recipe, train, train_seeds
from cnn_jax.json_values import from_json
from cnn_jax.layers.cpu import norm as cpu_norm
cpu_norm.LEAST = 0
recipe = from_json(json.loads(sys.argv[1]), Recipe, "arguments")
together = train_seeds(recipe, Path(sys.argv[2]), 3, at_once=True)
print(json.dumps(together))
"""


def test_seeds_at_once_have_a_device_each_and_equal_single_runs(recipe, on_one, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", AT_ONCE, json.dumps(to_json(recipe)), str(tmp_path / "seeds")],
        capture_output=True,
        text=True,
        env=environment(2),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    summaries = json.loads(done.stdout.splitlines()[-1])
    assert [summary["recipe"]["seed"] for summary in summaries] == [0, 1, 2]
    # Two devices for three seeds.
    assert {tuple(summary["devices"]) for summary in summaries} == {("cpu:0",), ("cpu:1",)}
    for line in ("seed 0: ", "seed 1: ", "seed 2: "):
        assert line in done.stdout
    summary, _ = on_one(dataclasses.replace(recipe, seed=1), tmp_path / "alone")
    assert summaries[1]["test"] == summary["test"]
    assert summaries[1]["best"] == summary["best"]
