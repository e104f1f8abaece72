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
    assert_trains_alike_with_remat,
    images,
    stage_shapes,
    variables_of,
)

from cnn_jax import models
from cnn_jax.errors import UserError
from cnn_jax.models import vgg

TINY = {"depths": (1, 2), "widths": (8, 8), "hidden": (16, 8), "pool_size": 2}

# torchvision's description of the four nets, M for pooling.
LAYERS = {
    "vgg11": "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "vgg13": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "vgg16": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "vgg19": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


def test_shapes():
    assert stage_shapes("vgg16", 224, 224) == {
        "stage1": (224, 224, 64),
        "stage2": (112, 112, 128),
        "stage3": (56, 56, 256),
        "stage4": (28, 28, 512),
        "stage5": (14, 14, 512),
        "features": (7, 7, 512),
        "embedding": (4096,),
    }
    assert stage_shapes("vgg11_bn", 32, 70)["features"] == (1, 2, 512)
    with pytest.raises(UserError, match="at least 32x32"):
        stage_shapes("vgg11", 31, 31)


@pytest.mark.parametrize("name", [f"{name}{bn}" for name in LAYERS for bn in ("", "_bn")])
def test_torch_names(name):
    sequence = []
    for layer in LAYERS[name.removesuffix("_bn")].split():
        conv = ["conv", "norm", "relu"] if name.endswith("_bn") else ["conv", "relu"]
        sequence += ["pool"] if layer == "M" else conv
    convs, norms = (
        [f"features.{i}" for i, layer in enumerate(sequence) if layer == kind]
        for kind in ("conv", "norm")
    )
    dense = ["classifier.0", "classifier.3", "classifier.6"]
    assert_torch_names(name, vgg.TORCH_NAMES[name], convs + dense, norms)
    # The n-th of theirs is the n-th of ours.
    table = dict(vgg.TORCH_NAMES[name])
    ours = [table[conv.replace(".", r"\.")] for conv in convs]
    assert ours == sorted(ours)


def test_flattened():
    assert_flattened("vgg11", vgg.TORCH_FLATTENED)


@pytest.mark.slow
def test_it_trains_alike_with_remat():
    assert_trains("vgg11", (8, 8, 3), **TINY)
    assert_trains_alike_with_remat("vgg11_bn", (8, 8, 3), **TINY)


@pytest.mark.slow
def test_bfloat16():
    assert_bfloat16("vgg11_bn", (8, 8, 3), **TINY)


def test_the_normalisation_is_the_references():
    module, variables, x = variables_of("vgg11_bn", (8, 8, 3), **TINY)
    found = activations(module, variables, x, ["stage1/conv1", "stage1/norm1"])
    conv = found["stage1/conv1"]
    np.testing.assert_allclose(found["stage1/norm1"], conv / np.sqrt(1 + 1e-5), rtol=1e-5)

    @jax.jit
    def moved(variables, x):
        rngs = {"dropout": jax.random.key(0)}
        _, changed = module.apply(variables, x, train=True, rngs=rngs, mutable=["batch_stats"])
        return changed["batch_stats"]["stage1"]["norm1"]["mean"]

    mean = moved(variables, x)
    np.testing.assert_allclose(mean, 0.1 * conv.mean((0, 1, 2)), rtol=1e-4, atol=1e-6)


def test_initial_values(init):
    module = models.create("vgg11", 3, **(TINY | {"widths": (8, 64)}))
    params = init(module, images((8, 8, 3)))["params"]
    kernel = params["stage2"]["conv2"]["kernel"]
    assert float(kernel.std()) == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.03)
    assert float(params["dense1"]["kernel"].std()) == pytest.approx(0.01, rel=0.05)
    assert not jnp.any(params["stage1"]["conv1"]["bias"])


def test_options_are_checked():
    with pytest.raises(UserError, match="one of each a stage"):
        models.create("vgg11", 3, depths=(1, 1))
