"""Adversaries: several losses in one step, each lowered by its own part of the parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from cnn_jax import UserError
from cnn_jax.batch import Batch
from cnn_jax.optimisation.in_turn import in_turn
from cnn_jax.state import init_state
from cnn_jax.tasks import Turn
from cnn_jax.training.step import make_train_step


class Pair(nn.Module):
    """A maker of numbers from noise, and a critic who tells them from real ones."""

    @nn.compact
    def __call__(self, inputs, train):
        made = nn.Dense(1, name="maker")(inputs["noise"])
        critic = nn.Dense(1, name="critic")
        return {
            "real": critic(_seen(inputs["real"]))[:, 0],
            "made": critic(_seen(made))[:, 0],
            "numbers": made,
        }


def _seen(x):
    return jnp.concatenate([x, x * x], 1)


def critics_loss(apply, batch, key):
    told = apply(batch.inputs)
    return jax.nn.softplus(-told["real"]) + jax.nn.softplus(told["made"]), {}


def makers_loss(apply, batch, key):
    told = apply(batch.inputs)
    return jax.nn.softplus(-told["made"]), {"level": told["numbers"][:, 0]}


TURNS = (Turn("critic", "^critic/", critics_loss), Turn("maker", "^maker/", makers_loss))
EXAMPLE = {name: jax.ShapeDtypeStruct((1,), jnp.float32) for name in ("noise", "real")}


def batch_of(step, size=64):
    random = np.random.default_rng(step)
    noise, real = random.normal(size=(2, size, 1)).astype(np.float32)
    return Batch({"noise": noise, "real": 3 + 0.5 * real}, {}, np.ones(size, np.float32))


def begun(optimizer, *, average=False, **options):
    whole = in_turn(optimizer, [turn.moves for turn in TURNS])
    state = init_state(0, Pair(), whole, EXAMPLE, average=average)
    return state, jax.jit(make_train_step(Pair(), TURNS, whole, **options))


def test_each_moves_its_part_and_sees_what_the_one_before_moved():
    state, step = begun(optax.sgd(0.5))
    batch = batch_of(0)
    after, metrics = step(state, batch)

    def mean_of(loss):
        def value(params):
            return jnp.mean(loss(lambda x: Pair().apply({"params": params}, x, True), batch, 0)[0])

        return jax.value_and_grad(value)

    def stepped(params, grads, part):
        moved = jax.tree.map(lambda p, g: p - 0.5 * g, params[part], grads[part])
        return {**params, part: moved}

    params = state.params
    critic, grads = mean_of(critics_loss)(params)
    params = stepped(params, grads, "critic")
    maker, grads = mean_of(makers_loss)(params)
    params = stepped(params, grads, "maker")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), after.params, params)
    assert float(metrics["critic"]) == pytest.approx(float(critic), rel=1e-6)
    assert float(metrics["maker"]) == pytest.approx(float(maker), rel=1e-6)
    assert float(metrics["loss"]) == pytest.approx(float(critic + maker), rel=1e-6)
    assert "level" in metrics and all(metrics["grad_norms"] > 0)


def test_the_state_of_an_optimizer_is_that_of_its_part_alone():
    """Clipped by the norm of the part's gradients, and counted once a step."""
    state, step = begun(optax.chain(optax.clip_by_global_norm(1e-3), optax.adam(0.1)))
    state, metrics = step(state, batch_of(0))
    assert float(metrics["update_norm"]) > 0
    for part, inner in zip(("critic", "maker"), state.opt_state, strict=True):
        adam = inner.inner_state[1][0]
        assert int(adam.count) == 1
        assert optax.tree.norm(adam.mu) == pytest.approx(0.1 * 1e-3, rel=1e-4)
        assert len(jax.tree.leaves(adam.mu)) == len(jax.tree.leaves(state.params[part]))


def test_parts_of_a_batch_give_the_gradient_of_the_whole():
    whole, split = begun(optax.sgd(0.5)), begun(optax.sgd(0.5), accumulate=4)
    batch = batch_of(0)
    one, other = whole[1](whole[0], batch)[0], split[1](split[0], batch)[0]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), one.params, other.params)


def test_a_pair_learns_where_the_numbers_lie():
    state, step = begun(optax.adam(0.01, b1=0.5), ema=0.99, average=True)
    assert abs(float(state.params["maker"]["bias"][0])) < 1e-6
    for index in range(600):
        state, _ = step(state, batch_of(index))
    assert float(state.averages["params"]["maker"]["bias"][0]) == pytest.approx(3, abs=0.3)


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (["^critic/", "^makr/"], "moves '\\^makr/', which finds no parameter"),
        (["critic", "^c", "maker"], "critic/bias"),
    ],
)
def test_parts_that_cannot_be_are_refused(patterns, message):
    with pytest.raises(UserError, match=message):
        init_state(0, Pair(), in_turn(optax.sgd(0.1), patterns), EXAMPLE)
