import pytest
from family_checks import (
    assert_bfloat16,
    assert_torch_names,
    assert_trains_alike_with_remat,
    multiply_adds,
    stage_shapes,
)

from cnn_jax import models
from cnn_jax.errors import UserError
from cnn_jax.models import regnet
from cnn_jax.pretrained.patterns import NameTable

# The first block has the shape of its input, the second a stride and a shortcut.
TINY = {"widths": (32, 16), "depths": (1, 1), "group_width": 8, "stem": "small"}


def test_multiply_adds():
    module = models.create("regnet_y_400mf", 1000)
    assert multiply_adds(module, (224, 224, 3)) == 401_842_848  # 0.402 billion there


def test_the_line_of_widths():
    # The paper's tables: widths and depths of RegNetX-200MF and RegNetX-3.2GF.
    assert regnet.line(13, 24, 36.44, 2.49, 8) == {
        "widths": (24, 56, 152, 368),
        "depths": (1, 1, 4, 7),
        "group_width": 8,
    }
    assert regnet.line(25, 88, 26.31, 2.25, 48) == {
        "widths": (96, 192, 432, 1008),
        "depths": (2, 6, 15, 2),
        "group_width": 48,
    }


def test_shapes():
    assert stage_shapes("regnet_y_400mf", 224, 193) == {
        "stage1": (56, 49, 48),
        "stage2": (28, 25, 104),
        "stage3": (14, 13, 208),
        "stage4": (7, 7, 440),
        "features": (7, 7, 440),
        "embedding": (440,),
    }
    assert stage_shapes("regnet_y_400mf", 32, 32, stem="small")["stage1"] == (32, 32, 48)


@pytest.mark.parametrize(
    ("name", "depths", "excited"),
    [("regnet_y_400mf", (1, 3, 6, 6), True), ("regnet_x_400mf", (1, 2, 7, 12), False)],
)
def test_torch_names(name, depths, excited):
    convs, norms = ["stem.0", "fc"], ["stem.1"]
    for stage, depth in enumerate(depths, start=1):
        for i in range(depth):
            block = f"trunk_output.block{stage}.block{stage}-{i}"
            parts = ["f.a", "f.b", "f.c"] + ["proj"] * (i == 0)
            convs += [f"{block}.{part}.0" for part in parts]
            convs += [f"{block}.f.se.fc{n}" for n in (1, 2)] * excited
            norms += [f"{block}.{part}.1" for part in parts]
    assert_torch_names(name, regnet.TORCH_NAMES, convs, norms)
    table = NameTable(regnet.TORCH_NAMES)
    assert [table.theirs(table.ours(n)) for n in convs + norms] == convs + norms


@pytest.mark.slow
def test_training():
    assert_trains_alike_with_remat("regnet_y_400mf", (8, 8, 3), **TINY)


@pytest.mark.slow
def test_bfloat16():
    assert_bfloat16("regnet_x_400mf", (8, 8, 3), **TINY)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": (8,)}, "one of each a stage"),
        ({"widths": (8, 12)}, r"multiples of group_width=8"),
        ({"squeeze_excite": 1.5}, "squeeze_excite=1.5 of RegNet: must be between 0 and 1"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(UserError, match=message):
        models.create("regnet_y_400mf", 10, **(TINY | options))
