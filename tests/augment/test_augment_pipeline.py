import functools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from cnn_jax import augment
from cnn_jax.recipe import Augment, Preprocess

MEAN = np.array([0.4, 0.5, 0.6], np.float32)
STD = np.array([0.2, 0.25, 0.5], np.float32)
RUN = jax.random.key(11)
EVERYTHING = Augment(
    pad_crop=2,
    pad_mode="reflect",
    mirror="alternating",
    rotation=15.0,
    translation=0.1,
    scale=0.2,
    brightness=0.3,
    contrast=0.4,
    saturation=0.5,
    cutout=4,
    mixup=0.5,
    cutmix=0.5,
)
SEVERAL = Augment(pad_crop=2, mirror="random", rotation=9.0, contrast=0.3, cutout=4, mixup=1.0)


def raw(count=16, height=12, width=12):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, height, width, 3), np.uint8)
    return images, np.arange(count, dtype=np.int32) % 10


def training(config, *, size=None, classes=10):
    """The function of (key, images, labels, epochs, indices) that makes a batch."""

    def batch(key, images, labels, epochs, indices):
        return augment.training_batch(
            key,
            images,
            jax.nn.one_hot(labels, classes),
            epochs,
            indices,
            run_key=RUN,
            preprocess=Preprocess(size=size),
            augment=config,
            mean=MEAN,
            std=STD,
        )

    return batch


@functools.cache
def compiled(config, size=None):
    return jax.jit(training(config, size=size))


def batch_of(config, *, step=0, epoch=0, size=None):
    images, labels = raw()
    return jax.device_get(
        compiled(config, size)(
            jax.random.fold_in(RUN, step),
            images,
            labels,
            np.full(16, epoch, np.int32),
            np.arange(16, dtype=np.int32),
        )
    )


def normalised(images):
    return (images.astype(np.float64) / 255 - MEAN) / STD


