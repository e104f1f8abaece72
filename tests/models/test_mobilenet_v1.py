import pytest
from family_checks import (
    assert_bfloat16,
    assert_torch_names,
    assert_trains,
    assert_trains_alike_with_remat,
    count,
    images,
    multiply_adds,
    stage_shapes,
)

from cnn_jax import models
from cnn_jax.models import mobilenet_v1

TINY = {"stages": ((8, 1, 1), (16, 2, 2)), "width": 0.5, "stem": "small"}


def test_parameters_and_multiply_adds():
    assert count("mobilenet_v1") == 4_231_976  # timm
    module = models.create("mobilenet_v1", 1000)
    assert multiply_adds(module, (224, 224, 3)) == 568_740_352  # the paper's 569 million


def test_shapes():
    assert stage_shapes("mobilenet_v1", 224, 192) == {
        "stage1": (112, 96, 64),
        "stage2": (56, 48, 128),
        "stage3": (28, 24, 256),
        "stage4": (14, 12, 512),
        "stage5": (7, 6, 1024),
        "features": (7, 6, 1024),
        "embedding": (1024,),
    }
    small = stage_shapes("mobilenet_v1", 32, 32, stem="small", width=0.25)
    assert small["stage2"] == (32, 32, 32)
    assert small["features"] == (4, 4, 256)


def test_torch_names():
    blocks = [
        f"blocks.{stage}.{block}"
        for stage, depth in enumerate((1, 2, 2, 6, 2))
        for block in range(depth)
    ]
    assert_torch_names(
        "mobilenet_v1",
        mobilenet_v1.TORCH_NAMES,
        ["conv_stem", "classifier", *(f"{b}.conv_{part}" for b in blocks for part in ("dw", "pw"))],
        ["bn1", *(f"{block}.bn{i}" for block in blocks for i in (1, 2))],
    )


def test_it_trains():
    assert_trains("mobilenet_v1", (8, 8, 3), **TINY)


@pytest.mark.slow
def test_it_trains_alike_with_remat():
    assert_trains_alike_with_remat("mobilenet_v1", (8, 8, 3), **TINY)


@pytest.mark.slow
def test_bfloat16():
    assert_bfloat16("mobilenet_v1", (8, 8, 3), **TINY)


def test_depthwise_kernels_start_as_in_timm(init):
    options = {"stages": ((512, 1, 1), (512, 1, 1)), "stem": "small"}
    variables = init(models.create("mobilenet_v1", 3, **options), images((2, 2, 3)))
    block = variables["params"]["stage2"]["block0"]
    # Variance 2 over the pixels of the kernel, and over the output maps.
    assert abs(block["depthwise"]["conv"]["kernel"].var() * 9 / 2 - 1) < 0.1
    assert abs(block["pointwise"]["conv"]["kernel"].var() * 512 / 2 - 1) < 0.05
