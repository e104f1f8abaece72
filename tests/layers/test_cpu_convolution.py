import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_checks import variables_of

from cnn_jax import models
from cnn_jax.layers.basic import Conv
from cnn_jax.layers.cpu import parts as cpu_parts
from cnn_jax.layers.cpu.platform import layers_for


def drawn(layer, x):
    """Variables of a convolution by NumPy: to compile `init` takes longer than what is tested."""
    random = np.random.default_rng(0)

    def value(leaf):
        deviation = np.sqrt(2 / max(1, np.prod(leaf.shape[:-1])))
        return random.normal(0, deviation, leaf.shape).astype(leaf.dtype)

    return jax.tree.map(value, jax.eval_shape(layer.init, jax.random.key(0), x))


def value_and_gradients(layer, x, weights):
    """A sum of the layer's output, weighed by random numbers, and its gradients."""
    variables = drawn(layer, x)

    def value(variables, x):
        y = layer.apply(variables, x)
        return jnp.vdot(y.astype(jnp.float32), weights[: y.size].reshape(y.shape)), y

    # A new program each time, since the platform that it is for is none of its arguments.
    program = jax.jit(jax.value_and_grad(value, argnums=(0, 1), has_aux=True))
    (_, y), gradients = program(variables, x)
    return y, gradients


def check_same(found, wanted, about=""):
    """Values and gradients are equal but for rounding."""
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4, err_msg=about)


@pytest.mark.parametrize(
    ("features", "options"),
    [
        (5, {"kernel_size": 1}),
        (5, {"kernel_size": 1, "strides": 2}),
        (5, {"kernel_size": 1, "padding": 1}),
        (5, {"kernel_size": 3}),
        (5, {"kernel_size": 3, "padding": "VALID"}),
        (5, {"kernel_size": (1, 7), "padding": ((0, 0), (3, 3))}),
        (5, {"kernel_size": (3, 2), "padding": ((2, 0), (0, 3))}),
        (5, {"kernel_size": 4, "padding": "SAME"}),
        (5, {"kernel_size": 3, "strides": 2}),
        (5, {"kernel_size": (2, 3), "strides": 2, "padding": 1}),
        (5, {"kernel_size": 7, "strides": 2, "padding": 3}),
        (5, {"kernel_size": (5, 4), "strides": (3, 2), "padding": "VALID"}),
        (5, {"kernel_size": (4, 3), "strides": (1, 3), "padding": ((2, 3), (0, 2))}),
        (5, {"kernel_size": 3, "dilation": 2}),
        (8, {"kernel_size": 3, "groups": 2}),
        (4, {"kernel_size": 3, "groups": 4}),
        (4, {"kernel_size": 5, "groups": 4, "strides": 2, "padding": 2}),
        (4, {"kernel_size": 3, "groups": 4, "strides": (1, 2), "padding": "SAME"}),
        (4, {"kernel_size": (2, 3), "groups": 4, "strides": 3}),
        (5, {"kernel_size": (2, 3), "strides": 3}),
        (8, {"kernel_size": 3, "groups": 4}),
        (5, {"kernel_size": 11, "padding": 5}),
        (5, {"kernel_size": 3, "padding": 4}),
    ],
)
def test_values_and_gradients_are_those_of_plain_convolutions(features, options):
    layer = Conv(features, **options)
    random = np.random.default_rng(1)
    x = random.standard_normal((2, 9, 10, 4), np.float32)
    weights = random.standard_normal(10_000, np.float32)
    wanted = value_and_gradients(layer, x, weights)
    with layers_for("cpu"):
        found = value_and_gradients(layer, x, weights)
    check_same(found, wanted)


@pytest.mark.parametrize(
    ("maps", "options"),
    [
        (4, {"kernel_size": 3}),
        (4, {"kernel_size": (4, 3), "padding": ((2, 3), (0, 2))}),
        (4, {"kernel_size": (5, 4), "strides": (3, 2), "padding": "VALID"}),
        (1, {"kernel_size": 5}),
        (1, {"kernel_size": (3, 5), "padding": ((0, 4), (3, 1))}),
        (1, {"kernel_size": 7, "strides": 2, "padding": 3}),
        (3, {"kernel_size": (5, 4), "strides": (2, 3), "padding": ((1, 2), (2, 1))}),
        (3, {"kernel_size": 3, "strides": 3, "padding": 2}),
        (4, {"kernel_size": 3, "strides": 2, "padding": ((0, 1), (1, 0))}),
        (4, {"kernel_size": 5, "strides": (3, 2), "padding": 4}),
        (16, {"kernel_size": (3, 5), "padding": ((0, 4), (3, 1)), "groups": 16}),
        (16, {"kernel_size": 4, "strides": (2, 3), "padding": "SAME", "groups": 16}),
    ],
)
def test_kernel_gradients_in_parts_are_the_whole(monkeypatch, maps, options):
    """A part is a row, some rows, or all of them; of one map, images move along both axes."""
    layer = Conv(16, **options)
    random = np.random.default_rng(1)
    x = random.standard_normal((2, 8, 7, maps), np.float32)
    weights = random.standard_normal(10_000, np.float32)
    wanted = value_and_gradients(layer, x, weights)
    for part in (1, 1500, 2**22):
        monkeypatch.setattr(cpu_parts, "PART", part)
        with layers_for("cpu"):
            found = value_and_gradients(layer, x, weights)
        check_same(found, wanted, str(part))


