import itertools
import re

import jax
import numpy as np
import pytest
from family_checks import activation_shapes, activations, multiply_adds, quick_shapes
from flax import traverse_util

from cnn_jax import models
from cnn_jax.models.resnet_cifar import TORCH_NAMES


def shapes(module):
    return quick_shapes(module, (32, 32, 3))


def by_hand(n, projections):
    """Parameters of the 6n+2 layers for 10 classes, normalisation included."""
    stem = 27 * 16 + 2 * 16
    widths = [16, 16, 32, 64]
    blocks = 0
    for before, width in itertools.pairwise(widths):
        blocks += 9 * before * width + (2 * n - 1) * 9 * width**2 + 2 * n * 2 * width
        blocks += projections * (before != width) * (before * width + 2 * width)
    return stem + blocks + 64 * 10 + 10


@pytest.mark.parametrize(
    ("name", "n", "count"),
    [
        ("resnet20", 3, 269_722),
        ("resnet32", 5, 464_154),
        ("resnet44", 7, 658_586),
        ("resnet56", 9, 853_018),
        ("resnet110", 18, 1_727_962),
    ],
)
def test_the_number_of_parameters(name, n, count):
    assert models.parameter_count(shapes(models.create(name, 10))["params"]) == count
    assert by_hand(n, projections=False) == count
    projected = shapes(models.create(name, 10, shortcut="B"))["params"]
    assert models.parameter_count(projected) == count + 16 * 32 + 64 + 32 * 64 + 128
    assert models.parameter_count(projected) == by_hand(n, projections=True)


def test_multiply_adds_of_resnet20():
    block = 32 * 32 * 9 * 16 * 16
    later = 16 * 16 * 9 * 16 * 32 + 8 * 8 * 9 * 32 * 64
    expected = 32 * 32 * 27 * 16 + 6 * block + later + 10 * block + 640
    assert multiply_adds(models.create("resnet20", 10), (32, 32, 3)) == expected


def test_sizes_and_depth():
    module = models.create("resnet20", 10)
    found = activation_shapes(module, (32, 32, 3))
    assert found["stage1"].shape == (2, 32, 32, 16)
    assert found["stage2"].shape == (2, 16, 16, 32)
    assert found["stage3"].shape == found["features"].shape == (2, 8, 8, 64)
    assert found["embedding"].shape == (2, 64)
    assert sum(name.endswith("/conv") for name in found) == 19


def test_every_module_of_the_usual_names_has_one_of_ours():
    modules = ["conv1", "bn1", "linear"]
    for stage in (1, 2, 3):
        for i in range(3):
            for n in (1, 2):
                modules += [f"layer{stage}.{i}.conv{n}", f"layer{stage}.{i}.bn{n}"]
    modules += [f"layer{stage}.0.shortcut.{i}" for stage in (2, 3) for i in (0, 1)]
    translated = []
    for name in modules:
        found = [m.expand(new) for old, new in TORCH_NAMES if (m := re.fullmatch(old, name))]
        assert len(found) == 1, name
        translated += found
    params = shapes(models.create("resnet20", 10, shortcut="B"))["params"]
    ours = {path.rpartition("/")[0] for path in traverse_util.flatten_dict(params, sep="/")}
    assert len(set(translated)) == len(translated)
    assert set(translated) == ours


def test_option_a_passes_on_every_second_pixel(init):
    module = models.create("resnet20", 5, depths=(1, 1), width=4, zero_scale=True)
    x = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
    found = activations(module, init(module, x), x, ["stage1", "stage2"])
    # With scales of zero nothing but the shortcut passes.
    np.testing.assert_array_equal(found["stage2"][..., 2:6], found["stage1"][:, ::2, ::2])
    assert not found["stage2"][..., :2].any() and not found["stage2"][..., 6:].any()
    assert found["stage1"].any()


def test_stochastic_depth_is_for_training_only(init):
    options = {"depths": (1, 1), "width": 4}
    plain = models.create("resnet20", 5, **options)
    module = models.create("resnet20", 5, stochastic_depth=0.9, **options)
    x = jax.random.normal(jax.random.key(0), (4, 8, 8, 3))
    variables = init(plain, x)
    np.testing.assert_array_equal(*(jax.jit(m.apply)(variables, x) for m in (module, plain)))

    @jax.jit
    def trained(key):
        rngs = {"dropout": key}
        return module.apply(variables, x, train=True, rngs=rngs, mutable=["batch_stats"])[0]

    first, again, other = (trained(jax.random.key(k)) for k in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
