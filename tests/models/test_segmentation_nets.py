"""Nets that tell a class of every pixel: counts, sizes, auxiliary heads, bodies."""

import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_checks import count, quick_shapes, variables_of
from tiny_task import task

from cnn_jax import Model, Recipe, models
from cnn_jax.errors import UserError
from cnn_jax.layers import harmonic
from cnn_jax.training.evaluator import make_model

TINY_BODY = {"body_options": {"depths": (1, 1, 1, 1), "width": 8}}
NETS = {
    "fcn": TINY_BODY,
    "deeplabv3": TINY_BODY | {"features": 8},
    "lraspp_mobilenet_v3_large": TINY_BODY | {"body": "resnet18", "low_at": 8, "features": 8},
    "unet": {"width": 4},
    "unet_on_body": TINY_BODY | {"width": 2},
    "segnet": {"widths": (4,) * 5},
    "segnet_basic": {"widths": (4,) * 4},
    "fc_densenet56": {"stem_width": 4, "depths": (1,) * 6, "growth": (4,)},
    "fc_hardnet68": {"depths": (2,) * 6},
}
SMALLEST = {"unet": 16, "fc_densenet56": 32, "fc_hardnet68": 32}


@functools.cache
def made(name):
    module = models.create(name, 3, **NETS[name])
    return module, quick_shapes(module, (64, 64, 3))


def logits_of(name, height, width, channels=3):
    module, variables = made(name)
    x = jax.ShapeDtypeStruct((2, height, width, channels), "float32")
    return jax.eval_shape(module.apply, variables, x)


@pytest.mark.parametrize("name", NETS)
def test_every_pixel_of_an_image_of_any_size_has_logits(name):
    least = SMALLEST.get(name, 1)
    for height, width in ((least, least), (least + 1, 45)):
        found = logits_of(name, height, width)
        assert (found.shape, found.dtype) == ((2, height, width, 3), jnp.float32)


@pytest.mark.parametrize(("name", "least"), SMALLEST.items())
def test_images_that_are_too_small_are_refused_with_the_least_size(name, least):
    with pytest.raises(UserError, match=f"{least - 1}x{least} .* needs at least {least}x{least}"):
        logits_of(name, least - 1, least)


@pytest.mark.parametrize(
    ("name", "classes", "options", "expected"),
    [
        ("fcn_resnet50", 21, {"aux_head": False}, 32_957_013),
        ("deeplabv3_resnet50", 21, {"aux_head": False}, 42_004_074 - 2_365_205),
        ("unet", 11, {"norm": "none"}, 31_032_395),
        ("unet", 2, {"norm": "none"}, 31_032_395 - 9 * 65),
    ],
)
def test_counts_of_other_forms(name, classes, options, expected):
    module = models.create(name, classes, **options)
    params = quick_shapes(module, (64, 64, 3))["params"]
    assert models.parameter_count(params) == expected


def test_a_grey_image_takes_two_channels_of_the_first_kernels_less():
    module = models.create("unet", 2, norm="none")
    assert models.parameter_count(quick_shapes(module, (64, 64, 1))["params"]) == 31_030_658


def test_segnet_basic_has_the_published_size():
    kernels = 49 * 64 * (3 + 7 * 64)
    assert count("segnet_basic") == kernels + 8 * 3 * 64 + 64 * 11 + 11
    assert abs(count("segnet_basic") / 1.425e6 - 1) < 0.01
    assert abs(count("segnet") / 29.5e6 - 1) < 0.01


def test_fc_hardnet_has_the_published_size_and_cost():
    assert round(count("fc_hardnet68") / 1e6, 1) == 1.4
    # The paper counts multiplications and additions, for 352x480 pixels.
    assert round(2 * models.count("fc_hardnet68")["multiply_adds"] * 352 / 360 / 1e9) == 15


def test_links_and_widths_of_a_harmonic_block():
    assert [harmonic.links(layer) for layer in range(1, 9)] == [
        [0], [1, 0], [2], [3, 2, 0], [4], [5, 4], [6], [7, 6, 4, 0],
    ]  # fmt: skip
    assert [harmonic.width_of(layer, 10, 1.7) for layer in range(1, 9)] == [
        10, 18, 10, 28, 10, 18, 10, 50,
    ]  # fmt: skip
    assert harmonic.put_out(8) == [1, 3, 5, 7, 8]


def test_a_u_net_on_a_body_has_the_size_that_its_levels_make():
    body, above = 11_689_512 - 512 * 1000 - 1000, 512
    levels = 0
    for maps, features in ((256, 256), (128, 128), (64, 64), (64, 32), (3, 16)):
        levels += (above + 2) * features + 9 * (maps + 2 * features) * features + 4 * features
        above = features
    assert count("unet_on_body") == body + levels + 16 * 11 + 11


@pytest.mark.parametrize("body", ["resnet18", "vgg11_bn"])
def test_squares_of_pixels_have_logits_of_each(body):
    options = {"body_options": {"widths": (8,) * 5}} if body == "vgg11_bn" else {}
    module = models.create("unet_on_body", 3, **TINY_BODY | options, body=body, finest=2, width=2)
    x = jax.ShapeDtypeStruct((2, 35, 46, 3), "float32")
    logits, variables = jax.eval_shape(module.init_with_output, jax.random.key(0), x)
    assert logits.shape == (2, 35, 46, 3)
    # Three times four values of the image beside the body's maps and those of the level above.
    of_body = 8
    assert variables["params"]["up2"]["conv1"]["conv"]["kernel"].shape[2] == of_body + 12 + 4
    assert variables["params"]["head"]["kernel"].shape == (1, 1, 4, 3 * 4)