@pytest.mark.parametrize(
    ("features", "options", "blocks"),
    [
        (12, {"groups": 6, "padding": 1}, 2),
        (24, {"groups": 6, "strides": 2, "kernel_size": (3, 2)}, 2),
        (40, {"groups": 2, "dilation": 2, "padding": 2}, 2),
        (24, {"groups": 24, "kernel_size": 1}, 0),
    ],
)
def test_groups_are_convolved_some_at_a_time(features, options, blocks):
    layer = Conv(features, **{"kernel_size": 3, **options})
    random = np.random.default_rng(1)
    x = random.standard_normal((2, 7, 8, 24), np.float32)
    weights = random.standard_normal(10_000, np.float32)
    wanted = value_and_gradients(layer, x, weights)
    with layers_for("cpu"):
        found = value_and_gradients(layer, x, weights)
        program = str(jax.make_jaxpr(lambda x: layer.apply(drawn(layer, x), x))(x))
    check_same(found, wanted)
    counts = re.findall(r"feature_group_count=(\d+)", program)
    assert set(counts) <= {"1"} and (f"length={blocks}" in program) == (blocks > 0)


def test_parts_have_every_row_once():
    for rows in range(1, 40):
        for size in (0, 1, cpu_parts.PART * 5, cpu_parts.PART * 1000):
            parts = cpu_parts.in_parts(rows, size)
            assert [row for first, n in parts for row in range(first, first + n)] == [*range(rows)]
            assert len(parts) <= cpu_parts.MOST_PARTS
            assert len(parts) > 1 or rows == 1 or size <= 1


@pytest.mark.parametrize("rows", [1, 3, 11, 15, 20])
def test_a_sum_in_parts_is_that_of_all_rows_and_many_equal_parts_are_a_loop(rows):
    x = jax.random.randint(jax.random.key(0), (2, rows, 4, 3), 0, 9).astype(jnp.float32)
    parts = [(first, min(3, rows - first)) for first in range(0, rows, 3)]

    def in_parts(x):
        def sums(images, first, count):
            some = jax.lax.dynamic_slice_in_dim(images[0], first, count, 1)
            return jnp.sum(some, (0, 1, 2)), jnp.sum(jnp.square(some))

        return cpu_parts.summed_in_parts(parts, (x,), sums)

    of_maps, squares = jax.jit(in_parts)(x)
    np.testing.assert_array_equal(of_maps, jnp.sum(x, (0, 1, 2)))
    assert squares == jnp.sum(jnp.square(x))
    loops = len(re.findall(r"scan|while", str(jax.make_jaxpr(in_parts)(x))))
    assert loops == (rows >= 15)


def test_some_maps_are_convolved_in_tiles_only_where_a_gradient_is_asked_for():
    layer, x = Conv(40), jax.random.normal(jax.random.key(1), (16, 7, 9, 32))
    weights = np.random.default_rng(1).standard_normal(50_000, np.float32)
    wanted = value_and_gradients(layer, x, weights)
    with layers_for("cpu"):
        found = value_and_gradients(layer, x, weights)
        variables = drawn(layer, x)
        gradient = jax.grad(lambda variables, x: jnp.sum(layer.apply(variables, x)), (0, 1))
        program = str(jax.make_jaxpr(gradient)(variables, x))
        alone = str(jax.make_jaxpr(layer.apply)(variables, x))
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-3)
    assert program.count("conv_general_dilated[") == 0
    assert program.count("dot_general[") == 3 * 36
    assert alone.count("conv_general_dilated[") == 1


