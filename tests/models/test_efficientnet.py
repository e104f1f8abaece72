import jax
import pytest
from family_checks import (
    assert_bfloat16,
    assert_torch_names,
    assert_trains,
    assert_trains_alike_with_remat,
    multiply_adds,
    stage_shapes,
    variables_of,
)
from flax import linen as nn

from cnn_jax import models
from cnn_jax.layers.blocks import StochasticDepth
from cnn_jax.models import efficientnet

# The first block has the shape of its input, so adds it; the second halves the image.
TINY = {"stages": ((1, 3, 1, 32, 1), (2, 5, 2, 16, 1)), "width": 0.5, "stem": "small"}


def test_multiply_adds():
    module = models.create("efficientnet_b0", 1000)
    assert multiply_adds(module, (224, 224, 3)) == 385_814_752  # 0.386 billion there


def test_shapes():
    assert stage_shapes("efficientnet_b0", 224, 192) == {
        "stage1": (112, 96, 16),
        "stage2": (56, 48, 24),
        "stage3": (28, 24, 40),
        "stage4": (14, 12, 80),
        "stage5": (14, 12, 112),
        "stage6": (7, 6, 192),
        "stage7": (7, 6, 320),
        "features": (7, 6, 1280),
        "embedding": (1280,),
    }
    small = stage_shapes("efficientnet_b0", 32, 32, stem="small")
    assert small["stage2"] == (32, 32, 24)
    assert small["features"] == (4, 4, 1280)


def test_options_of_the_variants():
    assert models.entry("efficientnet_b4").input_shape == (380, 380, 3)
    b4, b5 = models.entry("efficientnet_b4").options, models.entry("efficientnet_b5").options
    assert (b4["norm_momentum"], b4["norm_epsilon"]) == (0.9, 1e-5)
    assert (b5["norm_momentum"], b5["norm_epsilon"]) == (0.99, 1e-3)
    assert b4["dropout"] == b5["dropout"] == 0.4


def test_stochastic_depth_rises_from_zero():
    # Block l of 5 has l/5 of the rate; the first of each stage has no input to add to.
    options = {"stages": ((1, 3, 1, 8, 2), (2, 3, 2, 8, 3)), "stochastic_depth": 0.5}
    module, variables, x = variables_of("efficientnet_b0", (8, 8, 3), **options)
    assert rates_of(module, variables, x) == {
        "stage1/block1": pytest.approx(0.1),
        "stage2/block1": pytest.approx(0.3),
        "stage2/block2": pytest.approx(0.4),
    }


def rates_of(module, variables, x):
    """The rates of the blocks that leave out their branch, by path."""
    found = {}

    def watch(next_function, args, kwargs, context):
        if isinstance(context.module, StochasticDepth):
            found["/".join(context.module.path[:-1])] = context.module.rate
        return next_function(*args, **kwargs)

    with nn.intercept_methods(watch):
        jax.eval_shape(module.apply, variables, x)
    return found


def test_torch_names():
    convs, norms = (
        ["features.0.0", "features.8.0", "classifier.1"],
        ["features.0.1", "features.8.1"],
    )
    for stage, depth in enumerate((1, 2, 2, 3, 3, 4, 1), start=1):
        for i in range(depth):
            block = f"features.{stage}.{i}.block"
            excite, pairs = (1, (0, 2)) if stage == 1 else (2, (0, 1, 3))
            convs += [f"{block}.{excite}.fc1", f"{block}.{excite}.fc2"]
            convs += [f"{block}.{n}.0" for n in pairs]
            norms += [f"{block}.{n}.1" for n in pairs]
    assert_torch_names("efficientnet_b0", efficientnet.TORCH_NAMES, convs, norms)


def test_it_trains():
    assert_trains("efficientnet_b0", (8, 8, 3), **TINY)


@pytest.mark.slow
def test_it_trains_alike_with_remat():
    assert_trains_alike_with_remat("efficientnet_b0", (8, 8, 3), **TINY)


@pytest.mark.slow
def test_bfloat16():
    assert_bfloat16("efficientnet_b0", (8, 8, 3), **TINY)
