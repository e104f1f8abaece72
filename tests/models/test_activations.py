import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from cnn_jax import models
from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Dense, tap


class Block(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = Dense(3, name="dense1")(x)
        return tap(self, "doubled", 2 * x)


class Shared(nn.Module):
    """A block in a block, and a layer that is called twice."""

    @nn.compact
    def __call__(self, x, *, train=False):
        x = Block(name="block1")(x)
        layer = Dense(3, name="shared")
        return layer(layer(x))


@pytest.fixture(scope="module")
def shared(init):
    x = jax.random.normal(jax.random.key(0), (2, 4, 4, 3))
    module = Shared()
    return module, init(module, x), x


def test_names_are_paths_in_the_order_of_computation(shared):
    module, _, _ = shared
    assert models.activation_names(module, (4, 4, 3)) == [
        "block1/dense1",
        "block1/doubled",
        "block1",
        "shared",
        "shared:2",
        "logits",
    ]


def test_values(shared):
    module, variables, x = shared
    found = models.activations(module, variables, x)
    params = variables["params"]
    dense = Dense(3)
    one = dense.apply({"params": params["block1"]["dense1"]}, x)
    np.testing.assert_array_equal(found["block1/dense1"], one)
    np.testing.assert_array_equal(found["block1/doubled"], 2 * one)
    np.testing.assert_array_equal(found["block1"], 2 * one)
    np.testing.assert_array_equal(
        found["shared"], dense.apply({"params": params["shared"]}, 2 * one)
    )
    np.testing.assert_array_equal(found["shared:2"], found["logits"])
    assert jnp.any(found["shared"] != found["shared:2"])


def test_chosen_names_come_in_the_asked_order(shared):
    module, variables, x = shared
    everything = models.activations(module, variables, x)
    names = ["logits", "shared:2", "block1/doubled", "block1/dense1"]
    chosen = models.activations(module, variables, x, names)
    assert list(chosen) == names
    for name in names:
        np.testing.assert_array_equal(chosen[name], everything[name])
    jitted = jax.jit(lambda v, x: models.activations(module, v, x, names))(variables, x)
    np.testing.assert_allclose(jitted["block1/doubled"], chosen["block1/doubled"], rtol=1e-5)
    assert models.activations(module, variables, x, []) == {}


def test_a_misspelt_name_names_the_nearest(init):
    module = models.create("lenet5_relu", 10)
    x = jnp.zeros((1, 32, 32, 1))
    variables = init(module, x)
    with pytest.raises(UserError, match="unknown activation 'polo2'; did you mean 'pool2'"):
        models.activations(module, variables, x, ["conv1", "polo2"])


def test_points_after_relu_and_pooling(init):
    module = models.create("lenet5_relu", 10)
    x = jax.random.normal(jax.random.key(0), (2, 32, 32, 1))
    found = models.activations(module, init(module, x), x)
    np.testing.assert_array_equal(found["relu1"], jnp.maximum(found["conv1"], 0))
    np.testing.assert_array_equal(found["pool1"], nn.max_pool(found["relu1"], (2, 2), (2, 2)))
    assert list(found) == models.activation_names(module, (32, 32, 1))


def test_taps_add_nothing_to_a_program_that_does_not_ask(shared):
    module, variables, x = shared
    plain = jax.make_jaxpr(module.apply)(variables, x)
    with_tap = [equation.primitive.name for equation in plain.eqns].count("mul")
    assert with_tap == 1  # the doubling itself
    assert len(plain.out_avals) == 1
    assert set(variables) == {"params"}
