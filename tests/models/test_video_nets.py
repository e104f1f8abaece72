"""Nets for videos: how large they are, and what they see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn_jax import UserError, models
from cnn_jax.layers.cpu.platform import layers_for
from cnn_jax.layers.volumes import Conv3d, middle_maps
from cnn_jax.models.cost import parameter_count, shapes
from cnn_jax.pretrained.matching import Found, assemble, inflated, paths

RANDOM = np.random.default_rng(0)
CLIPS = RANDOM.normal(size=(2, 5, 12, 12, 3)).astype(np.float32)
SMALL = {"width": 4, "depths": (1,)}


@pytest.mark.parametrize(
    ("name", "count"),
    [("r3d_18", 33_371_472), ("mc3_18", 11_695_440), ("r2plus1d_18", 31_505_325)],
)
def test_as_many_parameters_as_torchvision_has(name, count):
    found = shapes(models.create(name, 400), (16, 112, 112, 3))
    assert parameter_count(found["params"]) == count


def test_two_parts_are_as_large_as_one():
    for inputs, features in ((64, 64), (64, 128), (256, 512)):
        parts = middle_maps(inputs, features) * (9 * inputs + 3 * features)
        whole = 27 * inputs * features
        assert whole - (9 * inputs + 3 * features) < parts <= whole


@pytest.mark.parametrize(
    ("kernel", "strides", "padding"),
    [
        ((3, 3, 3), (2, 2, 2), "zero"),
        ((3, 7, 7), (1, 2, 2), "edge"),
        ((1, 3, 3), (1, 1, 1), "zero"),
        ((3, 1, 1), (2, 1, 1), "zero"),
        ((1, 1, 1), (2, 2, 2), "zero"),
    ],
)
def test_on_a_cpu_they_are_the_same_sums(kernel, strides, padding):
    conv = Conv3d(6, kernel, strides, padding)
    variables = conv.init(jax.random.key(0), CLIPS)

    def both(variables, x):
        def loss(variables, x):
            y = conv.apply(variables, x)
            return jnp.sum(jnp.sin(y)), y

        return jax.grad(loss, argnums=(0, 1), has_aux=True)(variables, x)

    with layers_for("gpu"):
        plain = jax.jit(both)(variables, CLIPS)
    with layers_for("cpu"):
        ours = jax.jit(lambda *given: both(*given))(variables, CLIPS)
    assert plain[1].shape[1:4] == tuple(
        -(-n // step) for n, step in zip((5, 12, 12), strides, strict=True)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), plain, ours)


def test_one_for_images_is_inflated_to_tell_the_same_of_what_stands_still():
    small = {"width": 4, "depths": (1, 1)}
    flat = models.create("resnet18", 5, **small)
    deep = models.create("r3d_18", 5, **small, pool=True, time_padding="edge")
    images = CLIPS[:, 0]
    given = jax.jit(flat.init)(jax.random.key(1), images)
    found = {path: Found(path, np.asarray(array)) for path, array in paths(given).items()}
    variables, report = assemble(found, shapes(deep, CLIPS.shape[1:]), source="resnet18")
    kernels = [path for path in found if path.endswith("conv/kernel")]
    assert report.inflated == len(kernels) == 6 and "repeated over frames" in str(report)
    for frames in (1, 4):  # also fewer than a kernel is long
        still = np.repeat(images[:, None], frames, axis=1)
        np.testing.assert_allclose(
            jax.jit(deep.apply)(variables, still),
            jax.jit(flat.apply)(given, images),
            rtol=1e-4,
            atol=1e-5,
        )
    kernel = np.float32(RANDOM.normal(size=(3, 3, 2, 4)))
    np.testing.assert_allclose(inflated(kernel, 3).sum(0), kernel, rtol=1e-6)


def test_only_nets_with_kernels_in_time_see_the_order_of_frames():
    body = {"body": "simple_cnn", "body_options": {"widths": (4,)}}
    for name, options, sees in (
        ("frame_cnn", body, False),
        ("frame_cnn", {**body, "temporal": (8,)}, True),
        ("r3d_18", SMALL, True),
        ("mc3_18", SMALL, True),
        ("r2plus1d_18", SMALL, True),
    ):
        net = models.create(name, 3, **options)
        apply = jax.jit(net.apply)
        variables = jax.jit(net.init)(jax.random.key(2), CLIPS)
        there, back = apply(variables, CLIPS), apply(variables, CLIPS[:, ::-1])
        assert (float(np.abs(there - back).max()) > 1e-4) == sees, name


def test_fewer_frames_than_a_kernel_is_long_are_padded():
    net = models.create("r3d_18", 3, **SMALL)
    short = CLIPS[:, :1]
    variables = jax.jit(net.init)(jax.random.key(0), short)
    assert np.isfinite(jax.jit(net.apply)(variables, short)).all()


def test_what_they_refuse():
    net = models.create("r3d_18", 3, **SMALL)
    with pytest.raises(UserError, match=r"takes clips \(b, t, h, w, c\) of a float type"):
        net.init(jax.random.key(0), CLIPS[:, 0])
    with pytest.raises(UserError, match="text_cnn cannot be a body"):
        models.create("frame_cnn", 3, body="text_cnn").init(jax.random.key(0), CLIPS)
    with pytest.raises(UserError, match="depths"):
        models.create("r3d_18", 3, depths=())
