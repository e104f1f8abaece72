import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from family_checks import (
    activations,
    assert_bfloat16,
    images,
    loss_and_gradient,
    multiply_adds,
    paper_shapes,
    rematerialised,
    stage_shapes,
    translated,
)
from flax import traverse_util

from cnn_jax import models
from cnn_jax.errors import UserError
from cnn_jax.models import convnext
from cnn_jax.pretrained.patterns import NameTable

TINY = {"widths": (8, 16), "depths": (1, 2), "stem": "small", "layer_scale": 0.5}


def test_multiply_adds():
    module = models.create("convnext_tiny", 1000)
    assert multiply_adds(module, (224, 224, 3)) == 4_455_531_264  # 4.456 billion there


def test_shapes():
    assert stage_shapes("convnext_tiny", 224, 200) == {
        "stage1": (56, 50, 96),
        "stage2": (28, 25, 192),
        "stage3": (14, 12, 384),
        "stage4": (7, 6, 768),
        "features": (7, 6, 768),
        "embedding": (768,),
    }
    assert stage_shapes("convnext_tiny", 32, 32, stem="small")["features"] == (4, 4, 768)
    with pytest.raises(UserError, match="at least 32x32"):
        stage_shapes("convnext_tiny", 31, 32)


def test_torch_names():
    names = ["features.0.0", "features.0.1", "classifier.0", "classifier.2"]
    names += [f"features.{i}.{part}" for i in (2, 4, 6) for part in (0, 1)]
    scales = []
    for i, depth in ((1, 3), (3, 3), (5, 9), (7, 3)):
        for j in range(depth):
            names += [f"features.{i}.{j}.block.{part}" for part in (0, 2, 3, 5)]
            scales.append(f"features.{i}.{j}.layer_scale")
    variables = paper_shapes("convnext_tiny")
    assert set(variables) == {"params"}
    paths = traverse_util.flatten_dict(variables["params"])
    layers = {"/".join(path[:-1]) for path in paths if path[-1] != "layer_scale"}
    assert translated(convnext.TORCH_NAMES, names) == sorted(layers)
    parameters = {"/".join(path) for path in paths if path[-1] == "layer_scale"}
    assert translated(convnext.TORCH_NAMES, scales) == sorted(parameters)
    table = NameTable(convnext.TORCH_NAMES)
    assert [table.theirs(table.ours(n)) for n in names + scales] == names + scales


@pytest.fixture(scope="module")
def initial(init):
    """A model and its initial variables."""
    module = models.create("convnext_tiny", 3, **TINY)
    return module, init(module, images((8, 8, 3)))


def test_initial_values(initial):
    params = initial[1]["params"]
    block = params["stage2"]["block0"]
    assert block["layer_scale"].tolist() == [0.5] * 16
    assert float(block["expand"]["kernel"].std()) == pytest.approx(0.02, rel=0.1)
    assert float(block["depthwise"]["kernel"].std()) == pytest.approx(0.02, rel=0.1)
    assert models.entry("convnext_tiny").options["layer_scale"] == 1e-6


def test_the_branch_is_scaled(initial):
    module, variables = initial
    flat = traverse_util.flatten_dict(variables["params"], sep="/")
    assert flat["stage1/block0/layer_scale"].tolist() == [0.5] * 8

    def branch(scale):
        changed = flat | {"stage1/block0/layer_scale": jnp.full((8,), scale)}
        params = traverse_util.unflatten_dict(changed, sep="/")
        x = images((8, 8, 3))
        found = activations(module, {"params": params}, x, ["stem_norm", "stage1"])
        return found["stage1"] - found["stem_norm"]

    assert not jnp.any(branch(0.0))
    assert jnp.any(branch(1.0))
    np.testing.assert_allclose(branch(2.0), 2 * branch(1.0), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_training(initial):
    module, variables = initial
    x = images((8, 8, 3))
    value, gradient = loss_and_gradient(module)(variables, x)
    assert all(jnp.any(g) for g in jax.tree.leaves(gradient))
    again, again_gradient = loss_and_gradient(module.copy(remat=True))(variables, x)
    assert float(again) == pytest.approx(float(value), rel=1e-4)
    difference = optax.tree.norm(jax.tree.map(jnp.subtract, gradient, again_gradient))
    assert difference < 1e-3 * optax.tree.norm(gradient)
    assert rematerialised("convnext_tiny", (8, 8, 3), **TINY) > 0


@pytest.mark.slow
def test_bfloat16():
    assert_bfloat16("convnext_tiny", (8, 8, 3), **TINY)


def test_widths_are_checked():
    with pytest.raises(UserError, match="must differ from the one before"):
        models.create("convnext_tiny", 10, widths=(8, 8), depths=(1, 1))
    with pytest.raises(UserError, match="one of each a stage"):
        models.create("convnext_tiny", 10, widths=(8,))
