import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny_task
from flax import linen as nn

from cnn_jax import Lookahead, UserError
from cnn_jax.batch import Batch
from cnn_jax.optimisation.lookahead import make_lookahead
from cnn_jax.state import init_state, with_variables
from cnn_jax.training.step import make_train_step


def after(config, done, now, slow, total):
    set_back = make_lookahead(config, total)
    now, slow = set_back(jnp.int32(done), {"w": jnp.float32(now)}, {"w": jnp.float32(slow)})
    return float(now["w"]), float(slow["w"])


def test_steps_by_hand():
    config = Lookahead(every=5, decay=0.8, power=3)
    # Not due: nothing moves.
    assert after(config, 4, 3.0, 1.0, 20) == (3.0, 1.0)
    # d = 0.8 (10/20)^3 = 0.1: slow <- 0.1 * 1 + 0.9 * 3.
    assert after(config, 10, 3.0, 1.0, 20) == pytest.approx((2.8, 2.8), rel=1e-6)
    # The last step is due.
    assert after(config, 20, 3.0, 1.0, 20) == pytest.approx((1.4, 1.4), rel=1e-6)
    # The last step is not due: the copy stays, and is what is left.
    assert after(config, 21, 3.0, 1.0, 21) == (1.0, 1.0)


def test_without_a_power_the_decay_is_constant():
    config = Lookahead(every=2, decay=0.5)
    assert after(config, 2, 3.0, 1.0, 100) == after(config, 98, 3.0, 1.0, 100) == (2.0, 2.0)


def test_what_both_agree_on_stays_to_the_bit():
    config, value = Lookahead(every=1, decay=0.7, power=1), np.float32(0.1)
    assert after(config, 3, value, value, 10) == (float(value), float(value))


def test_no_lookahead():
    assert make_lookahead(Lookahead(), 10) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"every": 0}, "--lookahead.every 0"),
        ({"every": 11}, "--lookahead.every 11 is more than the 10 steps"),
        ({"every": 5, "decay": 1.0}, "--lookahead.decay 1.0"),
        ({"every": 5, "decay": -0.1}, "--lookahead.decay -0.1"),
        ({"every": 5, "power": -1}, "--lookahead.power -1"),
        ({"every": 5, "power": float("nan")}, "--lookahead.power nan"),
    ],
)
def test_values_out_of_range(options, said):
    with pytest.raises(UserError, match=said):
        make_lookahead(Lookahead(**options), 10)


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, *, train=False):
        x = nn.BatchNorm(use_running_average=not train, momentum=0.5, name="norm")(x)
        return nn.Dense(3, name="dense")(x.reshape(len(x), -1))


def close(found, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found, expected)


def test_a_step_sets_parameters_and_batch_statistics_back():
    optimizer = optax.sgd(0.5)
    images = jax.random.normal(jax.random.key(0), (8, 2, 2, 1)) + 1
    batch = Batch(images, jnp.eye(3)[jnp.arange(8) % 3], jnp.ones(8))
    loss = tiny_task.CROSS_ENTROPY
    plain = jax.jit(make_train_step(Net(), loss, optimizer))
    set_back = make_lookahead(Lookahead(every=2, decay=0.5), 5)
    step = jax.jit(make_train_step(Net(), loss, optimizer, lookahead=set_back, ema=0.75))
    first = init_state(
        jnp.uint32(0),
        Net(),
        optimizer,
        jax.ShapeDtypeStruct((2, 2, 1), jnp.float32),
        average=True,
        slow=True,
    )
    close(first.slow, first.variables)

    state, _ = step(first, batch)
    expected, _ = plain(first.replace(averages=None, slow=None), batch)
    close(state.variables, expected.variables)
    close(state.slow, first.variables)
    assert state.evaluated is state.averages
    assert state.replace(averages=None).evaluated["params"] is state.params

    before = state
    state, _ = step(state, batch)
    expected, _ = plain(before.replace(averages=None, slow=None), batch)
    half = jax.tree.map(lambda old, now: (old + now) / 2, first.variables, expected.variables)
    close(state.variables, half)
    close(state.slow, half)
    assert not np.array_equal(
        half["batch_stats"]["norm"]["mean"], first.batch_stats["norm"]["mean"]
    )
    # The averages are those of what training goes on from.
    averages = jax.tree.map(lambda old, now: (2 * old + 9 * now) / 11, before.averages, half)
    close(state.averages, averages)

    for _ in range(3):
        slow = state.slow
        state, _ = step(state, batch)
    close(state.variables, slow)  # that of the fourth step, after the fifth and last


def test_other_variables_are_the_slow_copy_too():
    optimizer = optax.sgd(0.5)
    state = init_state(
        jnp.uint32(0), Net(), optimizer, jax.ShapeDtypeStruct((2, 2, 1), jnp.float32), slow=True
    )
    twice = jax.tree.map(lambda leaf: 2 * leaf, state.variables)
    close(with_variables(state, twice, optimizer).slow, twice)
