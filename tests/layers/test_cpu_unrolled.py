import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn_jax.layers.basic import Conv, convolve
from cnn_jax.layers.cpu.choices import Shapes, met_by_pixels
from cnn_jax.layers.cpu.platform import layers_for
from cnn_jax.layers.cpu.unrolled import (
    by_patches,
    by_unrolled_kernel,
    input_gradient_by_patches,
    input_gradient_by_unrolled_kernel,
    kernel_gradient_by_patches,
    kernel_gradient_by_unrolled_kernel,
    unrolled,
)

SAME_3 = ((1, 1), (1, 1))


def draw(*shape, seed=0):
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float32)


def plain(x, kernel, strides, pads):
    return convolve(x, kernel, strides, pads, 1, (1, 1))


@pytest.mark.parametrize(
    ("sides", "sizes", "strides", "pads"),
    [
        ((2, 2), (3, 3), (1, 1), SAME_3),
        ((1, 3), (3, 2), (1, 2), ((1, 1), (0, 1))),
        ((5, 3), (3, 3), (2, 3), ((0, 0), (2, 0))),
        ((4, 4), (2, 5), (2, 1), ((0, 1), (3, 2))),
        # Zeros beyond the kernel's reach, and pixels cut off.
        ((3, 2), (2, 2), (1, 1), ((4, 3), (2, 0))),
        ((5, 5), (2, 3), (1, 2), ((-1, 0), (0, -1))),
    ],
)
def test_both_forms_are_the_convolution_and_its_gradients(sides, sizes, strides, pads):
    """In whole numbers, which are exact."""
    x, kernel = draw(3, *sides, 2), draw(*sizes, 2, 4, seed=1)
    outs = jax.eval_shape(lambda: plain(x, kernel, strides, pads)).shape[1:3]
    gradient = draw(3, *outs, 4, seed=2)

    @jax.jit
    def compared(x, kernel, gradient):
        y, pull = jax.vjp(lambda x, kernel: plain(x, kernel, strides, pads), x, kernel)
        of_x, of_kernel = pull(gradient)
        matrix = unrolled(kernel, sides, outs, strides, pads)
        return [
            (by_patches(x, kernel, strides, pads), y),
            (by_unrolled_kernel(x, matrix, outs), y),
            (input_gradient_by_patches(gradient, kernel, sides, strides, pads), of_x),
            (input_gradient_by_unrolled_kernel(gradient, matrix, sides), of_x),
            (kernel_gradient_by_patches(x, gradient, sizes, strides, pads), of_kernel),
            (kernel_gradient_by_unrolled_kernel(x, gradient, sizes, strides, pads), of_kernel),
        ]

    for ours, theirs in compared(x, kernel, gradient):
        np.testing.assert_array_equal(ours, theirs)


def test_what_of_a_kernel_meets_no_pixel_is_left_out():
    """Along one axis, for every side, kernel, step and padding up to some."""

    def outputs(image, kernel, stride, pad):
        image = np.pad(image, pad)
        return [
            int(image[i : i + len(kernel)] @ kernel)
            for i in range(0, len(image) - len(kernel) + 1, stride)
        ]

    shorter = 0
    for side, size, stride, before, after in np.ndindex(6, 8, 3, 5, 5):
        side, size, stride = side + 1, size + 1, stride + 1
        if side + before + after < size:
            continue
        image, kernel = draw(side), draw(size, seed=1)
        met, step, pad = met_by_pixels(side, size, stride, (before, after))
        assert min(pad) >= 0
        shorter += len(met) < size
        found = outputs(image, kernel[met.start : met.stop], step, pad)
        assert found == outputs(image, kernel, stride, (before, after))
    assert shorter > 100
    assert met_by_pixels(1, 7, 1, (3, 3)) == (range(3, 4), 1, (0, 0))
    assert met_by_pixels(2, 3, 2, (0, 1)) == (range(2), 1, (0, 0))
    assert met_by_pixels(2, 3, 1, (1, 1)) == (range(3), 1, (1, 1))


def traced(features, shape, **options):
    """Value and gradients of a layer, as this platform's program and the plain one have them."""
    layer = Conv(features, **options)
    random = np.random.default_rng(1)
    x = random.standard_normal(shape, np.float32)
    variables = jax.eval_shape(layer.init, jax.random.key(0), x)
    kernel = random.standard_normal(variables["params"]["kernel"].shape, np.float32)

    def run(x, kernel):
        y, pull = jax.vjp(lambda x, k: layer.apply({"params": {"kernel": k}}, x), x, kernel)
        return y, pull(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))

    wanted = jax.jit(run)(x, kernel)
    with layers_for("cpu"):
        program = jax.jit(lambda x, kernel: run(x, kernel)).trace(x, kernel)
        found = program.lower().compile()(x, kernel)
    return found, wanted, str(program.jaxpr)


