import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnn_jax import Optimizer, UserError
from cnn_jax.optimisation.max_norm import max_norm
from cnn_jax.optimisation.optimizers import make_optimizer
from cnn_jax.optimisation.parameter_rules import check_factors

PARAMS = {
    "conv": {"kernel": jnp.full((2, 1, 3, 2), 2.0)},
    "head": {"kernel": jnp.array([[3.0, 0.1], [4.0, 0.2]]), "bias": jnp.array([9.0, 9.0])},
}


def test_weights_of_an_output_that_are_too_long_are_scaled_down_and_others_left():
    transform = max_norm(("^head/kernel$=3", "^conv/=2"))
    zeros = jax.tree.map(jnp.zeros_like, PARAMS)
    updates, _ = transform.update(zeros, transform.init(PARAMS), PARAMS)
    found = optax.apply_updates(PARAMS, updates)
    np.testing.assert_allclose(found["head"]["kernel"], [[1.8, 0.1], [2.4, 0.2]], rtol=1e-6)
    np.testing.assert_array_equal(found["head"]["kernel"][:, 1], PARAMS["head"]["kernel"][:, 1])
    np.testing.assert_array_equal(found["head"]["bias"], PARAMS["head"]["bias"])
    norms = np.linalg.norm(found["conv"]["kernel"].reshape(-1, 2), axis=0)
    np.testing.assert_allclose(norms, 2, rtol=1e-6)


@pytest.mark.parametrize("freeze", [None, "^conv/"])
def test_after_each_update_no_norm_is_greater(freeze):
    config = Optimizer(
        "adadelta", options={"rho": 0.95, "eps": 1e-6}, max_norm=("^head/kernel$=3",)
    )
    check_factors(config, PARAMS)
    optimizer = make_optimizer(config, optax.constant_schedule(1.0), freeze)
    params, state = PARAMS, optimizer.init(PARAMS)
    update = jax.jit(optimizer.update)
    for step in range(30):
        gradient = {
            outer: {inner: -leaf * (1 + step % 3) for inner, leaf in each.items()}
            for outer, each in params.items()
        }
        updates, state = update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        norms = np.linalg.norm(params["head"]["kernel"], axis=0)
        assert (norms <= 3 * (1 + 1e-6)).all()
    assert norms[0] > 2.999 and params["head"]["bias"][0] > 9
    frozen = np.array_equal(params["conv"]["kernel"], PARAMS["conv"]["kernel"])
    assert frozen == (freeze is not None)


def test_patterns_and_norms_that_are_none():
    with pytest.raises(UserError, match="above zero"):
        max_norm(("head=0",))
    with pytest.raises(UserError, match=r"--optimizer\.max-norm 'head'"):
        max_norm(("head",))
    with pytest.raises(UserError, match=r"--optimizer.max-norm '\^haed=3' finds no parameter"):
        check_factors(Optimizer(max_norm=("^haed=3",)), PARAMS)
