import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_checks import activation_shapes, activations, multiply_adds, quick_shapes
from flax import traverse_util

from cnn_jax import models
from cnn_jax.models.resnet import TORCH_NAMES

IMAGE = jax.ShapeDtypeStruct((2, 224, 224, 3), jnp.float32)
TINY = {"depths": (1, 2), "width": 8, "stem": "small"}


def shapes(module, x=IMAGE):
    return quick_shapes(module, x.shape[1:])


def test_multiply_adds_of_the_paper_and_of_striding_in_the_3x3():
    def cost(name):
        return multiply_adds(models.create(name, 1000), (224, 224, 3))

    # He et al., table 1: 1.8 billion; ResNet-50 has 3.8 there and 4.1 in torchvision.
    assert cost("resnet18") == 1_814_073_344
    assert cost("resnet50") == 4_089_184_256


def test_named_activations_at_224_pixels():
    module = models.create("resnet50", 1000)
    found = activation_shapes(module, (224, 224, 3))
    assert found["stem"].shape == (2, 112, 112, 64)
    assert found["pool"].shape == (2, 56, 56, 64)
    assert found["stage1"].shape == (2, 56, 56, 256)
    assert found["stage2"].shape == (2, 28, 28, 512)
    assert found["stage3"].shape == (2, 14, 14, 1024)
    assert found["stage4"].shape == found["features"].shape == (2, 7, 7, 2048)
    assert found["embedding"].shape == (2, 2048)
    assert found["logits"].shape == (2, 1000)


def test_the_stem_for_small_images_keeps_their_size():
    module = models.create("resnet18", 10, stem="small")
    x = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
    variables = shapes(module, x)
    assert variables["params"]["stem"]["conv"]["kernel"].shape == (3, 3, 3, 64)
    # As in the usual ResNet-18 for CIFAR-10.
    assert models.parameter_count(variables["params"]) == 11_173_962
    found = activation_shapes(module, (32, 32, 3))
    assert found["stage1"].shape == (2, 32, 32, 64)
    assert found["features"].shape == (2, 4, 4, 512)
    assert "pool" not in found


def torch_modules(block, depths, squeeze_excite=False):
    """The names that torchvision (timm where squeeze_excite) has for modules with parameters."""
    yield from ("conv1", "bn1", "fc")
    for stage, depth in enumerate(depths, start=1):
        for i in range(depth):
            prefix = f"layer{stage}.{i}."
            for n in range(1, 3 if block == "basic" else 4):
                yield from (f"{prefix}conv{n}", f"{prefix}bn{n}")
            if squeeze_excite:
                yield from (f"{prefix}se.fc1", f"{prefix}se.fc2")
            if i == 0 and (stage > 1 or block == "bottleneck"):
                yield from (f"{prefix}downsample.0", f"{prefix}downsample.1")


def translated(name, table):
    found = [m.expand(new) for old, new in table if (m := re.fullmatch(old, name))]
    assert len(found) == 1, name
    return found[0]


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("resnet18", torch_modules("basic", (2, 2, 2, 2))),
        ("resnet50", torch_modules("bottleneck", (3, 4, 6, 3))),
        ("seresnet50", torch_modules("bottleneck", (3, 4, 6, 3), squeeze_excite=True)),
    ],
)
def test_every_module_of_the_reference_has_one_of_ours(name, modules):
    params = traverse_util.flatten_dict(shapes(models.create(name, 1000))["params"], sep="/")
    ours = {path.rpartition("/")[0] for path in params}
    theirs = [translated(module, TORCH_NAMES) for module in modules]
    assert len(set(theirs)) == len(theirs)
    assert set(theirs) == ours


def test_initial_kernels_have_the_variance_of_their_outputs(init):
    module = models.create("resnet18", 10, depths=(1,), stem="small")
    params = init(module, jnp.zeros((1, 8, 8, 3)))["params"]
    stem = params["stem"]["conv"]["kernel"]
    np.testing.assert_allclose(stem.std(), np.sqrt(2 / (9 * 64)), rtol=0.05)
    kernel = params["stage1"]["block0"]["conv1"]["conv"]["kernel"]
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (9 * 64)), rtol=0.05)
    # Not cut off at two deviations.
    assert jnp.abs(kernel).max() > 3 * kernel.std()
    head = params["head"]["kernel"]
    assert 0.9 / 8 < jnp.abs(head).max() <= 1 / 8


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_with_zero_scales_every_block_is_the_identity_at_first(block, init):
    module = models.create("resnet18", 5, block=block, zero_scale=True, **TINY)
    x = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
    variables = init(module, x)
    found = activations(module, variables, x, ["stage2/block0", "stage2/block1"])
    np.testing.assert_array_equal(found["stage2/block1"], found["stage2/block0"])
    last = "conv2" if block == "basic" else "conv3"
    assert not variables["params"]["stage1"]["block0"][last]["norm"]["scale"].any()
    plain = shapes(models.create("resnet18", 5, block=block, **TINY), x)
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(lambda leaf: leaf.shape, plain)


def gradients(module, variables, x, key):
    @jax.jit
    def run(params):
        def loss(params):
            logits, updated = module.apply(
                variables | {"params": params},
                x,
                train=True,
                rngs={"dropout": key},
                mutable=["batch_stats"],
            )
            return jnp.square(logits).mean(), updated

        return jax.value_and_grad(loss, has_aux=True)(params)

    return run(variables["params"])


def test_rematerialisation_changes_no_value(init):
    options = TINY | {"depths": (1, 1), "stochastic_depth": 0.5, "dropout": 0.2}
    module = models.create("resnet18", 5, **options)
    again = models.create("resnet18", 5, remat=True, **options)
    x = jax.random.normal(jax.random.key(0), (4, 8, 8, 3))
    variables = init(module, x)
    expected = gradients(module, variables, x, jax.random.key(1))
    found = gradients(again, variables, x, jax.random.key(1))
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
    program, other = (jax.make_jaxpr(m.apply)(variables, x).eqns for m in (again, module))
    assert sum("remat" in equation.primitive.name for equation in program) == 2
    assert not any("remat" in equation.primitive.name for equation in other)
    assert set(models.activation_names(again, (8, 8, 3))) == set(
        models.activation_names(module, (8, 8, 3))
    )


@pytest.mark.parametrize("norm", ["group", "layer", "none"])
def test_other_normalisations_have_no_batch_statistics(norm):
    module = models.create("resnet18", 5, norm=norm, **TINY)
    variables = shapes(module, jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32))
    assert set(variables) == {"params"}
    names = set(variables["params"]["stage1"]["block0"]["conv1"])
    assert names == ({"conv"} if norm == "none" else {"conv", "norm"})


def test_squeeze_and_excitation_is_within_the_branch(init):
    module = models.create("seresnet50", 5, depths=(1,), width=8, stem="small")
    x = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
    variables = init(module, x)
    block = variables["params"]["stage1"]["block0"]
    # 32 maps, of which a sixteenth is fewer than the least number, 8.
    assert block["squeeze_excite"]["reduce"]["kernel"].shape == (1, 1, 32, 8)
    names = [f"stage1/block0{part}" for part in ("", "/squeeze_excite", "/shortcut")]
    found = activations(module, variables, x, names)
    weighted = found["stage1/block0/squeeze_excite"]
    np.testing.assert_allclose(
        found["stage1/block0"],
        np.maximum(weighted + found["stage1/block0/shortcut"], 0),
        rtol=1e-5,
        atol=1e-5,
    )
