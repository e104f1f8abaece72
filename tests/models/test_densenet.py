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
    quick_shapes,
    stage_shapes,
    translated,
    variables_of,
)

from cnn_jax import models
from cnn_jax.errors import UserError
from cnn_jax.models import densenet

TINY = {"depths": (2, 2), "growth": 4, "stem_width": 8, "stem": "small"}
DEPTHS = {
    "densenet121": (6, 12, 24, 16),
    "densenet169": (6, 12, 32, 32),
    "densenet201": (6, 12, 48, 32),
}


def test_shapes():
    assert stage_shapes("densenet121", 224, 224) == {
        "stage1": (56, 56, 256),
        "stage2": (28, 28, 512),
        "stage3": (14, 14, 1024),
        "stage4": (7, 7, 1024),
        "features": (7, 7, 1024),
        "embedding": (1024,),
    }
    assert stage_shapes("densenet121", 29, 75, depths=(1, 1, 1, 1))["features"] == (1, 2, 68)
    assert stage_shapes("densenet_bc100_12", 4, 9, depths=(1, 1, 1))["features"] == (1, 2, 27)


@pytest.mark.slow
def test_shapes_of_the_papers_net_for_small_images():
    assert stage_shapes("densenet_bc100_12", 32, 32) == {
        "stage1": (32, 32, 216),
        "stage2": (16, 16, 300),
        "stage3": (8, 8, 342),
        "features": (8, 8, 342),
        "embedding": (342,),
    }


def test_the_smallest_images():
    with pytest.raises(UserError, match="at least 29x29"):  # as torchvision's
        stage_shapes("densenet121", 28, 28)
    with pytest.raises(UserError, match="at least 4x4"):
        stage_shapes("densenet_bc100_12", 3, 3)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name != "densenet121")) for name in DEPTHS],
)
def test_torch_names(name):
    layers = [
        f"features.denseblock{block}.denselayer{layer}"
        for block, depth in enumerate(DEPTHS[name], start=1)
        for layer in range(1, depth + 1)
    ]
    convs = [f"{layer}.conv{i}" for layer in layers for i in (1, 2)]
    norms = [f"{layer}.norm{i}" for layer in layers for i in (1, 2)]
    convs += [f"features.transition{i}.conv" for i in (1, 2, 3)]
    norms += [f"features.transition{i}.norm" for i in (1, 2, 3)]
    assert_torch_names(
        name,
        densenet.TORCH_NAMES[name],
        ["features.conv0", *convs, "classifier"],
        ["features.norm0", *norms, "features.norm5"],
    )


def test_torch_names_of_old_files():
    names = [f"features.denseblock1.denselayer12.{kind}.2" for kind in ("norm", "conv")]
    assert translated(densenet.TORCH_NAMES["densenet121"], names) == [
        "block1/layer12/conv2",
        "block1/layer12/norm2",
    ]


def test_it_trains():
    assert_trains("densenet121", (8, 8, 3), dropout=0.2, **TINY)


@pytest.mark.slow
def test_it_trains_alike_with_remat():
    assert_trains_alike_with_remat("densenet121", (8, 8, 3), dropout=0.2, **TINY)


@pytest.mark.slow
def test_bfloat16():
    assert_bfloat16("densenet121", (8, 8, 3), **TINY)


def test_a_block_keeps_its_input_and_adds_maps():
    module, variables, x = variables_of("densenet121", (8, 8, 3), **TINY)
    names = ["stem", "block1/layer1", "block1/layer2", "stage1", "transition1"]
    found = activations(module, variables, x, names)
    parts = [found["stem"], found["block1/layer1"], found["block1/layer2"]]
    np.testing.assert_array_equal(found["stage1"], jnp.concatenate(parts, -1))
    assert found["transition1"].shape == (4, 4, 4, 8)
    assert set(variables["params"]["stem"]) == {"kernel"}


def test_the_normalisation_is_the_references():
    module, variables, x = variables_of("densenet121", (8, 8, 3), **TINY)
    found = activations(module, variables, x, ["stem", "block1/layer1/norm1"])
    norm = found["stem"] / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(found["block1/layer1/norm1"], norm, rtol=1e-5)

    @jax.jit
    def moved(variables, x):
        rngs = {"dropout": jax.random.key(0)}
        _, changed = module.apply(variables, x, train=True, rngs=rngs, mutable=["batch_stats"])
        return changed["batch_stats"]["block1"]["layer1"]["norm1"]["mean"]

    mean = moved(variables, x)
    np.testing.assert_allclose(mean, 0.1 * found["stem"].mean((0, 1, 2)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("norm", ["group", "none"])
def test_other_norms_have_no_statistics(norm):
    variables = quick_shapes(models.create("densenet121", 3, norm=norm, **TINY), (8, 8, 3))
    assert set(variables) == {"params"}
    layer = variables["params"]["block1"]["layer1"]
    assert ("bias" in layer["conv1"]) == (norm == "none")
    assert ("norm1" in layer) == (norm == "group")


def test_options_are_checked():
    with pytest.raises(UserError, match=r"reduction=0.0 of DenseNet"):
        models.create("densenet121", 3, reduction=0)
    with pytest.raises(UserError, match="at least one block"):
        models.create("densenet121", 3, depths=())
