import numpy as np
import pytest
from family_checks import (
    activations,
    assert_bfloat16,
    assert_torch_names,
    assert_trains,
    count,
    multiply_adds,
    quick_shapes,
    rematerialised,
    stage_shapes,
    variables_of,
)

from cnn_jax import models
from cnn_jax.errors import UserError
from cnn_jax.models import inception_v3

TINY = {"width": 0.04, "stem": "small"}

# torchvision's modules and the names of their branches
BRANCHES = {
    "a": "1x1 5x5_1 5x5_2 3x3dbl_1 3x3dbl_2 3x3dbl_3 _pool",
    "b": "3x3 3x3dbl_1 3x3dbl_2 3x3dbl_3",
    "c": "1x1 7x7_1 7x7_2 7x7_3 7x7dbl_1 7x7dbl_2 7x7dbl_3 7x7dbl_4 7x7dbl_5 _pool",
    "d": "3x3_1 3x3_2 7x7x3_1 7x7x3_2 7x7x3_3 7x7x3_4",
    "e": "1x1 3x3_1 3x3_2a 3x3_2b 3x3dbl_1 3x3dbl_2 3x3dbl_3a 3x3dbl_3b _pool",
}
MIXED = {"5b": "a", "5c": "a", "5d": "a", "6a": "b", "6b": "c", "6c": "c", "6d": "c", "6e": "c"}
MIXED |= {"7a": "d", "7b": "e", "7c": "e"}
STEM = ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3")


@pytest.fixture
def short(monkeypatch):
    """A module of each kind, since programs of all eleven take long to compile."""
    some = {name: inception_v3.MIXED[name] for name in ("5b", "6a", "6e", "7a", "7b")}
    monkeypatch.setattr(inception_v3, "MIXED", some)


def test_parameter_counts():
    assert count("inception_v3") == 27_161_264  # torchvision
    assert count("inception_v3", aux_heads=False) == 23_834_568


def test_shapes():
    assert stage_shapes("inception_v3", 299, 299) == {
        "stage1": (147, 147, 64),
        "stage2": (71, 71, 192),
        "stage3": (35, 35, 288),
        "stage4": (17, 17, 768),
        "stage5": (8, 8, 2048),
        "features": (8, 8, 2048),
        "embedding": (2048,),
    }
    assert stage_shapes("inception_v3", 32, 32, stem="small") == {
        "stage1": (32, 32, 64),
        "stage2": (32, 32, 192),
        "stage3": (32, 32, 288),
        "stage4": (15, 15, 768),
        "stage5": (7, 7, 2048),
        "features": (7, 7, 2048),
        "embedding": (2048,),
    }
    # With the auxiliary head, whose kernel the reference's pooling leaves too little for.
    assert stage_shapes("inception_v3", 75, 107)["features"] == (1, 2, 2048)


def test_the_smallest_images_are_torchvisions():
    with pytest.raises(UserError, match="at least 75x75"):
        stage_shapes("inception_v3", 74, 74)
    with pytest.raises(UserError, match="at least 7x7"):
        stage_shapes("inception_v3", 6, 6, stem="small")


def test_torch_names():
    convs = [f"Conv2d_{name}" for name in STEM] + ["AuxLogits.conv0", "AuxLogits.conv1"]
    convs += [
        f"Mixed_{name}.branch{branch}"
        for name, kind in MIXED.items()
        for branch in BRANCHES[kind].split()
    ]
    kernels, norms = ([f"{conv}.{kind}" for conv in convs] for kind in ("conv", "bn"))
    kernels += ["AuxLogits.fc", "fc"]
    assert_torch_names("inception_v3", inception_v3.TORCH_NAMES, kernels, norms)


def test_kernels_of_the_factorised_modules():
    module = models.create("inception_v3", 3)
    params = quick_shapes(module, (75, 75, 3))["params"]
    for name, expected in {
        "branch7x7": [(1, 1, 768, 128), (1, 7, 128, 128), (7, 1, 128, 192)],
        "branch7x7dbl": [
            (1, 1, 768, 128),
            (7, 1, 128, 128),
            (1, 7, 128, 128),
            (7, 1, 128, 128),
            (1, 7, 128, 192),
        ],
    }.items():
        steps = range(1, len(expected) + 1)
        found = [params["mixed6b"][f"{name}_{i}"]["conv"]["kernel"].shape for i in steps]
        assert found == expected
    fork = [params["mixed7b"][f"branch3x3dbl_3{i}"]["conv"]["kernel"].shape for i in "ab"]
    assert fork == [(1, 3, 384, 384), (3, 1, 384, 384)]


@pytest.mark.slow
def test_it_trains(short):
    assert_trains("inception_v3", (17, 17, 3), **TINY)


def test_rematerialised_are_the_mixed_modules(short):
    assert rematerialised("inception_v3", (9, 9, 3), **TINY) == 5


@pytest.mark.slow
def test_bfloat16(short):
    assert_bfloat16("inception_v3", (9, 9, 3), **TINY)


def test_evaluation_does_without_the_auxiliary_head(short):
    module, without = (
        models.create("inception_v3", 3, aux_heads=aux, **TINY) for aux in (True, False)
    )
    assert multiply_adds(module, (9, 9, 3)) == multiply_adds(without, (9, 9, 3))
    assert "aux_logits" in models.activation_names(module, (9, 9, 3))


def test_pooling_and_normalisation_are_torchvisions(short):
    module, variables, x = variables_of("inception_v3", (9, 9, 3), **TINY)
    names = ["conv1a/conv", "conv1a/norm", "conv4a", "mixed5b/branch_pool/conv"]
    found = activations(module, variables, x, names)
    norm = found["conv1a/conv"] / np.sqrt(1 + 1e-3)
    np.testing.assert_allclose(found["conv1a/norm"], norm, rtol=1e-5)
    # Means count the padding: a corner has four pixels of nine.
    corner = found["conv4a"][:, :2, :2].sum((1, 2)) / 9
    kernel = variables["params"]["mixed5b"]["branch_pool"]["conv"]["kernel"][0, 0]
    np.testing.assert_allclose(
        found["mixed5b/branch_pool/conv"][:, 0, 0], corner @ kernel, rtol=1e-4, atol=1e-6
    )


def test_options_are_checked():
    with pytest.raises(UserError, match=r"width=-1.0 of InceptionV3"):
        models.create("inception_v3", 3, width=-1)
