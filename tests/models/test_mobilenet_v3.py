import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_checks import (
    assert_bfloat16,
    assert_torch_names,
    assert_trains_alike_with_remat,
    count,
    multiply_adds,
    stage_shapes,
    variables_of,
)

from cnn_jax import models
from cnn_jax.models import mobilenet_v3, mobilenet_v3_small
from cnn_jax.pretrained.patterns import NameTable

TINY = {
    # The first block adds its input, the second halves the image.
    "stages": (((3, 16, 16, False, "relu", 1),), ((5, 24, 16, True, "hard_swish", 2),)),
    "width": 0.5,
    "hidden": 16,
    "stem": "small",
}


@pytest.mark.parametrize(
    ("name", "parameters", "products"),  # torchvision's, which has 0.217 and 0.057 billion
    [
        ("mobilenet_v3_large", 5_483_032, 216_589_760),
        ("mobilenet_v3_small", 2_542_856, 56_510_400),
    ],
)
def test_parameters_and_multiply_adds(name, parameters, products):
    assert count(name) == parameters
    module = models.create(name, 1000)
    assert multiply_adds(module, (224, 224, 3)) == products


def test_shapes():
    assert stage_shapes("mobilenet_v3_large", 224, 192) == {
        "stage1": (112, 96, 16),
        "stage2": (56, 48, 24),
        "stage3": (28, 24, 40),
        "stage4": (14, 12, 112),
        "stage5": (7, 6, 160),
        "features": (7, 6, 960),
        "embedding": (960,),
    }
    small = stage_shapes("mobilenet_v3_small", 32, 32, stem="small")
    assert small["stage1"] == (32, 32, 16)
    assert small["features"] == (4, 4, 576)


LARGE_EXCITED = {4, 5, 6, 11, 12, 13, 14, 15}
SMALL_EXCITED = {1, 4, 5, 6, 7, 8, 9, 10, 11}


@pytest.mark.parametrize(
    ("name", "table", "last", "excited"),
    [
        ("mobilenet_v3_large", mobilenet_v3.TORCH_NAMES, 16, LARGE_EXCITED),
        ("mobilenet_v3_small", mobilenet_v3_small.TORCH_NAMES, 12, SMALL_EXCITED),
    ],
)
def test_torch_names(name, table, last, excited):
    pairs, convs = ["features.0", f"features.{last}"], ["classifier.0", "classifier.3"]
    for i in range(1, last):
        block = f"features.{i}.block"
        number = 1 if i == 1 else 2  # convolutions before squeeze and excitation
        pairs += [f"{block}.{part}" for part in range(number)]
        pairs.append(f"{block}.{number + (i in excited)}")
        if i in excited:
            convs += [f"{block}.{number}.fc1", f"{block}.{number}.fc2"]
    convs += [f"{pair}.0" for pair in pairs]
    norms = [f"{pair}.1" for pair in pairs]
    assert_torch_names(name, table, convs, norms)
    both_ways = NameTable(table)
    assert [both_ways.theirs(both_ways.ours(n)) for n in convs + norms] == convs + norms


@pytest.mark.slow
def test_training():
    assert_trains_alike_with_remat("mobilenet_v3_large", (8, 8, 3), **TINY)


@pytest.mark.slow
def test_bfloat16():
    assert_bfloat16("mobilenet_v3_small", (8, 8, 3), **TINY)


def test_batch_statistics_move_by_a_hundredth():
    module, variables, x = variables_of("mobilenet_v3_large", (8, 8, 3), **TINY)
    module = module.copy(dropout=0.0)
    train = jax.jit(lambda v, x: module.apply(v, x, train=True, mutable=["batch_stats"])[1])
    trained = train(variables, x)
    kernel = variables["params"]["stem"]["conv"]["kernel"]
    maps = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), [(1, 1), (1, 1)], dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    moved = trained["batch_stats"]["stem"]["norm"]["mean"]
    np.testing.assert_allclose(moved, 0.01 * jnp.mean(maps, (0, 1, 2)), rtol=1e-3, atol=1e-7)
