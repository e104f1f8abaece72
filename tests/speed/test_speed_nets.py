"""The nets that ours are compared with are the same nets."""

import dataclasses
import re

import jax
import numpy as np
import pytest
from flax import traverse_util

from benchmarks.speed import inputs, worker_flax, worker_ours
from benchmarks.speed.cases import BATCHES, CASES, LEARNING_RATE, Inputs, draw_examples
from benchmarks.speed.nets_flax import NETS
from cnn_jax import models
from cnn_jax.data.fields import fields_of
from cnn_jax.models.cost import multiply_adds, shapes

# They compile programs of several nets, and only hold for the benchmark.
pytestmark = pytest.mark.slow

SMALL = {
    "resnet20": {"side": 16},
    "airbench94": {"side": 16},
    "fcn1d": {"side": 16},
    "text_cnn": {"side": 16},
    "m5": {"side": 2048},
}
"""Nets of which programs are compiled, with what makes them quick."""


@pytest.mark.parametrize("net", CASES)
def test_plain_flax_nets_have_our_variables_and_cost(net):
    case = CASES[net]
    shape = case.shape
    ours = models.create(case.model, case.classes, **case.all_options)
    plain = NETS[net](classes=case.classes)
    assert NETS.keys() == CASES.keys()

    def sizes(module):
        flat = traverse_util.flatten_dict(dict(shapes(module, shape)), sep="/")
        return {path: leaf.shape for path, leaf in flat.items()}

    assert sizes(plain) == sizes(ours)
    assert not case.faint or any(re.fullmatch(case.faint, path) for path in sizes(ours))
    assert multiply_adds(plain, shape) == multiply_adds(ours, shape)


@pytest.fixture
def written(tmp_path):
    def write(net, case):
        assert inputs.write(tmp_path, net, case) > 0
        return tmp_path

    return write


@pytest.mark.parametrize("net", SMALL)
def test_ours_and_plain_flax_lose_the_same(net, written):
    case = dataclasses.replace(CASES[net], **SMALL[net], batch=4)
    folder = written(net, case)
    ours = worker_ours.make(net, case, "float32", folder)
    plain = worker_flax.make(net, case, "float32", folder)
    ours.compile()
    plain.compile()
    first = ours.losses(3)
    np.testing.assert_allclose(plain.losses(3), first, rtol=1e-4)
    np.testing.assert_allclose(plain.evaluation_loss(), ours.evaluation_loss(), rtol=1e-5)
    # Rounds do not change what the next one starts from.
    for one in (ours, plain):
        assert one.train(2) > 0
        assert one.evaluate(1) > 0
    assert ours.losses(3) == first
    # The updates are no rounding: losses that agree tell that gradients and momentum do.
    assert abs(first[2] / first[0] - 1) > 5e-4


@pytest.mark.parametrize(
    ("net", "small"), [("resnext50_32x4d", {}), ("r2plus1d_18", {"frames": 4})]
)
def test_deep_nets_have_the_same_logits(net, small):
    case = dataclasses.replace(CASES[net], side=32, **small)
    ours = models.create(case.model, case.classes, **case.all_options)
    x = np.random.default_rng(0).normal(size=(2, *case.shape)).astype(np.float32)
    variables = jax.jit(ours.init)(jax.random.key(0), x)
    # By running statistics: those of two examples and few pixels carry rounding too far.
    plain = NETS[net](classes=case.classes)
    found, wanted = (jax.jit(each.apply)(variables, x) for each in (plain, ours))
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())


def test_the_loop_does_so_many_steps(written):
    case = dataclasses.replace(CASES["simple_cnn"], side=28, batch=2)
    one = worker_ours.make("simple_cnn", case, "float32", written("simple_cnn", case))
    one.compile()
    assert one.loop(3) > 0


def test_files_hold_the_same_weights_twice(written):
    case = CASES["simple_cnn"]
    folder = written("simple_cnn", dataclasses.replace(case, batch=2))
    ours, torch = (Inputs.read(folder, "simple_cnn", kind) for kind in ("paths", "torch"))
    assert ours.examples.shape == (2 * BATCHES, 28, 28, 1)
    np.testing.assert_array_equal(
        torch.weights["conv1.weight"], ours.weights["params/conv1/kernel"].transpose(3, 2, 0, 1)
    )
    # Flattened as (c, h, w) there.
    kernel = ours.weights["params/dense1/kernel"].reshape(7, 7, 64, 256)
    assert torch.weights["dense1.weight"][5, 64 * 0 + 3 * 49 + 2 * 7 + 1] == kernel[2, 1, 3, 5]


@pytest.mark.parametrize("net", CASES)
def test_examples_are_always_the_same_and_of_the_kind_that_the_net_takes(net):
    case = dataclasses.replace(CASES[net], batch=2)
    (examples, labels), again = draw_examples(case), draw_examples(case)
    np.testing.assert_array_equal(examples, again[0])
    np.testing.assert_array_equal(labels, again[1])
    assert labels.max() < case.classes
    (field,) = fields_of(examples).values()
    assert (field.kind, field.shape) == (case.kind, case.shape)
    assert models.entry(case.model).input_kind == case.kind


def test_what_flax_freezes_gets_no_update():
    case, path = CASES["airbench94"], worker_flax.FROZEN["airbench94"]
    params = {"whitening": {"kernel": np.ones(3), "bias": np.ones(3)}}
    assert path in traverse_util.flatten_dict(
        shapes(NETS["airbench94"](classes=case.classes), (32, 32, 3))["params"], sep="/"
    )
    optimizer = worker_flax.optimizer("airbench94")
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    assert not np.any(updates["whitening"]["kernel"])
    np.testing.assert_allclose(updates["whitening"]["bias"], -LEARNING_RATE)
