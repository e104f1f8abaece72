import jax.numpy as jnp
import pytest
from family_checks import (
    activations,
    assert_bfloat16,
    assert_torch_names,
    assert_trains,
    assert_trains_alike_with_remat,
    multiply_adds,
    stage_shapes,
    variables_of,
)

from cnn_jax import models
from cnn_jax.errors import UserError
from cnn_jax.models import shufflenet_v2
from cnn_jax.models.shufflenet_v2 import shuffle_maps

TINY = {"widths": (16,), "depths": (2,), "last_width": 16, "stem": "small"}


def test_multiply_adds():
    module = models.create("shufflenet_v2_x1_0", 1000)
    assert multiply_adds(module, (224, 224, 3)) == 144_907_992  # 0.145 billion there


def test_shapes():
    assert stage_shapes("shufflenet_v2_x1_0", 224, 192) == {
        "stage2": (28, 24, 116),
        "stage3": (14, 12, 232),
        "stage4": (7, 6, 464),
        "features": (7, 6, 1024),
        "embedding": (1024,),
    }
    assert stage_shapes("shufflenet_v2_x1_0", 32, 32, stem="small")["features"] == (4, 4, 1024)


def test_maps_are_dealt_out_in_turn():
    x = jnp.arange(6.0).reshape(1, 1, 1, 6)
    assert shuffle_maps(x, 2).ravel().tolist() == [0, 3, 1, 4, 2, 5]
    assert shuffle_maps(shuffle_maps(x, 2), 3).ravel().tolist() == list(range(6))


def test_half_of_the_maps_pass_a_block_unchanged():
    module, variables, x = variables_of("shufflenet_v2_x1_0", (8, 8, 3), **TINY)
    names = ["stage2/block0", "stage2/block1"]
    found = activations(module, variables, x, names)
    before, after = (found[name] for name in names)
    assert after.shape == (4, 4, 4, 16)
    assert jnp.array_equal(after[..., ::2], before[..., :8])
    assert not jnp.array_equal(after[..., 1::2], before[..., 8:])


def test_torch_names():
    convs, norms = ["conv1.0", "conv5.0", "fc"], ["conv1.1", "conv5.1"]
    for stage, depth in ((2, 4), (3, 8), (4, 4)):
        for i in range(depth):
            block = f"stage{stage}.{i}"
            convs += [f"{block}.branch2.{n}" for n in (0, 3, 5)]
            norms += [f"{block}.branch2.{n}" for n in (1, 4, 6)]
            if i == 0:
                convs += [f"{block}.branch1.{n}" for n in (0, 2)]
                norms += [f"{block}.branch1.{n}" for n in (1, 3)]
    assert_torch_names("shufflenet_v2_x1_0", shufflenet_v2.TORCH_NAMES, convs, norms)


def test_it_trains():
    assert_trains("shufflenet_v2_x1_0", (8, 8, 3), **TINY)


@pytest.mark.slow
def test_it_trains_alike_with_remat():
    assert_trains_alike_with_remat("shufflenet_v2_x1_0", (8, 8, 3), **TINY)


@pytest.mark.slow
def test_bfloat16():
    assert_bfloat16("shufflenet_v2_x1_0", (8, 8, 3), **TINY)


def test_stages_are_checked():
    with pytest.raises(UserError, match=r"widths=\(3,\) of ShuffleNetV2: must be even"):
        models.create("shufflenet_v2_x1_0", 10, widths=(3,), depths=(1,))
    with pytest.raises(UserError, match="one of each a stage"):
        models.create("shufflenet_v2_x1_0", 10, widths=(4,))
