import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnn_jax import Optimizer, UserError
from cnn_jax.training.optimizers import decay_mask, make_optimizer, optimizers
from cnn_jax.training.paths import parameter_paths

PARAMS = {
    "conv": {"kernel": jnp.full((3, 3, 2, 4), 0.3), "bias": jnp.full(4, 0.2)},
    "dense": {"kernel": jnp.full((6, 3), 0.1)},
}
CONSTANT = optax.constant_schedule(0.1)
ZERO = jax.tree.map(jnp.zeros_like, PARAMS)


def updates(config, grads=ZERO):
    optimizer = make_optimizer(config, CONSTANT)
    return optimizer.update(grads, optimizer.init(PARAMS), PARAMS)[0]


def test_the_common_ones_are_there():
    wanted = {"sgd", "adam", "adamw", "lamb", "lion", "muon", "rmsprop", "lars", "adagrad"}
    assert wanted <= optimizers().keys()


@pytest.mark.parametrize("name", sorted(optimizers()))
def test_each_lowers_a_quadratic(name):
    def loss(params):
        return sum(jnp.sum((leaf - 1.0) ** 2) for leaf in jax.tree.leaves(params))

    # Those that find their own step size begin with next to none, or are given 1.
    rate = 1.0 if name in {"dog", "dowg", "prodigy", "dadapt_adamw", "cocob"} else 0.01
    optimizer = make_optimizer(Optimizer(name), optax.constant_schedule(rate))

    @jax.jit
    def step(params, state):
        found, state = optimizer.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, found), state

    params, state = PARAMS, optimizer.init(PARAMS)
    for _ in range(30):
        params, state = step(params, state)
    assert float(loss(params)) < float(loss(PARAMS))


def test_sgd_with_nesterov_momentum_by_hand():
    ones = jax.tree.map(jnp.ones_like, PARAMS)
    config = Optimizer("sgd", options={"momentum": 0.9, "nesterov": True})
    assert updates(config, ones)["conv"]["bias"].tolist() == pytest.approx([-0.1 * 1.9] * 4)


def test_decay_of_sgd_is_added_to_the_gradient_of_matching_paths_only():
    found = updates(Optimizer("sgd", weight_decay=0.5))
    np.testing.assert_allclose(found["conv"]["kernel"], -0.1 * 0.5 * 0.3, rtol=1e-6)
    np.testing.assert_allclose(found["dense"]["kernel"], -0.1 * 0.5 * 0.1, rtol=1e-6)
    assert not np.any(found["conv"]["bias"])


@pytest.mark.parametrize("name", ["adamw", "lion"])
def test_decay_of_adamw_is_decoupled(name):
    # At zero gradient nothing but the decay moves a parameter.
    found = updates(Optimizer(name, weight_decay=0.5, decay="^dense"))
    np.testing.assert_allclose(found["dense"]["kernel"], -0.1 * 0.5 * 0.1, rtol=1e-6)
    assert not np.any(found["conv"]["kernel"])


def test_adamw_without_decay_does_not_decay():
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(updates(Optimizer("adamw"))))


def test_clipping_scales_to_the_norm():
    ones = jax.tree.map(jnp.ones_like, PARAMS)
    count = sum(leaf.size for leaf in jax.tree.leaves(PARAMS))
    found = updates(Optimizer("sgd", clip_norm=2.0), ones)
    assert float(found["conv"]["bias"][0]) == pytest.approx(-0.1 * 2 / count**0.5, rel=1e-5)


def test_muon_makes_the_update_of_a_convolution_orthogonal():
    grads = jax.tree.map(lambda leaf: jax.random.normal(jax.random.key(1), leaf.shape), PARAMS)
    update = updates(Optimizer("muon"), grads)["conv"]["kernel"].reshape(-1, 4)
    singular = np.linalg.svd(update, compute_uv=False)
    assert singular.max() / singular.min() < 2  # of a random matrix more than 1.5 times as much
    plain = np.linalg.svd(grads["conv"]["kernel"].reshape(-1, 4), compute_uv=False)
    assert plain.max() / plain.min() > singular.max() / singular.min()


def test_paths():
    assert parameter_paths(PARAMS) == ["conv/bias", "conv/kernel", "dense/kernel"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Optimizer("adamm"), "unknown --optimizer.name 'adamm'; did you mean 'adam'"),
        (Optimizer("sgd", options={"momentun": 1}), "did you mean 'momentum'"),
        (Optimizer("sgd", options={"learning_rate": 1}), "unknown option"),
        (Optimizer("sgd", learning_rate=-1), "--optimizer.learning-rate -1"),
        (Optimizer("sgd", weight_decay=float("nan")), "--optimizer.weight-decay nan"),
        (Optimizer("sgd", clip_norm=0), "--optimizer.clip-norm 0"),
        (Optimizer("sgd", options={"momentum": "high"}), "sgd does not take momentum='high'"),
        (Optimizer("adam", options={"b1": None}), "adam does not take b1=None"),
        (Optimizer("adamw", weight_decay=1, options={"weight_decay": 2}), "is given twice"),
        (Optimizer("prodigy", weight_decay=0.1), "--optimizer.options weight_decay="),
        (Optimizer("sgd", weight_decay=0.1, decay="("), "no regular expression"),
        (Optimizer("sgd", weight_decay=0.1, decay="weights$"), "finds no parameter; .*conv/bias"),
    ],
)
def test_what_is_wrong_is_named(config, message):
    with pytest.raises(UserError, match=message):
        make_optimizer(config, CONSTANT).init(PARAMS)


def test_a_pattern_is_searched_in_the_whole_path():
    assert decay_mask("conv/.*bias")(PARAMS) == {
        "conv": {"kernel": False, "bias": True},
        "dense": {"kernel": False},
    }
