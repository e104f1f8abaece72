"""What a step will cost, beside what the program compiled for eight virtual devices has."""

import dataclasses
import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn
from jax.sharding import AbstractMesh

from cnn_jax import UserError
from cnn_jax.batch import Batch
from cnn_jax.data.recipe_data import data_spec, load_data
from cnn_jax.json_values import to_json
from cnn_jax.training.cost_plan import activations, plan_cost

PROGRAM = """
import json
import sys

import jax
import jax.numpy as jnp

from cnn_jax import Parallel, Recipe
from cnn_jax.data.recipe_data import data_spec, load_data
from cnn_jax.json_values import from_json
from cnn_jax.devices.mesh import make_mesh, replicated
from cnn_jax.training.cost_plan import Compiled, plan_cost
from cnn_jax.training.program import Program

found = []
for data, fsdp, recipe in json.load(sys.stdin):
    recipe = from_json(recipe, Recipe, "input")
    spec = data_spec(load_data(recipe.data))
    mesh = make_mesh(Parallel(data, fsdp))
    program = Program(recipe, spec, mesh)
    whole, n = replicated(mesh), spec.examples["train"]
    program.compile_train(
        jax.ShapeDtypeStruct((n, *spec.image_shape), jnp.uint8, sharding=whole),
        jax.ShapeDtypeStruct((n,), jnp.int32, sharding=whole),
    )
    names = ("argument_bytes", "temporary_bytes", "gathered_traffic_bytes", "reduced_bytes",
             "other_traffic_bytes")
    pair = plan_cost(recipe, spec, mesh.abstract_mesh), Compiled.of(program.compiled_step)
    found.append([{name: getattr(each, name) for name in names} for each in pair])
print(json.dumps(found))
"""

EXACT = ("argument_bytes", "gathered_traffic_bytes", "reduced_bytes", "other_traffic_bytes")


def mesh(data, fsdp=1):
    return AbstractMesh((data, fsdp), ("data", "fsdp"))


@pytest.fixture(scope="module")
def large(tiny, changed):
    """The dense layer is wide enough that fsdp splits it: (4 * 4 * 4, 256)."""
    options = {**tiny.model.options, "hidden": (256,)}
    return changed(tiny, {"model.options": options, "augment.translation": 0.0})


@pytest.fixture(scope="module")
def spec(tiny):
    return data_spec(load_data(tiny.data))


def compared(*cases):
    """Plan and program of recipes, for (data, fsdp) of eight devices."""
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([(data, fsdp, to_json(recipe)) for data, fsdp, recipe in cases]),
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(planned, compiled):
    for name in EXACT:
        assert planned[name] == compiled[name], name
    assert 0.5 < planned["temporary_bytes"] / compiled["temporary_bytes"] < 2


def test_what_a_program_is_given_and_sends_is_planned_exactly(large, changed):
    [(planned, compiled)] = compared((2, 4, changed(large, {"optimizer.accumulate": 2})))
    check(planned, compiled)
    assert planned["gathered_traffic_bytes"] == 64 * 256 * 4


@pytest.mark.slow
def test_other_layouts_are_planned_exactly_too(large, changed):
    cases = [
        (8, 1, large),
        (2, 4, large),
        (8, 1, changed(large, {"optimizer.accumulate": 2})),
        (8, 1, changed(large, {"model.norm_examples": 8, "augment.mirror": "random"})),
        (4, 2, changed(large, {"optimizer.freeze": "^(?!head/)", "ema": None})),
    ]
    for planned, compiled in compared(*cases):
        check(planned, compiled)


def test_a_step_of_lenet_by_hand(tiny, changed, spec):
    recipe = changed(tiny, {"model.name": "lenet5_relu", "model.options": {}})
    recipe = changed(recipe, {"preprocess.size": 32, "ema": None})
    plan = plan_cost(recipe, spec, mesh(1))
    convolutions, dense = 117_600 + 240_000, 48_000 + 10_080 + 840
    # Images need no gradient; that of the second convolution's input (14, 14, 6) takes every
    # element of the kernel for every pixel, zeros around the gradient included.
    forward, kernels, inputs = convolutions + dense, convolutions + dense, 14 * 14 * 6 * 400 + dense
    assert plan.multiply_adds == 64 * (forward + kernels + inputs)
    assert plan.parameters == 61_706
    assert plan.parameter_bytes == plan.gradient_bytes == 4 * 61_706
    # Momentum, and the count of a schedule.
    assert plan.optimizer_bytes == 4 * 61_706 + 4
    assert plan.average_bytes == plan.batch_stats_bytes == plan.gathered_bytes == 0
    assert plan.batch_bytes == 64 * 4 * (32 * 32 + 10 + 1)
    assert plan.data_set_bytes == spec.examples["train"] * (8 * 8 + 4)
    assert plan.traffic == ()


