import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_checks import (
    activations,
    assert_bfloat16,
    assert_trains,
    count,
    images,
    quick_shapes,
    stage_shapes,
    variables_of,
)

from cnn_jax import models
from cnn_jax.errors import UserError
from cnn_jax.models import nin

TINY = {"widths": ((8, 6, 6), (8, 6, 6), (8, 8))}


def test_parameter_count():
    # By hand: 14,592 + 30,880 + 15,456, 460,992 + 2 * 37,056, 331,968 + 37,056 + 1,930.
    assert count("nin") == 966_986


def test_shapes():
    assert stage_shapes("nin", 32, 32) == {
        "stage1": (32, 32, 96),
        "stage2": (16, 16, 192),
        "stage3": (8, 8, 192),
        "features": (8, 8, 192),
        "embedding": (192,),
    }
    assert stage_shapes("nin", 4, 45)["features"] == (1, 11, 192)
    with pytest.raises(UserError, match="at least 4x4"):
        stage_shapes("nin", 3, 3)


def test_it_trains():
    assert_trains("nin", (12, 12, 3), dropout=0.1, **TINY)


@pytest.mark.slow
def test_bfloat16():
    assert_bfloat16("nin", (12, 12, 3), **TINY)


def test_logits_are_means_of_the_heads_positive_parts():
    module, variables, x = variables_of("nin", (12, 12, 3), **TINY)
    found = activations(module, variables, x, ["head", "logits"])
    np.testing.assert_allclose(
        found["logits"], jnp.maximum(found["head"], 0).mean((1, 2)), rtol=1e-5
    )
    assert (found["head"] < 0).any()


def test_a_layer_is_a_perceptron_of_each_neighbourhood():
    layer = nin.MLPConv((2, 1), 3)
    kernel = jnp.ones((3, 3, 1, 2)) * jnp.array([1.0, -1.0])
    params = {
        "conv1": {"conv": {"kernel": kernel, "bias": jnp.array([-8.0, 8.0])}},
        "conv2": {"conv": {"kernel": jnp.ones((1, 1, 2, 1)), "bias": jnp.array([0.5])}},
    }
    # Sums of what lies in 3x3: 9 in the middle, 6 at an edge, 4 in a corner.
    y = layer.apply({"params": params}, jnp.ones((1, 3, 3, 1)))
    assert y[0, :, :, 0].tolist() == [[4.5, 2.5, 4.5], [2.5, 1.5, 2.5], [4.5, 2.5, 4.5]]


def test_poolings():
    """The first takes the largest value, the second the mean of what an image holds."""
    module, variables, x = variables_of("nin", (12, 12, 3), **TINY)
    names = ["stage1", "dropout1", "stage2", "dropout2"]
    found = activations(module, variables, x, names)
    first, last = found["stage1"], found["stage2"]
    assert found["dropout1"].shape[1:3] == (6, 6) and found["dropout2"].shape[1:3] == (3, 3)
    np.testing.assert_array_equal(found["dropout1"][:, 5, 5], first[:, 10:, 10:].max((1, 2)))
    np.testing.assert_allclose(found["dropout2"][:, 2, 2], last[:, 4:, 4:].mean((1, 2)), rtol=1e-5)


def test_normalisation_takes_the_biases_place():
    variables = quick_shapes(models.create("nin", 3, norm="batch", **TINY), (12, 12, 3))
    assert set(variables["params"]["mlpconv1"]["conv1"]["conv"]) == {"kernel"}
    assert set(variables["batch_stats"]) == {"mlpconv1", "mlpconv2", "mlpconv3"}


def test_initial_deviation(init):
    params = init(models.create("nin", 3, **TINY), images((12, 12, 3)))["params"]
    kernels = [k for k in jax.tree.leaves(params) if k.ndim == 4]
    values = np.concatenate([np.ravel(k) for k in kernels])
    assert values.std() == pytest.approx(0.05, rel=0.05)


@pytest.mark.parametrize(
    ("widths", "match"), [(((), (8,), (8,)), "convolution"), (((8,), (0,), (8,)), "above")]
)
def test_widths_are_checked(widths, match):
    with pytest.raises(UserError, match=match):
        models.create("nin", 3, widths=widths)