@pytest.mark.parametrize(
    ("features", "shape", "options"),
    [
        (16, (64, 2, 2, 16), {}),
        (16, (2, 2, 2, 16), {}),
        (7, (3, 1, 1, 5), {"kernel_size": 5}),
        (9, (4, 2, 2, 8), {"strides": 2}),
        (9, (40, 3, 3, 8), {"strides": 2, "kernel_size": 5}),
        (6, (5, 4, 4, 3), {"kernel_size": 7, "padding": 3}),
        (6, (2, 3, 12, 3), {"kernel_size": (5, 3), "strides": (1, 2)}),
        (6, (2, 3, 3, 4), {"kernel_size": (1, 5), "padding": ((0, 2), (3, 4))}),
        (64, (2, 6, 6, 64), {}),
    ],
)
def test_small_images_take_no_convolution_of_xla(features, shape, options):
    found, wanted, program = traced(features, shape, use_bias=False, **options)
    assert "conv_general_dilated" not in program
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-5 * np.abs(theirs).max())


@pytest.mark.parametrize(("groups", "dilation"), [(2, 1), (1, 2)])
def test_dilation_is_left_to_xla_and_groups_are_not(groups, dilation):
    found, wanted, program = traced(
        8, (4, 2, 2, 8), groups=groups, dilation=dilation, use_bias=False
    )
    assert ("conv_general_dilated" in program) == (dilation > 1)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_bfloat16_too():
    found, wanted, program = traced(16, (64, 2, 2, 16), use_bias=False, dtype="bfloat16")
    assert "conv_general_dilated" not in program
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert ours.dtype == theirs.dtype
        assert jnp.abs(ours - theirs).max() < 0.03 * jnp.abs(theirs).max()


def test_large_images_and_batches_keep_their_ways():
    """A kernel is written out only where that is less than the products it saves."""

    def shapes(batch, side, channels, features, size=3, stride=1):
        out = -(-side // stride)
        pair = (side, side), (out, out), (size, size)
        return Shapes(batch, *pair, channels, features, (stride, stride))

    assert shapes(64, 2, 512, 512).unrolls_kernel
    assert not shapes(1, 2, 512, 512).unrolls_kernel
    assert not shapes(64, 4, 512, 512, 7).unrolls_kernel
    for each in (shapes(64, 32, 64, 64), shapes(64, 8, 256, 256), shapes(128, 28, 32, 64, 5)):
        assert each.tiles_pay
        assert not each.unrolls_kernel and not each.value_by_patches
        assert not each.input_by_patches and not each.kernel_by_patches
    assert not shapes(1, 4, 512, 512).tiles_pay


DEVICES = """
import json

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from cnn_jax.devices.collectives import collectives
from cnn_jax.layers.basic import Conv
from cnn_jax.layers.cpu.platform import layers_for
from cnn_jax.devices.mesh import make_mesh

mesh, found = make_mesh(), []
for side, size, stride, features in ((2, 3, 1, 24), (3, 5, 2, 16)):
    layer = Conv(features, size, stride, use_bias=False)
    random = np.random.default_rng(0)
    x = random.standard_normal((16, side, side, 16), np.float32)
    params = {"params": {"kernel": random.standard_normal((size, size, 16, features), np.float32)}}

    def gradient(params, x):
        return jax.grad(lambda p, x: jnp.sum(jnp.sin(layer.apply(p, x))), (0, 1))(params, x)

    wanted = jax.jit(lambda *given: gradient(*given))(params, x)
    parts = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    whole = jax.device_put(params, NamedSharding(mesh, PartitionSpec()))
    with layers_for("cpu", mesh.devices.size):
        program = jax.jit(gradient).lower(whole, parts).compile()
    ours = program(whole, parts)
    apart = [float(np.abs(a - b).max()) for a, b in zip(*map(jax.tree.leaves, (ours, wanted)))]
    sent = {kind: entry.bytes for kind, entry in collectives(program.as_text()).items()}
    found.append([apart, sent, params["params"]["kernel"].nbytes])
print(json.dumps(found))
"""


@pytest.mark.slow
def test_eight_devices_send_no_more_than_the_kernel_s_gradient():
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-c", DEVICES],
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for apart, sent, size in json.loads(done.stdout):
        assert max(apart) < 1e-4
        assert 0 < sent.pop("all-reduce") <= size
        assert not any(sent.values())