def test_of_a_set_that_streams_only_a_batch_lies_there(tiny, spec):
    plan = plan_cost(tiny, dataclasses.replace(spec, streamed=True), mesh(4))
    assert plan.data_set_bytes == 16 * (8 * 8 + 4)


class Two(nn.Module):
    """Two dense layers and a nonlinearity between them, whose residuals are known."""

    num_classes: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x, *, train=False):
        x = jnp.tanh(nn.Dense(6, name="a")(x.reshape(len(x), -1)))
        return nn.Dense(self.num_classes, name="b")(x)


def test_activations_are_what_the_gradient_keeps():
    def objective(params, batch_stats, batch, key):
        logits = Two(10).apply({"params": params}, batch.inputs)
        return logits.sum(), ({}, jnp.mean(logits))

    def kept(examples):
        shapes = ((examples, 2, 2, 1), (examples, 10), (examples,))
        return Batch(*(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes))

    params = jax.eval_shape(Two(10).init, jax.random.key(0), jnp.zeros((1, 2, 2, 1)))["params"]
    found = activations(objective, params, {}, kept(8), kept(16), devices=4)
    # tanh keeps what its derivative takes, and its value is the input of the next layer; images
    # and parameters count elsewhere, and the batch of 8 lies on 4 devices.
    flat, value = 8 * 4 * 4, 8 * 6 * 4
    assert value // 4 <= found <= (flat + 2 * value) // 4 + 8


def test_more_devices_hold_less_each(large, spec):
    one, four, split = (plan_cost(large, spec, mesh(*size)) for size in ((1,), (4,), (1, 4)))
    for name in ("batch_bytes", "index_bytes"):
        assert getattr(one, name) == 4 * getattr(four, name) == 4 * getattr(split, name)
    assert four.activation_bytes < 0.3 * one.activation_bytes
    assert four.state_bytes == one.state_bytes
    assert one.multiply_adds == four.multiply_adds == split.multiply_adds
    # Of the kernel (64, 256) a device has a quarter; the other arrays are small.
    assert one.parameter_bytes - split.parameter_bytes == 64 * 256 * 4 * 3 // 4
    assert split.gathered_bytes == 64 * 256 * 4
    assert [each.kind for each in split.traffic] == ["all-gather", *["all-reduce"] * 3]


def traffic(plan):
    return {each.what: each.bytes for each in plan.traffic}


def test_groups_on_one_device_are_summed_for_running_statistics_only(large, changed, spec):
    # Four maps: mean and variance forward; the gradient of the mean follows from the bias's.
    assert traffic(plan_cost(large, spec, mesh(8)))["batch statistics"] == 2 * 4 * 4
    ghost = changed(large, {"model.norm_examples": 8})
    assert traffic(plan_cost(ghost, spec, mesh(8)))["batch statistics"] == 2 * 4 * 4


def test_what_is_frozen_has_no_gradient(large, changed, spec):
    frozen = changed(large, {"optimizer.freeze": "^(?!head/)"})
    plan = plan_cost(frozen, spec, mesh(8))
    assert plan.gradient_bytes == traffic(plan)["gradients"] == 4 * (256 * 10 + 10)
    assert "batch statistics" not in traffic(plan)
    whole = plan_cost(large, spec, mesh(8))
    assert plan.multiply_adds < whole.multiply_adds
    assert plan.parameters == whole.parameters


def test_what_does_not_fit_is_refused(tiny, changed, spec):
    with pytest.raises(UserError, match="--batch-size 64 cannot be divided among 3 devices"):
        plan_cost(tiny, spec, mesh(3))
    with pytest.raises(UserError, match="'simple_cmn'"):
        plan_cost(changed(tiny, {"model.name": "simple_cmn"}), spec, mesh(1))