@pytest.mark.parametrize(
    ("options", "levels"),
    [
        ({}, {1, 2, 4, 8, 16}),
        ({"finest": 2}, {2, 4, 8, 16}),
        ({"body": "resnet20", "body_options": {}}, {1, 2}),
        ({"body": "vgg11_bn", "body_options": {"widths": (8,) * 5}}, {1, 2, 4, 8, 16}),
    ],
)
def test_the_levels_of_a_u_net_are_those_of_its_body(options, levels):
    module = models.create("unet_on_body", 3, **TINY_BODY | options)
    params = quick_shapes(module, (64, 64, 3))["params"]
    assert {int(name[2:]) for name in params if name.startswith("up")} == levels


def test_auxiliary_logits_come_in_training_and_leave_the_logits_alone():
    module, variables, x = variables_of("fcn", (17, 24, 3), **TINY_BODY)
    apply = functools.partial(module.apply, variables, x, rngs={"dropout": jax.random.key(0)})
    kept = ["batch_stats", "intermediates"]
    trained, state = jax.eval_shape(lambda: apply(train=True, mutable=kept))
    (auxiliary,) = state["intermediates"]["aux_logits"]
    assert (auxiliary.shape, auxiliary.dtype) == (trained.shape, jnp.float32)
    without = models.create("fcn", 3, aux_head=False, **TINY_BODY)
    others = {
        kind: {k: v for k, v in tree.items() if k != "aux"} for kind, tree in variables.items()
    }
    np.testing.assert_array_equal(module.apply(variables, x), without.apply(others, x))


@pytest.mark.parametrize(
    ("body", "options", "places"),
    [
        ("resnet18", TINY_BODY["body_options"], (8, 8)),
        ("vgg11_bn", {"widths": (8,) * 5}, (2, 2)),
        ("convnext_tiny", {"depths": (1, 1), "widths": (8, 16)}, (8, 8)),
        ("wide_resnet40_4", {"depth": 10, "width": 1}, (16, 16)),
    ],
)
def test_any_net_for_images_is_a_body_by_its_name(body, options, places):
    module = models.create("fcn", 3, body=body, body_options=options, aux_head=False)
    x = jax.ShapeDtypeStruct((2, 64, 64, 3), "float32")
    logits, state = jax.eval_shape(
        lambda key, x: module.init_with_output(
            key, x, mutable=True, capture_intermediates=lambda layer, _: layer.name == "classifier"
        ),
        jax.random.key(0),
        x,
    )
    assert logits.shape == (2, 64, 64, 3)
    (maps,) = state["intermediates"]["classifier"]["__call__"]
    assert maps.shape[1:3] == places


def test_the_norm_is_also_the_bodys():
    module = models.create("fcn", 3, norm="group", **TINY_BODY)
    assert set(quick_shapes(module, (64, 64, 3))) == {"params"}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("fcn", {"body": "unet"}, "unet cannot be a body: it is no net that classifies images"),
        ("fcn", {"body": "resnet17"}, "unknown model 'resnet17'; did you mean"),
        ("fcn", {"body_options": {"depth": (1,)}}, "unknown option of model 'resnet18': 'depth'"),
        ("fcn", {"body_options": 3}, "body_options=3 .* must be a dictionary"),
        ("fcn", {"output_stride": 12}, "output_stride=12 of ResNet: must be a power of two"),
        ("unet_on_body", {"finest": 3}, "finest=3 of unet_on_body: must be a power of two"),
        ("unet_on_body", {"finest": 64}, "finest=64: resnet18 has maps of stride 2, 4, 8, 16, 32"),
        ("segnet", {"depths": (1,)}, "must be as many"),
        ("segnet", {"kernel_size": 4}, "must be odd"),
        ("fc_densenet56", {"growth": (1, 2)}, "one growth for all or one for each"),
    ],
)
def test_what_cannot_be_is_refused(name, options, message):
    x = jax.ShapeDtypeStruct((1, 64, 64, 3), "float32")
    with pytest.raises(UserError, match=message):
        jax.eval_shape(models.create(name, 3, **options).init, jax.random.key(0), x)


@pytest.mark.parametrize(
    ("name", "output", "message"),
    [
        (
            "unet32",
            "vector",
            "--model.name unet32 tells a number for each output of every pixel, and --task.name "
            "classification asks for a number for each output of an example, such as a class; "
            "models for it are airbench94",
        ),
        (
            "resnet18",
            "pixels",
            "asks for a number .* of every pixel; models for it are deeplabv3, ",
        ),
    ],
)
def test_a_model_that_tells_another_kind_than_the_task_asks_is_refused(name, output, message):
    with pytest.raises(UserError, match=message):
        make_model(Recipe("x", model=Model(name)), SimpleNamespace(OUTPUT=output))


def test_a_model_that_tells_what_the_task_asks_is_made():
    made = make_model(Recipe("x", model=Model("lenet5_relu")), task())
    assert made.num_classes == 3
