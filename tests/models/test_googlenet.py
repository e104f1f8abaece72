import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_checks import (
    activations,
    assert_bfloat16,
    assert_flattened,
    assert_torch_names,
    assert_trains,
    count,
    multiply_adds,
    rematerialised,
    stage_shapes,
    variables_of,
)

from cnn_jax import models
from cnn_jax.errors import UserError
from cnn_jax.models import googlenet

TINY = {"width": 0.05, "stem": "small"}
INCEPTIONS = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")


@pytest.fixture
def short(monkeypatch):
    """Three of the nine modules, since programs of all take long to compile."""
    some = {name: googlenet.INCEPTIONS[name] for name in ("4a", "4d", "5a")}
    monkeypatch.setattr(googlenet, "INCEPTIONS", some)


def test_parameter_counts():
    assert count("googlenet") == 13_004_888  # torchvision
    assert count("googlenet", aux_heads=False) == 6_624_904


def test_shapes():
    assert stage_shapes("googlenet", 224, 224) == {
        "stage1": (112, 112, 64),
        "stage2": (56, 56, 192),
        "stage3": (28, 28, 480),
        "stage4": (14, 14, 832),
        "stage5": (7, 7, 1024),
        "features": (7, 7, 1024),
        "embedding": (1024,),
    }
    assert stage_shapes("googlenet", 32, 32, stem="small", width=0.5) == {
        "stage1": (32, 32, 32),
        "stage2": (32, 32, 96),
        "stage3": (32, 32, 240),
        "stage4": (16, 16, 416),
        "stage5": (8, 8, 512),
        "features": (8, 8, 512),
        "embedding": (512,),
    }
    assert stage_shapes("googlenet", 15, 99, width=0.1)["features"][:2] == (1, 3)


def test_the_smallest_images_are_torchvisions():
    with pytest.raises(UserError, match="at least 15x15"):
        stage_shapes("googlenet", 14, 14)


def test_torch_names():
    convs = [f"conv{i}" for i in (1, 2, 3)]
    branches = ("branch1", "branch2.0", "branch2.1", "branch3.0", "branch3.1", "branch4.1")
    convs += [f"inception{name}.{branch}" for name in INCEPTIONS for branch in branches]
    convs += ["aux1.conv", "aux2.conv"]
    kernels, norms = ([f"{conv}.{kind}" for conv in convs] for kind in ("conv", "bn"))
    kernels += ["aux1.fc1", "aux1.fc2", "aux2.fc1", "aux2.fc2", "fc"]
    assert_torch_names("googlenet", googlenet.TORCH_NAMES, kernels, norms)
    assert_flattened("googlenet", googlenet.TORCH_FLATTENED)


@pytest.mark.slow
def test_it_trains(short):
    assert_trains("googlenet", (8, 8, 3), **TINY)


def test_rematerialised_are_the_inception_modules(short):
    assert rematerialised("googlenet", (8, 8, 3), **TINY) == 3


@pytest.mark.slow
def test_bfloat16(short):
    assert_bfloat16("googlenet", (8, 8, 3), **TINY)


def test_evaluation_does_without_the_auxiliary_heads(short):
    module, variables, x = variables_of("googlenet", (8, 8, 3), **TINY)
    without = models.create("googlenet", 3, aux_heads=False, **TINY)
    assert multiply_adds(module, (8, 8, 3)) == multiply_adds(without, (8, 8, 3))
    found = activations(module, variables, x, ["aux1_logits", "aux2_logits", "logits"])
    assert all(value.shape == (4, 3) for value in found.values())
    assert jnp.abs(found["aux1_logits"] - found["aux2_logits"]).max() > 0
    logits = jax.jit(module.apply)(variables, x)
    np.testing.assert_allclose(logits, found["logits"], rtol=1e-4, atol=1e-6)


def test_branches_and_normalisation_are_torchvisions(short):
    module, variables, x = variables_of("googlenet", (8, 8, 3), **TINY)
    names = [f"inception4a/branch{i}" for i in (1, 2, 3, 4)]
    more = ["inception4a", "conv1/conv", "conv1/norm"]
    found = activations(module, variables, x, names + more)
    parts = jnp.concatenate([found[name] for name in names], axis=-1)
    np.testing.assert_array_equal(found["inception4a"], parts)
    norm = found["conv1/conv"] / np.sqrt(1 + 1e-3)
    np.testing.assert_allclose(found["conv1/norm"], norm, rtol=1e-5)
    kernels = [
        variables["params"]["inception4a"][f"branch{i}"]["conv"]["kernel"].shape[:2]
        for i in (1, 2, 3, 4)
    ]
    assert kernels == [(1, 1), (3, 3), (3, 3), (1, 1)]  # the third as torchvision's, too


def test_initial_deviation(init):
    module = googlenet.Inception((64, 32, 16, 32, 16, 32))
    params = init(module, jnp.zeros((1, 4, 4, 32)))["params"]
    values = np.concatenate([np.ravel(k) for k in jax.tree.leaves(params) if k.ndim == 4])
    assert values.std() == pytest.approx(0.01, rel=0.03)


def test_options_are_checked():
    with pytest.raises(UserError, match=r"width=0.0 of GoogLeNet"):
        models.create("googlenet", 3, width=0)
