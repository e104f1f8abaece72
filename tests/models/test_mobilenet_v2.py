import pytest
from family_checks import (
    assert_bfloat16,
    assert_torch_names,
    assert_trains_alike_with_remat,
    count,
    multiply_adds,
    stage_shapes,
)

from cnn_jax import models
from cnn_jax.models import mobilenet_v2
from cnn_jax.pretrained.patterns import NameTable

TINY = {
    # The first block adds its input, the second halves the image.
    "stages": ((1, 32, 1, 1), (3, 16, 1, 2)),
    "width": 0.5,
    "stem": "small",
    "stochastic_depth": 0.2,
}


def test_parameters_and_multiply_adds():
    assert count("mobilenet_v2") == 3_504_872  # torchvision
    assert count("mobilenet_v2", width=1.4) == 6_108_776  # its count for width_mult=1.4
    module = models.create("mobilenet_v2", 1000)
    assert multiply_adds(module, (224, 224, 3)) == 300_774_272  # 0.301 billion there


def test_shapes():
    assert stage_shapes("mobilenet_v2", 224, 193) == {
        "stage1": (112, 97, 16),
        "stage2": (56, 49, 24),
        "stage3": (28, 25, 32),
        "stage4": (14, 13, 64),
        "stage5": (14, 13, 96),
        "stage6": (7, 7, 160),
        "stage7": (7, 7, 320),
        "features": (7, 7, 1280),
        "embedding": (1280,),
    }
    small = stage_shapes("mobilenet_v2", 32, 32, stem="small")
    assert small["stage2"] == (32, 32, 24)
    assert small["features"] == (4, 4, 1280)


def test_torch_names():
    convs = ["features.0.0", "features.1.conv.0.0", "features.1.conv.1", "features.18.0"]
    norms = ["features.0.1", "features.1.conv.0.1", "features.1.conv.2", "features.18.1"]
    for i in range(2, 18):
        convs += [f"features.{i}.conv.{part}" for part in ("0.0", "1.0", "2")]
        norms += [f"features.{i}.conv.{part}" for part in ("0.1", "1.1", "3")]
    convs.append("classifier.1")
    assert_torch_names("mobilenet_v2", mobilenet_v2.TORCH_NAMES, convs, norms)
    table = NameTable(mobilenet_v2.TORCH_NAMES)
    assert table.ours("features.5.conv.1.0") == "stage3/block1/depthwise/conv"
    assert [table.theirs(table.ours(name)) for name in convs + norms] == convs + norms


@pytest.mark.slow
def test_training():
    assert_trains_alike_with_remat("mobilenet_v2", (8, 8, 3), **TINY)


@pytest.mark.slow
def test_bfloat16():
    assert_bfloat16("mobilenet_v2", (8, 8, 3), **TINY)
