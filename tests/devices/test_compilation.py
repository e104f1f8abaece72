import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn_jax import models
from cnn_jax.devices import compilation
from cnn_jax.devices.compilation import _share_of_few, compile_with, compiled, compiler_options
from cnn_jax.devices.compilation_cache import watched
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
        pytest.param("wide_resnet40_4", 32, 3, "float32", {}, marks=pytest.mark.slow),
        pytest.param("mobilenet_v3_small", 32, 3, "float32", {}, marks=pytest.mark.slow),
    ],
)
def test_onednn_is_asked_for_where_it_is_faster(name, side, channels, dtype, options, monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda package: "0.12.0.1")
    module = models.create(name, 10, dtype=dtype)
    # LeNet-5 is small enough for products where a batch is small.
    batch = 64 if name == "lenet5_relu" else 2
    x = jax.ShapeDtypeStruct((batch, side, side, channels), jnp.float32)
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


def lowered(seed=1.0):
    return jax.jit(lambda x: x @ x + seed).lower(jax.ShapeDtypeStruct((4, 4), jnp.float32))


def test_options_that_this_xla_does_not_know_are_left_out_and_said_once(capsys, monkeypatch):
    monkeypatch.setattr(compilation, "_unknown", set())
    options = {"xla_no_such": True, YNNPACK: "NOR_THIS", "xla_backend_optimization_level": 1}
    for seed in (1.0, 2.0):
        program = compile_with(lowered(seed), options)
        np.testing.assert_array_equal(program(np.ones((4, 4), np.float32)), 4 + seed)
    said = capsys.readouterr().err.splitlines()
    assert [line.split(";")[0] for line in said] == [
        "this version of XLA does not take xla_no_such",
        f"this version of XLA does not take {YNNPACK}",
    ]


def test_all_programs_of_a_run_do_without_options_that_are_not_known(tiny, monkeypatch):
    from cnn_jax.runs.experiment import Experiment
    from cnn_jax.training import program

    monkeypatch.setattr(compilation, "_unknown", set())
    monkeypatch.setattr(program, "_QUICK_COMPILE", {"xla_no_such": True})
    monkeypatch.setattr(compilation, "compiler_options", lambda *_: {"xla_nor_this": True})
    made = Experiment.of(tiny)
    made.program.compile_evaluation()
    made.program.compile_init()
    assert compilation._unknown == {"xla_no_such", "xla_nor_this"}


def test_another_error_of_the_compiler_is_one():
    class Failing:
        def compile(self, options):
            raise jax.errors.JaxRuntimeError("INTERNAL: out of luck")

    with pytest.raises(jax.errors.JaxRuntimeError, match="out of luck"):
        compile_with(Failing(), {"xla_backend_optimization_level": 1})


def test_what_cannot_be_stored_is_not_tried_to_be(recwarn):
    """A program that calls oneDNN: XLA would fail to pack it, and JAX warn of that."""
    least = "jax_persistent_cache_min_compile_time_secs"
    kept = getattr(jax.config, least)
    jax.config.update(least, 0.0)
    layout = ("NHWC", "HWIO", "NHWC")
    program = jax.jit(
        lambda x, k: jax.lax.conv_general_dilated(x, k, (1, 1), "SAME", dimension_numbers=layout)
    )
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((4, 8, 8, 4), (3, 3, 4, 8))]
    try:
        compile_with(program.lower(*shapes), ONEDNN)
        with watched() as found:
            compile_with(program.lower(*shapes), ONEDNN)
        assert getattr(jax.config, least) == 0.0
    finally:
        jax.config.update(least, kept)
    assert found.problem == "XLA cannot store programs that call oneDNN"
    assert not list(recwarn)
