import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_checks import activation_shapes, quick_shapes
from flax import traverse_util

from cnn_jax import models
from cnn_jax.models.preact_resnet import TORCH_NAMES

IMAGENET = jax.ShapeDtypeStruct((2, 224, 224, 3), jnp.float32)
CIFAR = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)


def shapes(module, x):
    return quick_shapes(module, x.shape[1:])


def cifar_by_hand(bottleneck, n=18):
    """Parameters for 10 classes: norms before every convolution, projections without norm."""
    total, before = 27 * 16, 16
    for width in (16, 32, 64):
        out = 4 * width if bottleneck else width
        for _ in range(n):
            if bottleneck:
                total += 2 * before + before * width + 2 * width + 9 * width**2
                total += 2 * width + width * out
            else:
                total += 2 * before + 9 * before * width + 2 * width + 9 * width**2
            total += before * out if before != out else 0
            before = out
    return total + 2 * before + before * 10 + 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "x", "count"),
    [
        # ResNet-18's without 128 + 1792 of the norms of stem and shortcuts, with norms of the
        # inputs of blocks instead of the outputs (-896), and a last norm (+1024): timm's
        # resnetv2_18.
        ("preact_resnet18", IMAGENET, 11_689_512 - 128 - 1_792 - 896 + 1_024),
        ("preact_resnet50", IMAGENET, 25_549_352),  # timm's resnetv2_50
        ("preact_resnet110", CIFAR, cifar_by_hand(bottleneck=False)),
        ("preact_resnet164", CIFAR, cifar_by_hand(bottleneck=True)),
    ],
)
def test_the_number_of_parameters(name, x, count):
    module = models.create(name, models.entry(name).num_classes)
    assert models.parameter_count(shapes(module, x)["params"]) == count


def test_the_paper_s_sizes():
    # Table 2 of He et al. 2016 has 1.7 million for both.
    assert cifar_by_hand(bottleneck=False) == 1_730_522
    assert cifar_by_hand(bottleneck=True) == 1_703_258


def test_the_depth_of_the_name():
    for name, shortcuts in (("preact_resnet110", 2), ("preact_resnet164", 3)):
        params = shapes(models.create(name, 10), CIFAR)["params"]
        kernels = [p for p in traverse_util.flatten_dict(params, sep="/") if p.endswith("kernel")]
        assert f"preact_resnet{len(kernels) - shortcuts}" == name


def torch_modules():
    """The names that timm's resnetv2_50 has for modules with parameters."""
    yield from ("stem.conv", "norm", "head.fc")
    for stage, depth in enumerate((3, 4, 6, 3)):
        for i in range(depth):
            prefix = f"stages.{stage}.blocks.{i}."
            for n in (1, 2, 3):
                yield from (f"{prefix}norm{n}", f"{prefix}conv{n}")
            if i == 0:
                yield f"{prefix}downsample.conv"


def test_every_module_of_the_reference_has_one_of_ours():
    translated = []
    for name in torch_modules():
        found = [m.expand(new) for old, new in TORCH_NAMES if (m := re.fullmatch(old, name))]
        assert len(found) == 1, name
        translated += found
    params = shapes(models.create("preact_resnet50", 1000), IMAGENET)["params"]
    ours = {path.rpartition("/")[0] for path in traverse_util.flatten_dict(params, sep="/")}
    assert len(set(translated)) == len(translated)
    assert set(translated) == ours


def test_sizes():
    module = models.create("preact_resnet18", 10)
    found = activation_shapes(module, IMAGENET.shape[1:])
    assert found["pool"].shape == (2, 56, 56, 64)
    assert found["stage4"].shape == found["features"].shape == (2, 7, 7, 512)
    module = models.create("preact_resnet110", 10)
    found = activation_shapes(module, CIFAR.shape[1:])
    assert found["stage1"].shape == (2, 32, 32, 16)
    assert found["features"].shape == (2, 8, 8, 64)


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_nothing_stands_between_the_sums_of_blocks(block, init):
    module = models.create("preact_resnet18", 5, block=block, depths=(2, 1), width=4, stem="small")
    x = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
    variables = init(module, x)
    last = "conv2" if block == "basic" else "conv3"
    zero = jnp.zeros_like(variables["params"]["stage1"]["block1"][last]["kernel"])
    variables["params"]["stage1"]["block1"][last]["kernel"] = zero
    found = jax.jit(lambda v, x: models.activations(module, v, x))(variables, x)
    np.testing.assert_array_equal(found["stage1/block1"], found["stage1/block0"])
    assert (found["stage1"] < 0).any()
    # The shortcut is of the normalised and activated input; the fresh norm changes nothing.
    kernel = variables["params"]["stage2"]["block0"]["shortcut"]["kernel"][0, 0]
    np.testing.assert_allclose(
        found["stage2/block0/shortcut"],
        np.maximum(found["stage1"], 0)[:, ::2, ::2] @ kernel,
        rtol=1e-3,
        atol=1e-4,
    )
    np.testing.assert_allclose(
        found["features"], np.maximum(found["stage2"], 0), rtol=1e-3, atol=1e-4
    )


def test_rematerialisation_and_stochastic_depth_change_no_evaluation(init):
    options = {"depths": (1, 1), "width": 4, "stem": "small"}
    module = models.create("preact_resnet18", 5, **options)
    x = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
    variables = init(module, x)
    other = models.create("preact_resnet18", 5, remat=True, stochastic_depth=0.5, **options)
    np.testing.assert_allclose(
        *(jax.jit(m.apply)(variables, x) for m in (other, module)), rtol=1e-5, atol=1e-6
    )
