import functools

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
    images,
    stage_shapes,
    variables_of,
)

from cnn_jax import models
from cnn_jax.errors import UserError
from cnn_jax.models import alexnet

TINY = {"widths": (4, 4, 6, 6, 4), "hidden": (16, 8), "pool_size": 2}


def test_parameter_counts():
    assert count("alexnet") == 61_100_840  # torchvision
    # The paper says 60 million; by hand 34,944 + 307,456 + 885,120 + 663,936 + 442,624
    # + 37,752,832 + 16,781,312 + 4,097,000.
    assert count("alexnet2012") == 60_965_224


def test_shapes():
    assert stage_shapes("alexnet", 224, 224) == {
        "stage1": (55, 55, 64),
        "stage2": (27, 27, 192),
        "stage3": (13, 13, 256),
        "features": (6, 6, 256),
        "embedding": (4096,),
    }
    assert stage_shapes("alexnet", 63, 300)["features"] == (1, 8, 256)
    assert stage_shapes("alexnet", 32, 32, stem="small")["features"] == (3, 3, 256)
    assert stage_shapes("alexnet2012", 227, 227) == {
        "stage1": (55, 55, 96),
        "stage2": (27, 27, 256),
        "stage3": (13, 13, 256),
        "features": (6, 6, 256),
        "embedding": (4096,),
    }
    assert stage_shapes("alexnet2012", 67, 300)["features"] == (1, 8, 256)


@pytest.mark.parametrize(("name", "side"), [("alexnet", 62), ("alexnet2012", 66)])
def test_the_smallest_images(name, side):
    with pytest.raises(UserError, match=f"at least {side + 1}x{side + 1}"):
        stage_shapes(name, side, side)


def test_torch_names():
    names = [f"features.{i}" for i in (0, 3, 6, 8, 10)] + [f"classifier.{i}" for i in (1, 4, 6)]
    assert_torch_names("alexnet", alexnet.TORCH_NAMES, names)
    assert_flattened("alexnet", alexnet.TORCH_FLATTENED)


def test_the_one_of_2012_trains():
    assert_trains("alexnet2012", (67, 67, 3), **TINY)


@pytest.mark.slow
def test_bfloat16():
    assert_bfloat16("alexnet", (19, 19, 3), stem="small", **TINY)
    assert_bfloat16("alexnet2012", (67, 67, 3), **TINY)


@pytest.mark.parametrize(
    ("name", "shape", "options", "width"),
    [
        # torchvision drops what the dense layers take, 4 maps of 2x2 here; the paper what its
        # 16 units put out.
        ("alexnet", (19, 19, 3), {"stem": "small"}, 16),
        ("alexnet2012", (67, 67, 3), {}, 16),
    ],
)
def test_dropout(name, shape, options, width):
    module, variables, x = variables_of(name, shape, **TINY, **options)

    @functools.partial(jax.jit, static_argnames="train")
    def dropped(key, train=True):
        logits, state = module.apply(
            variables,
            x,
            train=train,
            rngs={"dropout": key},
            capture_intermediates=True,
            mutable=["intermediates"],
        )
        kept = state["intermediates"]
        return logits, {k: v["__call__"][0] for k, v in kept.items() if "dropout" in k}

    logits, drops = dropped(jax.random.key(0))
    others, _ = dropped(jax.random.key(1))
    assert set(drops) == {"dropout1", "dropout2"}
    assert drops["dropout1"].shape == (4, width)
    assert drops["dropout2"].shape == (4, 16 if name == "alexnet" else 8)
    assert jnp.abs(logits - others).max() > 0
    np.testing.assert_array_equal(*(dropped(jax.random.key(i), False)[0] for i in (0, 1)))


def test_dropout_of_2012_is_of_outputs():
    module, variables, x = variables_of("alexnet2012", (67, 67, 3), **TINY)
    found = activations(module, variables, x, ["dense1", "dropout1"])
    np.testing.assert_array_equal(found["dropout1"], jnp.maximum(found["dense1"], 0))


def test_initial_values_of_2012(init):
    module = models.create("alexnet2012", 3, **TINY)
    params = init(module, images((67, 67, 3)))["params"]
    ones = {name for name, layer in params.items() if (layer["bias"] == 1).all()}
    zeros = {name for name, layer in params.items() if (layer["bias"] == 0).all()}
    assert ones == {"conv2", "conv4", "conv5", "dense1", "dense2"}
    assert zeros == {"conv1", "conv3", "head"}
    assert float(params["conv1"]["kernel"].std()) == pytest.approx(0.01, rel=0.1)


def test_groups_do_not_see_each_other():
    module, variables, x = variables_of("alexnet2012", (67, 67, 3), **TINY)
    params = jax.tree.map(jnp.copy, variables["params"])
    # Of four maps of conv1 the second half goes to the second half of conv2 alone; without the
    # response norm's neighbours map 3 reaches maps 2 and 3.
    params["conv1"]["bias"] = params["conv1"]["bias"].at[3].add(1.0)
    before = activations(module, variables, x, ["conv2"])["conv2"]
    after = activations(module, {"params": params}, x, ["conv2"])["conv2"]
    first, second = jnp.split(jnp.abs(after - before).max((0, 1, 2)), 2)
    assert float(second.min()) > 100 * float(first.max())


def test_the_response_norm_by_hand():
    x = jnp.array([3.0, 100.0, 0.0, 20.0, 7.0, 50.0]).reshape(1, 1, 1, 6)
    near = 2 + 1e-4 * np.array([10009, 10409, 10458, 12949, 2949, 2949])
    np.testing.assert_allclose(
        alexnet.response_norm(x)[0, 0, 0], np.asarray(x[0, 0, 0]) / near**0.75, rtol=1e-6
    )


def test_options_are_checked():
    with pytest.raises(UserError, match="hidden=\\(\\) of AlexNet"):
        models.create("alexnet", 3, hidden=())
    with pytest.raises(UserError, match="multiples of groups=2"):
        models.create("alexnet2012", 3, widths=(5, 4, 4, 4, 4))
    with pytest.raises(UserError, match=r"stem='tiny' .* 'imagenet' or 'small'"):
        models.create("alexnet", 3, stem="tiny")
