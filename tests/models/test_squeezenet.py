import jax.numpy as jnp
import numpy as np
import pytest
from family_checks import (
    activations,
    assert_bfloat16,
    assert_torch_names,
    assert_trains,
    assert_trains_alike_with_remat,
    images,
    stage_shapes,
    variables_of,
)

from cnn_jax import models
from cnn_jax.errors import UserError
from cnn_jax.models import squeezenet

TINY = {"stem_width": 8, "fires": ((4, 8), (4, 8), (6, 8)), "pools": (1, 3)}


def test_shapes():
    assert stage_shapes("squeezenet1_0", 224, 224) == {
        "stage1": (109, 109, 96),
        "stage2": (54, 54, 256),
        "stage3": (27, 27, 512),
        "stage4": (13, 13, 512),
        "features": (13, 13, 512),
        "embedding": (512,),
    }
    assert stage_shapes("squeezenet1_1", 224, 224) == {
        "stage1": (111, 111, 64),
        "stage2": (55, 55, 128),
        "stage3": (27, 27, 256),
        "stage4": (13, 13, 512),
        "features": (13, 13, 512),
        "embedding": (512,),
    }
    assert stage_shapes("squeezenet1_1", 32, 32, stem="small") == {
        "stage1": (32, 32, 64),
        "stage2": (32, 32, 128),
        "stage3": (16, 16, 256),
        "stage4": (8, 8, 512),
        "features": (8, 8, 512),
        "embedding": (512,),
    }


@pytest.mark.parametrize(("name", "side"), [("squeezenet1_0", 21), ("squeezenet1_1", 17)])
def test_the_smallest_images_are_torchvisions(name, side):
    assert stage_shapes(name, side, side)["features"] == (1, 1, 512)
    with pytest.raises(UserError, match="too small"):
        stage_shapes(name, side - 1, side - 1)


@pytest.mark.parametrize(
    ("name", "fires"),
    [
        ("squeezenet1_0", (3, 4, 5, 7, 8, 9, 10, 12)),
        ("squeezenet1_1", (3, 4, 6, 7, 9, 10, 11, 12)),
    ],
)
def test_torch_names(name, fires):
    layers = ("squeeze", "expand1x1", "expand3x3")
    names = [f"features.{i}.{layer}" for i in fires for layer in layers]
    assert_torch_names(name, squeezenet.TORCH_NAMES[name], ["features.0", *names, "classifier.1"])


def test_it_trains():
    assert_trains("squeezenet1_0", (33, 33, 3), dropout=0.1, **TINY)


@pytest.mark.slow
def test_it_trains_alike_with_remat():
    assert_trains_alike_with_remat("squeezenet1_0", (33, 33, 3), dropout=0.1, **TINY)


@pytest.mark.slow
def test_bfloat16():
    assert_bfloat16("squeezenet1_0", (33, 33, 3), **TINY)


def test_the_branches_stand_in_torchvisions_order():
    module, variables, x = variables_of("squeezenet1_0", (33, 33, 3), **TINY)
    found = activations(
        module, variables, x, ["fire2/expand1x1", "fire2/expand3x3", "fire2", "head", "logits"]
    )
    np.testing.assert_array_equal(found["fire2"][..., :8], found["fire2/expand1x1"])
    np.testing.assert_array_equal(found["fire2"][..., 8:], found["fire2/expand3x3"])
    np.testing.assert_allclose(
        found["logits"], jnp.maximum(found["head"], 0).mean((1, 2)), rtol=1e-5
    )


def test_initial_values(init):
    module = models.create("squeezenet1_0", 3, **TINY)
    kernel = init(module, images((33, 33, 3)))["params"]["stem"]["conv"]["kernel"]
    bound = np.sqrt(6 / (7 * 7 * 3))
    assert 0.95 * bound < float(jnp.abs(kernel).max()) <= bound


def test_options_are_checked():
    with pytest.raises(UserError, match="pools=\\(4,\\) of SqueezeNet"):
        models.create("squeezenet1_0", 3, fires=((4, 8),) * 3, pools=(4,))
    with pytest.raises(UserError, match="fires="):
        models.create("squeezenet1_0", 3, fires=((0, 8),), pools=(1,))
