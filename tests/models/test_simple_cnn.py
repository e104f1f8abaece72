import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from cnn_jax import models


def shapes(x, **options):
    module = models.create("simple_cnn", 10, **options)
    variables = jax.eval_shape(module.init, jax.random.key(0), x)
    return {k: v.shape for k, v in traverse_util.flatten_dict(variables, sep="/").items()}


def test_parameters():
    assert shapes(jnp.zeros((1, 28, 28, 1))) == {
        "params/conv1/kernel": (3, 3, 1, 32),
        "params/conv1/bias": (32,),
        "params/conv2/kernel": (3, 3, 32, 64),
        "params/conv2/bias": (64,),
        "params/dense1/kernel": (7 * 7 * 64, 256),
        "params/dense1/bias": (256,),
        "params/dense2/kernel": (256, 128),
        "params/dense2/bias": (128,),
        "params/head/kernel": (128, 10),
        "params/head/bias": (10,),
    }


def test_depth_normalisation_and_no_hidden_layer():
    assert shapes(
        jnp.zeros((1, 9, 8, 3)), widths=(4,), convs_per_stage=2, norm="batch", hidden=()
    ) == {
        "params/conv1_1/kernel": (3, 3, 3, 4),
        "params/norm1_1/scale": (4,),
        "params/norm1_1/bias": (4,),
        "params/conv1_2/kernel": (3, 3, 4, 4),
        "params/norm1_2/scale": (4,),
        "params/norm1_2/bias": (4,),
        "params/head/kernel": (4 * 4 * 4, 10),
        "params/head/bias": (10,),
        "batch_stats/norm1_1/mean": (4,),
        "batch_stats/norm1_1/var": (4,),
        "batch_stats/norm1_2/mean": (4,),
        "batch_stats/norm1_2/var": (4,),
    }


def test_batch_statistics_move_in_training_only(init):
    x = 3 + jax.random.normal(jax.random.key(0), (16, 8, 8, 1))
    for dtype in ("float32", "bfloat16"):
        module = models.create("simple_cnn", 10, norm="batch", widths=(4,), dtype=dtype)
        variables = init(module, x)
        _, trained = module.apply(variables, x, train=True, mutable=["batch_stats"])
        mean = models.activations(module, variables, x, ["conv1"])["conv1"]
        mean = mean.astype(jnp.float32).mean((0, 1, 2))
        np.testing.assert_allclose(trained["batch_stats"]["norm1"]["mean"], 0.1 * mean, rtol=1e-2)
        assert trained["batch_stats"]["norm1"]["mean"].dtype == jnp.float32
        _, still = module.apply(variables, x, mutable=["batch_stats"])
        for name, value in still["batch_stats"]["norm1"].items():
            np.testing.assert_array_equal(value, variables["batch_stats"]["norm1"][name])


def test_normalised_activations_have_mean_zero_and_variance_one_before_the_relu(init):
    x = 3 + jax.random.normal(jax.random.key(0), (16, 8, 8, 1))
    module = models.create("simple_cnn", 10, norm="batch", widths=(4,))
    variables = init(module, x)
    _, state = module.apply(
        variables,
        x,
        train=True,
        capture_intermediates=True,
        mutable=["intermediates", "batch_stats"],
    )
    normal = state["intermediates"]["norm1"]["__call__"][0]
    np.testing.assert_allclose(normal.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(normal.var((0, 1, 2)), 1, rtol=1e-3)


def test_the_network_by_hand():
    module = models.create("simple_cnn", 2, widths=(1,), kernel_size=1, hidden=())
    params = {
        "conv1": {"kernel": jnp.full((1, 1, 1, 1), 2.0), "bias": jnp.array([-1.0])},
        "head": {"kernel": jnp.array([[1.0, -10.0]]), "bias": jnp.array([0.0, 0.5])},
    }
    x = jnp.array([[0.0, 1.0], [3.0, -7.0]])[None, :, :, None]
    # 2x - 1 = -1, 1, 5, -15; ReLU and pooling leave 5.
    assert module.apply({"params": params}, x).tolist() == [[5.0, -49.5]]