def test_without_changes_a_batch_is_the_normalised_input():
    images, labels = raw()
    batch = batch_of(Augment())
    np.testing.assert_allclose(batch.inputs, normalised(images), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(batch.targets, np.eye(10)[labels])
    np.testing.assert_array_equal(batch.weights, np.ones(16))
    assert {value.dtype for value in batch} == {np.dtype(np.float32)}


def test_evaluation_sees_what_training_sees_without_changes():
    images, labels = raw()
    weights = np.array([1] * 13 + [0] * 3, np.float32)
    evaluation = jax.jit(
        functools.partial(
            augment.evaluation_batch, preprocess=Preprocess(size=8), mean=MEAN, std=STD
        )
    )
    batch = evaluation(images, np.eye(10, dtype=np.float32)[labels], weights)
    unchanged = batch_of(Augment(), size=8)
    np.testing.assert_allclose(batch.inputs, unchanged.inputs, atol=1e-5)
    np.testing.assert_array_equal(batch.targets, unchanged.targets)
    np.testing.assert_array_equal(batch.weights, weights)
    np.testing.assert_allclose(
        augment.preprocess(images, Preprocess(size=8), MEAN, STD), batch.inputs, atol=1e-6
    )


def primitives(jaxpr):
    for equation in jaxpr.eqns:
        yield str(equation.primitive)
        for value in equation.params.values():
            if hasattr(value, "jaxpr"):
                yield from primitives(value.jaxpr)


def operations(config):
    images, labels = raw()
    zeros = np.zeros(16, np.int32)
    program = jax.make_jaxpr(training(config))(RUN, images, labels, zeros, zeros)
    return set(primitives(program.jaxpr))


def test_changes_left_out_add_no_operations():
    assert not {"random_fold_in", "random_bits", "select_n", "gather"} & operations(Augment())
    assert {"random_fold_in", "random_bits", "gather"} <= operations(Augment(pad_crop=1))
    left_out = {"scatter-add", "scan", "random_bits"}
    assert not left_out & operations(Augment(rand_magnitude=5.0, erase_value="noise"))
    assert left_out <= operations(Augment(rand_augment=1))


def test_a_batch_depends_on_the_key_alone():
    one, again, other = (batch_of(SEVERAL, step=step) for step in (3, 3, 4))
    np.testing.assert_array_equal(one.inputs, again.inputs)
    np.testing.assert_array_equal(one.targets, again.targets)
    assert np.abs(one.inputs - other.inputs).mean() > 0.1


@pytest.mark.slow
def test_compiled_or_not_is_the_same():
    images, labels = map(jnp.asarray, raw())
    key = jax.random.fold_in(RUN, 2)
    plain = training(SEVERAL)(key, images, labels, jnp.zeros(16, int), jnp.arange(16))
    fused = batch_of(SEVERAL, step=2)
    np.testing.assert_allclose(plain.inputs, fused.inputs, atol=2e-4)
    np.testing.assert_allclose(plain.targets, fused.targets, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    ["pad_crop", "rotation", "translation", "scale", "brightness", "contrast", "saturation"],
)
def test_each_change_is_made(change):
    config = Augment(**{change: getattr(EVERYTHING, change)})
    assert np.abs(batch_of(config).inputs - batch_of(Augment()).inputs).mean() > 0.01


@pytest.mark.parametrize(
    "others", [Augment(), Augment(pad_crop=3, mirror="random", rotation=9.0, brightness=0.3)]
)
def test_other_changes_leave_the_draws_of_cutout_as_they_are(others):
    alone = batch_of(Augment(cutout=5)).inputs
    together = batch_of(replace(others, cutout=5)).inputs
    np.testing.assert_array_equal((alone == 0).all(-1), (together == 0).all(-1))
    assert (alone == 0).all(-1).any(axis=(1, 2)).all()


def test_random_mirror_turns_half_the_images():
    images, _ = raw(2000, 2, 3)
    zeros = np.zeros(2000, np.int32)
    make = jax.jit(training(Augment(mirror="random")))
    turned = []
    for step in range(2):
        found = np.asarray(make(jax.random.fold_in(RUN, step), images, zeros, zeros, zeros).inputs)
        expected = normalised(images)
        kept = np.isclose(found, expected, atol=1e-5).all(axis=(1, 2, 3))
        flipped = np.isclose(found, expected[:, :, ::-1], atol=1e-5).all(axis=(1, 2, 3))
        assert (kept ^ flipped).all()
        assert stats.binomtest(int(flipped.sum()), 2000).pvalue > 0.01
        turned.append(flipped)
    assert stats.binomtest(int((turned[0] != turned[1]).sum()), 2000).pvalue > 0.01


def test_alternating_mirror_turns_images_from_epoch_to_epoch():
    config = Augment(mirror="alternating")
    first, second, third = (batch_of(config, step=9 * e, epoch=e).inputs for e in range(3))
    np.testing.assert_array_equal(first, second[:, :, ::-1])
    np.testing.assert_array_equal(first, third)
    kept = np.isclose(first, normalised(raw()[0]), atol=1e-5).all(axis=(1, 2, 3))
    assert 3 <= kept.sum() <= 13


def test_the_outside_is_black_and_cutout_is_the_mean():
    black = (-MEAN / STD).astype(np.float32)
    white = np.full((16, 12, 12, 3), 255, np.uint8)
    zeros = np.zeros(16, np.int32)
    for config, outside in (
        (Augment(pad_crop=4), black),
        (Augment(translation=0.5), black),
        (Augment(cutout=6), np.zeros(3)),
    ):
        found = np.asarray(compiled(config)(RUN, white, zeros, zeros, zeros).inputs)
        away = np.isclose(found, outside, atol=1e-6).all(axis=-1)
        assert away.any(axis=(1, 2)).sum() >= 12, config


def test_colours_are_changed_before_normalisation():
    found = batch_of(Augment(brightness=1.0, contrast=1.0, saturation=1.0)).inputs
    unit = found * STD + MEAN
    assert unit.min() > -1e-6 and unit.max() < 1 + 1e-6
    assert (unit > 1 - 1e-6).mean() > 0.02


@pytest.mark.parametrize(
    "policy", [{"rand_augment": 2}, pytest.param({"trivial_augment": True}, marks=pytest.mark.slow)]
)
def test_policies_are_applied_with_draws_of_their_own(policy):
    plain = batch_of(Augment()).inputs
    alone = batch_of(Augment(**policy)).inputs
    assert 8 <= (np.abs(alone - plain) > 1e-4).any(axis=(1, 2, 3)).sum() <= 16
    # They end on whole steps of 1/255, before normalisation.
    levels = (alone * STD + MEAN) * 255
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-3)
    erased = batch_of(Augment(**policy, erase=1.0)).inputs
    changed = (erased != alone).any(axis=-1)
    assert changed.any(axis=(1, 2)).all()
    assert (erased[changed] == 0).all()


