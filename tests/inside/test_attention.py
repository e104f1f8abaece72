"""Maps of what speaks for a class, against what is known of small nets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from cnn_jax import UserError
from cnn_jax.inside.attention import METHODS, attention, from_0_to_1, scaled
from cnn_jax.inside.evidence import integrated_gradients, occlusion
from cnn_jax.inside.net import Net, class_score, told_class
from cnn_jax.inside.points import map_layer
from cnn_jax.layers.basic import BatchNorm, Conv, Dense, tap


class MeanNet(nn.Module):
    """Convolution, normalisation, ReLU, mean over all places, dense."""

    @nn.compact
    def __call__(self, x, *, train=False):
        x = Conv(5, name="conv")(x)
        x = nn.relu(BatchNorm(name="norm")(x, not train))
        x = tap(self, "features", x)
        return Dense(3, name="head")(x.mean((1, 2)))


class OnePixel(nn.Module):
    """Reads one pixel for the second class, and nothing for the first."""

    @nn.compact
    def __call__(self, x, *, train=False):
        return jnp.stack([jnp.zeros(len(x)), 2 * x[:, 3, 5, 0]], axis=-1)


@pytest.fixture(scope="module")
def net():
    module, x = MeanNet(), jnp.zeros((1, 6, 8, 2))
    variables = jax.jit(module.init)(jax.random.key(0), x)
    moved = jax.tree.map(lambda leaf: leaf + 0.3, variables["batch_stats"])
    return Net(module, {**variables, "batch_stats": moved}, class_names=("a", "b", "c"))


@pytest.fixture(scope="module")
def images():
    return jax.random.normal(jax.random.key(1), (4, 6, 8, 2))


def features(net, images):
    _, state = net.module.apply(net.variables, images, mutable=["intermediates"])
    return state["intermediates"]["features"][0]


def test_grad_cam_of_a_net_that_ends_in_a_mean_is_the_class_activation_map(net, images):
    found = attention(net, images)
    weights = net.variables["params"]["head"]["kernel"]
    logits = net.module.apply(net.variables, images)
    np.testing.assert_array_equal(found.classes, np.argmax(logits, -1))
    np.testing.assert_allclose(found.scores, np.max(logits, -1), rtol=1e-5)
    cam = jnp.einsum("nhwc,cn->nhw", features(net, images), weights[:, found.classes])
    np.testing.assert_allclose(found.maps, cam / 48, rtol=1e-4, atol=1e-6)
    shown = from_0_to_1(found.maps, (12, 16))
    assert shown.shape == (4, 12, 16) and shown.dtype == np.float32
    np.testing.assert_allclose(shown, from_0_to_1(np.asarray(cam), (12, 16)), atol=1e-5)
    assert shown.min() == 0 and shown.max() == 1


def test_at_the_last_layer_before_a_mean_hires_cam_is_grad_cam(net, images):
    grad, hires = (attention(net, images, 1, method=name) for name in ("grad_cam", "hires_cam"))
    np.testing.assert_allclose(grad.maps, hires.maps, rtol=1e-4, atol=1e-7)
    # Where gradients differ from place to place it is not.
    grad, hires = (attention(net, images, 1, "conv", name) for name in ("grad_cam", "hires_cam"))
    assert np.abs(grad.maps - hires.maps).max() > 1e-3


def test_grad_cam_plus_plus_has_the_weights_of_its_paper(net, images):
    found = attention(net, images, 2, method="grad_cam_plus_plus")
    values = np.asarray(features(net, images), np.float64)
    slope = np.asarray(net.variables["params"]["head"]["kernel"], np.float64)[:, 2] / 48
    # The gradient is the same at all places: every one has the share 1 / (2 + slope * sum).
    share = 1 / (2 + slope * values.sum((1, 2)))
    weights = 48 * share * np.maximum(slope, 0)
    expected = (values * weights[:, None, None]).sum(-1)
    np.testing.assert_allclose(found.maps, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_maps_change_with_the_weights(net, images, method):
    other = jax.jit(net.module.init)(jax.random.key(9), images)
    ours = attention(net, images, 0, method=method).maps.ravel()
    theirs = attention(Net(net.module, other), images, 0, method=method).maps.ravel()
    assert abs(np.corrcoef(ours, theirs)[0, 1]) < 0.5


def test_batch_statistics_stay_as_they_were_and_one_image_does_not_change_another(net, images):
    before = jax.tree.map(np.array, net.variables)
    whole = attention(net, images, 0).maps
    alone = attention(net, images[:1], 0).maps
    np.testing.assert_allclose(alone[0], whole[0], rtol=1e-5, atol=1e-7)
    jax.tree.map(np.testing.assert_array_equal, before, net.variables)


def test_integrated_gradients_sum_to_the_difference_of_the_scores(net, images):
    found = integrated_gradients(net, images)
    plain = net.module.apply(net.variables, jnp.zeros_like(images))
    logits = net.module.apply(net.variables, images)
    rows = np.arange(4)
    np.testing.assert_array_equal(found.classes, np.argmax(logits, -1))
    apart = logits[rows, found.classes] - plain[rows, found.classes]
    np.testing.assert_allclose(found.scores - found.baselines, apart, rtol=1e-5)
    np.testing.assert_allclose(found.maps.sum((1, 2)), apart, rtol=0.01)
    assert found.missing.max() < 0.01


def test_the_evidence_of_a_net_that_reads_one_pixel_is_there():
    net = Net(OnePixel(), {}, class_names=("a", "b"))
    images = jnp.full((1, 8, 8, 1), 0.5)
    found = occlusion(net, images, "b", side=2, stride=1)
    expected = np.zeros((8, 8))
    # Of the four squares that cover a pixel, so many cover this one as well.
    for down, share in zip((-1, 0, 1), (0.5, 1, 0.5), strict=True):
        for along, other in zip((-1, 0, 1), (0.5, 1, 0.5), strict=True):
            expected[3 + down, 5 + along] = share * other
    np.testing.assert_allclose(found.maps[0], expected, atol=1e-6)
    exact = integrated_gradients(net, images, "b").maps[0]
    assert exact[3, 5] == pytest.approx(1) and np.abs(exact).sum() == pytest.approx(1)


def test_scores_of_pixels_are_of_those_that_are_told():
    outputs = jnp.array([[[[3.0, 1.0], [0.0, 2.0]], [[5.0, 1.0], [0.0, 0.5]]]])
    assert told_class(outputs).tolist() == [0]
    assert class_score(outputs, jnp.array([0])).tolist() == [4.0]
    assert class_score(outputs, jnp.array([1])).tolist() == [1.25]
    assert class_score(outputs.at[..., 1].add(-9), jnp.array([1])).tolist() == [1.125 - 9]


def test_scaled_maps_keep_their_signs():
    found = scaled(np.array([[[1.0, -4.0]], [[0.0, 0.0]]], np.float32), (1, 2))
    np.testing.assert_allclose(found, [[[0.25, -1.0]], [[0.0, 0.0]]])


def test_the_default_layer_is_the_last_with_places(net, images):
    assert map_layer(None, net.layers(images)).name == "features"
    assert attention(net, images).layer == "features"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"layer": "convv"}, "unknown layer 'convv'; did you mean 'conv'"),
        ({"layer": "head"}, "layer head has no places: it is 3 for an example; .*features"),
        ({"classes": "d"}, "unknown class 'd'.* Valid: a, b, c"),
        ({"classes": 3}, "class 3 is none of the 3 places 0 to 2"),
        ({"method": "grad-cam"}, "unknown method 'grad-cam'; did you mean 'grad_cam'"),
    ],
)
def test_what_is_unknown_is_refused(net, images, asked, message):
    with pytest.raises(UserError, match=message):
        attention(net, images, **asked)


def test_a_square_larger_than_the_picture_is_refused(net, images):
    with pytest.raises(UserError, match="side=7 of the square must be from 1 to 6"):
        occlusion(net, images, side=7)
