import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_task
from flax import linen as nn

from cnn_jax.augment.views import WEIGHTS, averaged, views_of
from cnn_jax.batch import Batch
from cnn_jax.training.step import make_eval_step

IMAGE = jnp.arange(9.0).reshape(1, 3, 3, 1)
"""
0 1 2
3 4 5
6 7 8
"""


def test_six_views_by_hand():
    found = views_of(IMAGE, "six")[0, ..., 0].tolist()
    # Reflected at the outermost pixels, so that these come once.
    assert found == [
        [[0, 1, 2], [3, 4, 5], [6, 7, 8]],
        [[2, 1, 0], [5, 4, 3], [8, 7, 6]],
        [[4, 3, 4], [1, 0, 1], [4, 3, 4]],
        [[4, 3, 4], [1, 0, 1], [4, 3, 4]],
        [[4, 5, 4], [7, 8, 7], [4, 5, 4]],
        [[4, 5, 4], [7, 8, 7], [4, 5, 4]],
    ]


def test_of_a_larger_image_the_mirror_images_of_the_shifted_differ():
    image = jnp.arange(16.0).reshape(1, 4, 4, 1)
    found = views_of(image, "six")[0, ..., 0]
    np.testing.assert_array_equal(found[2, 1], [1, 0, 1, 2])
    np.testing.assert_array_equal(found[3, 1], [2, 1, 0, 1])
    np.testing.assert_array_equal(found[4, 2], [13, 14, 15, 14])
    np.testing.assert_array_equal(found[5, 2], [14, 15, 14, 13])


@pytest.mark.parametrize("which", ["none", "mirror", "six"])
def test_the_first_views_are_those_of_fewer(which):
    images = jax.random.normal(jax.random.key(0), (2, 4, 5, 3))
    found = views_of(images, which)
    assert found.shape == (2, len(WEIGHTS[which]), 4, 5, 3)
    np.testing.assert_array_equal(found, views_of(images, "six")[:, : found.shape[1]])
    assert sum(WEIGHTS[which]) == 1


def test_the_mean_is_weighted_by_hand():
    logits = jnp.array([[[8.0], [16.0], [24.0], [32.0], [40.0], [48.0]]])
    # (8 + 16) / 4 + (24 + 32 + 40 + 48) / 8
    assert averaged(logits, "six").tolist() == [[24.0]]
    assert averaged(logits[:, :2], "mirror").tolist() == [[12.0]]


class Corner(nn.Module):
    """Logits that are the upper left pixel and nought."""

    @nn.compact
    def __call__(self, x, *, train=False):
        return jnp.stack([x[:, 0, 0, 0], jnp.zeros(len(x))], axis=1)


@pytest.mark.parametrize(
    ("views", "corner"), [("none", 0.0), ("mirror", 1.0), ("six", (0 + 2) / 4 + 4 * 4 / 8)]
)
def test_evaluation_takes_the_mean_of_logits(views, corner):
    eval_step = make_eval_step(Corner(), tiny_task.task(views=views))
    images = jnp.concatenate([IMAGE, 10 * IMAGE])
    batch = Batch(images, jnp.array([[1.0, 0.0], [1.0, 0.0]]), jnp.ones(2))
    nll = np.log1p(np.exp(-corner)) + np.log1p(np.exp(-10 * corner))
    assert float(eval_step({}, batch)[0]["nll"]) == pytest.approx(nll, rel=1e-5)