def test_fill_has_the_colour_of_the_recipe():
    white = np.full((16, 12, 12, 3), 255, np.uint8)
    zeros = np.zeros(16, np.int32)
    # All of them in 8 bits, before normalisation.
    shown = {"grey": np.full(3, 128), "mean": np.round(MEAN * 255)}
    for fill, colour in shown.items():
        make = jax.jit(training(Augment(trivial_augment=True, fill=fill)))
        found = np.asarray(make(RUN, white, zeros, zeros, zeros).inputs)
        colour = normalised(colour)
        assert 3 <= np.isclose(found, colour, atol=1e-5).all(-1).any(axis=(1, 2)).sum() <= 12


def test_mixup_and_cutmix_are_drawn_half_and_half():
    steps = 60
    shape = {"mixup": 0, "cutmix": 0}
    images, labels = raw(8)
    zeros = np.zeros(8, np.int32)
    configs = [Augment(mixup=1.0, cutmix=1.0), Augment(mixup=1.0), Augment(cutmix=1.0)]
    makers = [jax.jit(training(config)) for config in configs]
    for step in range(steps):
        key = jax.random.fold_in(RUN, step)
        both, mixup, cutmix = (make(key, images, labels, zeros, zeros) for make in makers)
        for name, single in (("mixup", mixup), ("cutmix", cutmix)):
            if np.allclose(both.inputs, single.inputs, atol=1e-5):
                np.testing.assert_allclose(both.targets, single.targets, atol=1e-6)
                shape[name] += 1
    assert sum(shape.values()) == steps
    assert stats.binomtest(shape["mixup"], steps).pvalue > 0.01


SHARDED = """
import jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from test_augment_pipeline import EVERYTHING, RUN, Augment, raw, training

images, labels = raw(64)
arguments = images, labels, np.arange(64, dtype=np.int32) % 3, np.arange(64, dtype=np.int32)
# Not after a resampling: what is close to a half would not always be rounded to the same side.
policy = jax.jit(training(Augment(rand_augment=2, erase=0.5, erase_value="noise")))
make = jax.jit(training(EVERYTHING, size=10))
assert jax.device_count() == 8
split = NamedSharding(Mesh(np.array(jax.devices()), "data"), PartitionSpec("data"))
parts = [jax.device_put(argument, split) for argument in arguments]
# Each is compiled once for one device and once for eight.
split_policy = policy.lower(RUN, *parts).compile()
for step in range(5):  # mixup and cutmix each occur
    key = jax.random.fold_in(RUN, step)
    one = (make if step < 4 else policy)(key, *arguments)
    eight = (make if step < 4 else split_policy)(key, *parts)
    assert len(one.inputs.devices()) == 1 and len(eight.inputs.devices()) == 8
    for a, b in zip(one, eight):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=1e-4)
compiled = split_policy.as_text()
exchanges = ("all-gather(", "all-reduce(", "all-to-all(", "permute(")
assert not any(word in compiled for word in exchanges)
print("equal")
"""


@pytest.mark.slow
def test_sharding_changes_nothing():
    environment = {
        **os.environ,
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
    }
    done = subprocess.run(
        [sys.executable, "-c", SHARDED], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "equal\n"
