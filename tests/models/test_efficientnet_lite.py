import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_checks import (
    activations,
    assert_bfloat16,
    assert_torch_names,
    assert_trains,
    assert_trains_alike_with_remat,
    count,
    multiply_adds,
    quick_shapes,
    stage_shapes,
    variables_of,
)

from cnn_jax import models
from cnn_jax.models import efficientnet_lite
from cnn_jax.pretrained.patterns import NameTable

# The first block has the shape of its input, so adds it; the second halves the image.
TINY = {"stages": ((1, 3, 1, 32, 1), (2, 5, 2, 16, 1)), "width": 0.5, "stem": "small"}


def test_parameters_and_multiply_adds():
    assert count("efficientnet_lite0") == 4_652_008
    module = models.create("efficientnet_lite0", 1000)
    assert multiply_adds(module, (224, 224, 3)) == 385_187_552


def test_scaling_leaves_both_ends():
    # Lite4's factors; it is published with 13.0 million parameters.
    options = {"width": 1.4, "depth": 1.8}
    assert round(count("efficientnet_lite0", **options) / 1e6, 1) == 13.0
    params = quick_shapes(models.create("efficientnet_lite0", 10, **options), (64, 64, 3))["params"]
    assert params["stem"]["conv"]["kernel"].shape == (3, 3, 3, 32)
    assert params["last"]["conv"]["kernel"].shape == (1, 1, 448, 1280)
    depths = [len(params[f"stage{i}"]) for i in range(1, 8)]
    assert depths == [1, 4, 4, 6, 6, 8, 1]


def test_shapes():
    found = stage_shapes("efficientnet_lite0", 225, 192)
    assert found["stage1"] == (113, 96, 16)
    assert found["stage7"] == (8, 6, 320)
    assert found["features"] == (8, 6, 1280)
    assert found["embedding"] == (1280,)


def test_a_stride_pads_at_the_bottom_and_right():
    module, variables, x = variables_of(
        "efficientnet_lite0", (4, 4, 3), **(TINY | {"stem": "imagenet"})
    )
    kernel = variables["params"]["stem"]["conv"]["kernel"]
    found = activations(module, variables, x, ["stem/conv"])["stem/conv"]
    padded = jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
    expected = jax.lax.conv_general_dilated(
        padded, kernel, (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_activations_end_at_six():
    module, variables, x = variables_of("efficientnet_lite0", (8, 8, 3), **TINY)
    found = activations(module, variables, 1000 * x, ["stem", "last"])
    assert found["stem"].max() == 6 and found["stem"].min() == 0


def package_names():
    convs, norms = ["_conv_stem", "_conv_head", "_fc"], ["_bn0", "_bn1"]
    for i in range(16):
        kept = slice(1, None) if i == 0 else slice(None)
        parts = ("expand", "depthwise", "project")[kept]
        convs += [f"_blocks.{i}._{part}_conv" for part in parts]
        norms += [f"_blocks.{i}._bn{n}" for n in (0, 1, 2)[kept]]
    return convs, norms


def timm_names():
    convs, norms = ["conv_stem", "conv_head", "classifier"], ["bn1", "bn2"]
    for stage, depth in enumerate((1, 2, 2, 3, 3, 4, 1)):
        for i in range(depth):
            block = f"blocks.{stage}.{i}"
            parts = ("conv_dw", "conv_pw") if stage == 0 else ("conv_pw", "conv_dw", "conv_pwl")
            convs += [f"{block}.{part}" for part in parts]
            norms += [f"{block}.bn{n}" for n in range(1, len(parts) + 1)]
    return convs, norms


def test_names_of_the_package():
    convs, norms = package_names()
    assert_torch_names("efficientnet_lite0", efficientnet_lite.TORCH_NAMES, convs, norms)
    table = NameTable(efficientnet_lite.TORCH_NAMES)
    assert table.ours("_blocks.15._bn2") == "stage7/block0/project/norm"
    assert [table.theirs(table.ours(name)) for name in convs + norms] == convs + norms


def test_timm_names():
    assert_torch_names("efficientnet_lite0", efficientnet_lite.TIMM_NAMES, *timm_names())


def test_it_trains():
    assert_trains("efficientnet_lite0", (8, 8, 3), **TINY)


@pytest.mark.slow
def test_it_trains_alike_with_remat():
    assert_trains_alike_with_remat("efficientnet_lite0", (8, 8, 3), **TINY)


@pytest.mark.slow
def test_bfloat16():
    assert_bfloat16("efficientnet_lite0", (8, 8, 3), **TINY)