@pytest.mark.parametrize(
    ("maps", "options", "convolutions"),
    [
        (1, {"kernel_size": 5, "padding": 2}, 0),
        (3, {"kernel_size": 3, "strides": 2, "padding": 1}, 0),
        (3, {"kernel_size": 2, "padding": "VALID"}, 0),
        (3, {"kernel_size": (3, 4)}, 1),
        (3, {"kernel_size": 3, "dtype": "bfloat16"}, 1),
    ],
)
def test_few_products_are_added_as_shifted_images(maps, options, convolutions):
    """Where a gradient is asked for."""
    layer, x = Conv(6, **options), jax.random.normal(jax.random.key(1), (32, 7, 9, maps))
    variables = drawn(layer, x)
    wanted = jax.jit(layer.apply)(variables, x)
    with layers_for("cpu"):
        alone = str(jax.make_jaxpr(layer.apply)(variables, x))
        # Traced anew, as a function that is not known.
        value = jax.make_jaxpr(lambda v: jax.vjp(lambda v: layer.apply(v, x), v)[0])
        program = str(value(variables))
        found = jax.jit(lambda v: jax.vjp(lambda v: layer.apply(v, x), v)[0])(variables)
    assert alone.count("conv_general_dilated[") == 1
    assert program.count("conv_general_dilated[") == convolutions
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("features", "groups", "kernel_size"), [(4, 4, 3), (6, 1, 1), (6, 1, 3)])
def test_bfloat16_stays_bfloat16(features, groups, kernel_size):
    layer = Conv(features, kernel_size, groups=groups, use_bias=False, dtype="bfloat16")
    x = jax.random.normal(jax.random.key(1), (2, 8, 8, 4)).astype(jnp.bfloat16)
    weights = jnp.ones(10_000)
    wanted = value_and_gradients(layer, x, weights)
    with layers_for("cpu"):
        found = value_and_gradients(layer, x, weights)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert ours.dtype == theirs.dtype
        scale = jnp.abs(theirs).max()
        assert jnp.abs(ours - theirs).max() < 0.03 * scale


def test_only_programs_for_a_cpu_have_them():
    layer = Conv(4, groups=4, use_bias=False)
    x = jnp.ones((1, 8, 8, 4))
    variables = drawn(layer, x)

    def convolutions(platform):
        with layers_for(platform):
            # Traced anew, whatever was traced before.
            program = jax.make_jaxpr(lambda x: layer.apply(variables, x))(x)
        return str(program).count("conv_general_dilated")

    assert convolutions("gpu") == 1
    assert convolutions("cpu") == 0


def test_second_derivatives():
    layer = Conv(3, use_bias=False)
    x = jax.random.normal(jax.random.key(1), (2, 5, 5, 2))
    variables = drawn(layer, x)

    def slope(variables):
        return jnp.sum(
            jax.grad(lambda v: jnp.sum(jnp.sin(layer.apply(v, x))))(variables)["params"]["kernel"]
            ** 2
        )

    # A new function each time, as above.
    wanted = jax.jit(lambda v: jax.grad(slope)(v))(variables)
    with layers_for("cpu"):
        found = jax.jit(lambda v: jax.grad(slope)(v))(variables)
    np.testing.assert_allclose(
        found["params"]["kernel"], wanted["params"]["kernel"], rtol=1e-3, atol=1e-3
    )


def test_gradients_of_single_examples():
    layer = Conv(3)
    x = jax.random.normal(jax.random.key(1), (4, 1, 6, 6, 2))
    variables = drawn(layer, x[0])

    def gradient(x):
        return jax.grad(lambda v: jnp.sum(jnp.sin(layer.apply(v, x))))(variables)

    wanted = jax.jit(lambda x: jax.vmap(gradient)(x))(x)
    with layers_for("cpu"):
        found = jax.jit(lambda x: jax.vmap(gradient)(x))(x)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_whole_model_has_the_same_logits_and_activations():
    stages = ((1, 8, 1, 1), (3, 16, 2, 2))
    options = {"stages": stages, "width": 0.5, "stem": "small"}
    module, variables, x = variables_of("mobilenet_v2", (12, 12, 3), **options)
    wanted = jax.jit(lambda v, x: models.activations(module, v, x))(variables, x)
    with layers_for("cpu"):
        found = jax.jit(lambda v, x: models.activations(module, v, x))(variables, x)
    assert list(found) == list(wanted)
    np.testing.assert_allclose(found["logits"], wanted["logits"], rtol=1e-4, atol=1e-5)


def test_the_definition_is_taken_where_precision_is_asked_for():
    x, conv = jax.random.normal(jax.random.key(0), (16, 8, 8, 48)), Conv(48, 3)
    variables = conv.init(jax.random.key(1), x)

    def program():
        with layers_for("cpu"):
            return str(jax.make_jaxpr(conv.apply)(variables, x))

    assert "conv_general_dilated" not in program()
    with jax.default_matmul_precision("highest"):
        assert "conv_general_dilated" in program()
