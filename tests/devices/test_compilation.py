import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn_jax import models
from cnn_jax.devices.compilation import _share_of_few, compiled, compiler_options
from cnn_jax.devices.mesh import make_mesh
from cnn_jax.layers.cpu.platform import layers_for

ONEDNN = {"xla_cpu_use_onednn": True, "xla_cpu_experimental_onednn_custom_call": True}
YNNPACK = "xla_cpu_experimental_ynn_fusion_type"
PRODUCTS = ONEDNN | {YNNPACK: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}
AND_SUMS = ONEDNN | {YNNPACK: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"}


@pytest.mark.parametrize(
    ("name", "side", "channels", "dtype", "options"),
    [
        ("lenet5_relu", 28, 1, "float32", AND_SUMS),
        ("simple_cnn", 28, 1, "float32", {}),
        ("simple_cnn", 28, 1, "bfloat16", PRODUCTS),
        ("resnet20", 32, 3, "float32", AND_SUMS),
        # Few maps in the first convolution only, which is little of the work.
        ("wide_resnet40_4", 32, 3, "float32", {}),
        ("mobilenet_v3_small", 32, 3, "float32", {}),
    ],
)
def test_onednn_is_asked_for_where_it_is_faster(name, side, channels, dtype, options, monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda package: "0.12.0.1")
    module = models.create(name, 10, dtype=dtype)
    x = jax.ShapeDtypeStruct((2, side, side, channels), jnp.float32)
    variables = jax.eval_shape(lambda x: module.init(jax.random.key(0), x), x)

    def loss(variables, x):
        return jnp.sum(module.apply(variables, x))

    with layers_for("cpu"):
        program = jax.jit(jax.grad(loss)).lower(variables, x).as_text()
    assert compiler_options(make_mesh(), program) == options
    monkeypatch.setattr("importlib.metadata.version", lambda package: "0.10.2")
    assert compiler_options(make_mesh(), program) == {}


def test_the_share_of_convolutions_of_few_maps_is_that_of_their_multiplications():
    """4x4 pixels: 2 maps to 16 by 3x3, 16 to 32 by 1x1, and a product of (3, 5) and (5, 7)."""

    def program(x, few, many, left, right):
        layout = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(x, few, (1, 1), "SAME", dimension_numbers=layout)
        x = jax.lax.conv_general_dilated(x, many, (1, 1), "SAME", dimension_numbers=layout)
        return x, left @ right

    shapes = (1, 4, 4, 2), (3, 3, 2, 16), (1, 1, 16, 32), (3, 5), (5, 7)
    text = jax.jit(program).lower(*map(jnp.zeros, shapes)).as_text()
    few, many, product = 16 * 9 * 2 * 16, 16 * 16 * 32, 3 * 5 * 7
    assert _share_of_few(text) == few / (few + many + product)
    assert _share_of_few("") == 0


def test_evaluation_in_bfloat16_is_finite_and_near_float32():
    """With XLA's defaults logits of this net were NaN on a CPU."""
    x = jax.random.normal(jax.random.key(0), (8, 32, 32, 3))
    nets = [models.create("resnet20", 10, dtype=dtype) for dtype in ("float32", "bfloat16")]
    variables = jax.jit(nets[0].init)(jax.random.key(1), x[:1])
    expected, found = (
        compiled(make_mesh(), jax.jit(net.apply), variables, x)(variables, x) for net in nets
    )
    np.testing.assert_allclose(found, expected, atol=0.02 * float(jnp.abs(expected).max()))


def test_a_compiled_program_has_the_convolutions_of_its_platform():
    module = models.create("simple_cnn", 10, widths=(48, 48), hidden=())
    x = jnp.ones((1, 8, 8, 1))
    variables = module.init(jax.random.key(0), x)
    program = compiled(make_mesh(devices=jax.devices()[:1]), jax.jit(module.apply), variables, x)
    assert jnp.allclose(program(variables, x), module.apply(variables, x), atol=1e-5)
