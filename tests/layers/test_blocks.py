import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from cnn_jax.layers.blocks import (
    SqueezeExcite,
    StochasticDepth,
    global_mean,
    local_response_norm,
    normalise,
)


class Norm(nn.Module):
    kind: str = "batch"
    dtype: str = "float32"
    momentum: float = 0.9
    zero_scale: bool = False

    @nn.compact
    def __call__(self, x, train):
        return normalise(
            x,
            self.kind,
            train=train,
            dtype=self.dtype,
            name="norm",
            momentum=self.momentum,
            zero_scale=self.zero_scale,
        )


def init(module, x):
    return module.init(jax.random.key(0), x, train=False)


def test_batch_normalisation_by_hand():
    x = jnp.array([1.0, 3.0]).reshape(2, 1, 1, 1)
    variables = init(Norm(), x)
    y, updated = Norm().apply(variables, x, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(y.ravel(), np.array([-1, 1]) / np.sqrt(1 + 1e-5), rtol=1e-6)
    assert float(updated["batch_stats"]["norm"]["mean"][0]) == pytest.approx(0.2)
    assert float(updated["batch_stats"]["norm"]["var"][0]) == pytest.approx(0.9 + 0.1)
    y, updated = Norm().apply(variables, x, train=False, mutable=["batch_stats"])
    np.testing.assert_allclose(y, x / np.sqrt(1 + 1e-5), rtol=1e-6)
    assert jax.tree.all(
        jax.tree.map(jnp.array_equal, updated["batch_stats"], variables["batch_stats"])
    )


def test_statistics_of_bfloat16_batches_are_float32_exact():
    # A mean of 257 has no bfloat16; summing in bfloat16 would give 256 or 258.
    x = jnp.tile(jnp.array([256.0, 258.0]), 64).reshape(128, 1, 1, 1).astype(jnp.bfloat16)
    module = Norm(dtype="bfloat16", momentum=0.0)
    y, updated = module.apply(init(module, x), x, train=True, mutable=["batch_stats"])
    assert y.dtype == jnp.bfloat16
    assert updated["batch_stats"]["norm"]["mean"].dtype == jnp.float32
    assert float(updated["batch_stats"]["norm"]["mean"][0]) == 257.0


def test_a_zero_scale_lets_nothing_out_at_first():
    x = jax.random.normal(jax.random.key(0), (2, 3, 3, 4))
    module = Norm(zero_scale=True)
    assert not module.apply(init(module, x), x, train=False).any()


@pytest.mark.parametrize(("kind", "axes"), [("layer", (3,)), ("group", (1, 2, 3))])
def test_norms_of_single_examples(kind, axes):
    # Of 3 maps groups of 1 are made, so x of one map is one group.
    x = jax.random.normal(jax.random.key(0), (2, 4, 4, 1 if kind == "group" else 5)) * 3 + 1
    module = Norm(kind)
    variables = init(module, x)
    assert "batch_stats" not in variables
    wanted = (x - x.mean(axes, keepdims=True)) / jnp.sqrt(x.var(axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(module.apply(variables, x, train=True), wanted, rtol=1e-4, atol=1e-5)


def test_no_norm_changes_nothing():
    x = jnp.ones((1, 2, 2, 3))
    assert init(Norm("none"), x) == {}
    assert Norm("none").apply({}, x, train=True) is x


def test_squeeze_and_excitation_by_hand():
    module = SqueezeExcite(1, gate=nn.hard_sigmoid, kernel_init="ones")
    x = jnp.array([[0.0, 2.0], [1.0, 1.0]]).reshape(1, 2, 2, 1)
    # The mean 1 goes through both convolutions as 1, and the gate is (1 + 3)/6.
    y = module.apply(module.init(jax.random.key(0), x), x)
    np.testing.assert_allclose(y, x * 4 / 6, rtol=1e-6)


def test_stochastic_depth_leaves_out_whole_examples_and_keeps_the_mean():
    x = jnp.ones((4000, 2))
    y = StochasticDepth(0.25).apply({}, x, train=True, rngs={"dropout": jax.random.key(0)})
    assert set(np.unique(y).tolist()) == {0.0, float(jnp.float32(1 / 0.75))}
    assert (y[:, 0] == y[:, 1]).all()
    assert float(y.mean()) == pytest.approx(1, abs=0.03)
    assert StochasticDepth(0.25).apply({}, x, train=False) is x


def test_global_mean_sums_in_float32():
    x = jnp.full((1, 64, 64, 1), 1.0078125, jnp.bfloat16)
    assert global_mean(x).shape == (1, 1)
    assert global_mean(x, keep_axes=True).shape == (1, 1, 1, 1)
    assert float(global_mean(x)[0, 0]) == 1.0078125


def test_local_response_norm_by_hand():
    x = jnp.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3)
    y = local_response_norm(x, size=3, alpha=3.0, beta=1.0, k=1.0)
    np.testing.assert_allclose(y.ravel(), [1 / 6, 2 / 15, 3 / 14], rtol=1e-6)
