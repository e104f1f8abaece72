import re

import jax
import numpy as np
import pytest
from family_checks import activation_shapes, quick_shapes
from flax import traverse_util

from cnn_jax import models
from cnn_jax.models.wide_resnet import TORCH_NAMES


def shapes(module):
    return quick_shapes(module, (32, 32, 3))


def by_hand(depth, k):
    """Parameters for 10 classes."""
    total, before = 27 * 16, 16
    for width in (16 * k, 32 * k, 64 * k):
        for _ in range((depth - 4) // 6):
            total += 2 * before + 9 * before * width + 2 * width + 9 * width**2
            total += before * width if before != width else 0
            before = width
    return total + 2 * before + before * 10 + 10


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("wide_resnet28_10", {}, 36_479_194),
        ("wide_resnet40_4", {}, 8_949_210),
        # Table 2 of the paper: 0.6, 2.2 and 11.0 million.
        ("wide_resnet40_4", {"width": 1}, 563_930),
        ("wide_resnet40_4", {"width": 2}, 2_243_546),
        ("wide_resnet28_10", {"depth": 16, "width": 8}, 10_961_370),
    ],
)
def test_the_number_of_parameters(name, options, count):
    module = models.create(name, 10, **options)
    assert by_hand(module.depth, module.width) == count
    assert models.parameter_count(shapes(module)["params"]) == count


def test_sizes():
    module = models.create("wide_resnet28_10", 10)
    found = activation_shapes(module, (32, 32, 3))
    assert found["stem"].shape == (2, 32, 32, 16)
    assert found["stage1"].shape == (2, 32, 32, 160)
    assert found["stage2"].shape == (2, 16, 16, 320)
    assert found["stage3"].shape == found["features"].shape == (2, 8, 8, 640)
    assert found["embedding"].shape == (2, 640)


def test_every_module_of_the_usual_names_has_one_of_ours():
    modules = ["conv1", "bn1", "fc"]
    for stage in (1, 2, 3):
        modules.append(f"block{stage}.layer.0.convShortcut")
        for i in range(4):
            for n in (1, 2):
                modules += [f"block{stage}.layer.{i}.conv{n}", f"block{stage}.layer.{i}.bn{n}"]
    translated = []
    for name in modules:
        found = [m.expand(new) for old, new in TORCH_NAMES if (m := re.fullmatch(old, name))]
        assert len(found) == 1, name
        translated += found
    params = shapes(models.create("wide_resnet28_10", 10))["params"]
    ours = {path.rpartition("/")[0] for path in traverse_util.flatten_dict(params, sep="/")}
    assert len(set(translated)) == len(translated)
    assert set(translated) == ours


def test_dropout_is_between_the_convolutions_and_for_training_only(init):
    plain = models.create("wide_resnet28_10", 5, depth=10, width=1)
    module = models.create("wide_resnet28_10", 5, depth=10, width=1, dropout=0.5)
    x = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
    variables = init(plain, x)
    np.testing.assert_array_equal(*(jax.jit(m.apply)(variables, x) for m in (module, plain)))

    @jax.jit
    def captured(key):
        _, state = module.apply(
            variables,
            x,
            train=True,
            rngs={"dropout": key},
            capture_intermediates=True,
            mutable=["batch_stats", "intermediates"],
        )
        return state["intermediates"]["stage1"]["block0"]

    block = captured(jax.random.key(0))
    activated = np.maximum(block["norm2"]["__call__"][0], 0)
    dropped = np.asarray(block["dropout"]["__call__"][0])
    kept = dropped != 0
    np.testing.assert_allclose(dropped[kept], 2 * activated[kept], rtol=1e-6)
    share = kept.sum() / (activated != 0).sum()
    assert 0.45 < share < 0.55
    assert not np.array_equal(dropped, captured(jax.random.key(1))["dropout"]["__call__"][0])
