import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnn_jax import Optimizer, UserError
from cnn_jax.optimisation.optimizers import (
    decay_line,
    decay_mask,
    make_optimizer,
    optimizers,
    update_lines,
)
from cnn_jax.optimisation.parameter_rules import check_factors
from cnn_jax.optimisation.paths import parameter_paths

PARAMS = {
    "conv": {"kernel": jnp.full((3, 3, 2, 4), 0.3), "bias": jnp.full(4, 0.2)},
    "dense": {"kernel": jnp.full((6, 3), 0.1)},
}
CONSTANT = optax.constant_schedule(0.1)
ZERO = jax.tree.map(jnp.zeros_like, PARAMS)


def updates(config, grads=ZERO):
    optimizer = make_optimizer(config, CONSTANT)
    # One program: array by array a dozen would be compiled.
    return jax.jit(lambda grads: optimizer.update(grads, optimizer.init(PARAMS), PARAMS)[0])(grads)


def test_the_common_ones_are_there():
    wanted = {"sgd", "adam", "adamw", "lamb", "lion", "muon", "rmsprop", "lars", "adagrad"}
    assert wanted <= optimizers().keys()


@pytest.mark.parametrize("name", sorted(optimizers()))
def test_each_lowers_a_quadratic(name):
    """By at least a tenth in every array, from ones that are all the same distance off."""

    def loss(leaf):
        return jnp.sum((leaf - 1.0) ** 2)

    # Some scale the rate by what is small at first; those that find their own step are given 1.
    rate, count = {"lars": (10.0, 60), "adadelta": (30.0, 60)}.get(name, (0.02, 60))
    if name in {"cocob", "dog", "dowg", "prodigy", "dadapt_adamw"}:
        rate, count = 1.0, 150
    optimizer = make_optimizer(Optimizer(name), optax.constant_schedule(rate))

    def step(_, carry):
        params, state = carry
        grads = jax.grad(lambda p: sum(map(loss, jax.tree.leaves(p))))(params)
        found, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, found), state

    @jax.jit
    def losses():
        params, _ = jax.lax.fori_loop(0, count, step, (PARAMS, optimizer.init(PARAMS)))
        return [list(map(loss, jax.tree.leaves(each))) for each in (PARAMS, params)]

    for before, after in zip(*jax.device_get(losses()), strict=True):
        assert after < 0.9 * before


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


@pytest.mark.parametrize("factors", [(), ("^conv/bias=3", "^dense=0")])
def test_muon_decays_what_it_leaves_to_adam(factors):
    """At zero gradient nothing but the decay moves a parameter; a bias is left to Adam."""
    found = updates(Optimizer("muon", weight_decay=0.5, decay=".", decay_factors=factors))
    times = {"bias": 3 if factors else 1, "dense": 0 if factors else 1}
    np.testing.assert_allclose(found["conv"]["kernel"], -0.1 * 0.5 * 0.3, rtol=1e-6)
    np.testing.assert_allclose(found["conv"]["bias"], -0.1 * 0.5 * 0.2 * times["bias"], rtol=1e-6)
    np.testing.assert_allclose(
        found["dense"]["kernel"], -0.1 * 0.5 * 0.1 * times["dense"], rtol=1e-6
    )
    kernels = updates(Optimizer("muon", weight_decay=0.5))
    assert not np.any(kernels["conv"]["bias"]) and np.all(kernels["conv"]["kernel"])


def test_the_decay_that_muon_leaves_to_adam_follows_the_schedule():
    schedule = optax.linear_schedule(0.1, 0.0, 2)
    optimizer = make_optimizer(Optimizer("muon", weight_decay=0.5, decay="bias"), schedule)
    state = optimizer.init(PARAMS)
    for rate in (0.1, 0.05, 0.0):
        found, state = optimizer.update(ZERO, state, PARAMS)
        np.testing.assert_allclose(found["conv"]["bias"], -rate * 0.5 * 0.2, rtol=1e-6)


def test_a_decay_of_adam_in_muon_that_is_given_twice():
    config = Optimizer("muon", weight_decay=0.5, options={"adam_weight_decay": 0.1}, decay="bias")
    with pytest.raises(UserError, match="of conv/bias is given twice"):
        updates(config)
    found = updates(dataclasses.replace(config, decay="kernel$"))
    np.testing.assert_allclose(found["conv"]["bias"], -0.1 * 0.1 * 0.2, rtol=1e-6)


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


def test_groups_of_their_own_rate_and_decay_by_hand():
    """Two steps of Nesterov's momentum with decay in the gradient, as PyTorch has it."""
    config = Optimizer(
        "sgd",
        options={"momentum": 0.5, "nesterov": True},
        weight_decay=0.2,
        decay=".",
        factors=("bias$=8",),
        decay_factors=("bias$=0.25", "^dense=0"),
    )
    optimizer = make_optimizer(config, CONSTANT)
    params = {"conv": {"kernel": 3.0, "bias": 2.0}, "dense": {"kernel": 1.0}}
    params = jax.tree.map(jnp.float32, params)
    state = optimizer.init(params)
    for grads in ((1.0, 1.0), (-1.0, 0.0)):
        tree = {"conv": {"kernel": grads[0], "bias": grads[1]}, "dense": {"kernel": grads[0]}}
        found, state = optimizer.update(jax.tree.map(jnp.float32, tree), state, params)
        params = optax.apply_updates(params, found)

    def by_hand(value, rate, decay, grads):
        velocity = 0.0
        for grad in grads:
            whole = grad + decay * value
            velocity = 0.5 * velocity + whole
            value -= rate * (whole + 0.5 * velocity)
        return value

    assert float(params["conv"]["kernel"]) == pytest.approx(by_hand(3.0, 0.1, 0.2, (1, -1)))
    assert float(params["conv"]["bias"]) == pytest.approx(by_hand(2.0, 0.8, 0.05, (1, 0)))
    assert float(params["dense"]["kernel"]) == pytest.approx(by_hand(1.0, 0.1, 0.0, (1, -1)))


def test_decay_factors_of_what_decays_only():
    found = updates(Optimizer("sgd", weight_decay=0.5, decay_factors=("^conv=3",)))
    np.testing.assert_allclose(found["conv"]["kernel"], -0.1 * 1.5 * 0.3, rtol=1e-6)
    np.testing.assert_allclose(found["dense"]["kernel"], -0.1 * 0.5 * 0.1, rtol=1e-6)
    assert not np.any(found["conv"]["bias"])


@pytest.mark.parametrize("name", ["adamw", "lamb"])
def test_decay_factors_of_a_decay_that_is_built_in(name):
    grads = jax.tree.map(lambda leaf: jax.random.normal(jax.random.key(1), leaf.shape), PARAMS)
    found = updates(Optimizer(name, weight_decay=0.5, decay_factors=("^conv=3",)), grads)
    # Each as if all decayed as it does.
    as_conv = updates(Optimizer(name, weight_decay=1.5), grads)
    as_dense = updates(Optimizer(name, weight_decay=0.5), grads)
    np.testing.assert_allclose(found["conv"]["kernel"], as_conv["conv"]["kernel"], rtol=1e-6)
    np.testing.assert_allclose(found["dense"]["kernel"], as_dense["dense"]["kernel"], rtol=1e-6)
    assert not np.allclose(as_conv["conv"]["kernel"], as_dense["conv"]["kernel"])


@pytest.mark.parametrize("rules", [("bias$=0.1",), (".=0.1",)])
def test_a_decay_that_is_built_in_may_leave_a_group_without_it(rules):
    found = updates(Optimizer("adamw", weight_decay=0.5, decay_factors=rules))
    factor = 0.1 if rules == (".=0.1",) else 1.0
    np.testing.assert_allclose(found["dense"]["kernel"], -0.1 * 0.5 * 0.1 * factor, rtol=1e-6)
    assert not np.any(found["conv"]["bias"])


def until_steps(rules, **options):
    def to_steps(duration):
        return duration.steps(batch_size=10, examples=20, total_steps=100)

    config = Optimizer("sgd", options={"momentum": 0.9}, until=rules, **options)
    return make_optimizer(config, CONSTANT, to_steps=to_steps)


def test_what_is_trained_for_a_time_then_stays():
    optimizer = until_steps(("bias$=1epoch", "^dense=3%"), weight_decay=0.1, decay=".")
    ones = jax.tree.map(jnp.ones_like, PARAMS)
    params, state, moved = PARAMS, optimizer.init(PARAMS), []
    for _ in range(5):
        before = params
        found, state = optimizer.update(ones, state, params)
        params = optax.apply_updates(params, found)
        changed = jax.tree.map(lambda a, b: not np.array_equal(a, b), before, params)
        moved.append([changed["conv"]["bias"], changed["dense"]["kernel"]])
        assert changed["conv"]["kernel"]
    assert moved == [[True, True], [True, True], [False, True], [False, False], [False, False]]


def test_what_no_longer_is_trained_does_not_count_for_clipping():
    optimizer = until_steps(("kernel$=1steps",), clip_norm=1.0)
    ones, state = jax.tree.map(jnp.ones_like, PARAMS), optimizer.init(PARAMS)
    _, state = optimizer.update(ones, state, PARAMS)
    found, _ = optimizer.update(ones, state, PARAMS)
    # Of four numbers each is 1/2 after clipping; before, one of 94 was 1/sqrt(94).
    count = sum(leaf.size for leaf in jax.tree.leaves(PARAMS))
    expected = -0.1 * (0.9 / count**0.5 + 0.5)
    np.testing.assert_allclose(found["conv"]["bias"], expected, rtol=1e-5)


def test_duration_zero_is_never():
    optimizer = until_steps(("^dense=0steps",))
    found, _ = optimizer.update(jax.tree.map(jnp.ones_like, PARAMS), optimizer.init(PARAMS), PARAMS)
    assert not np.any(found["dense"]["kernel"]) and np.all(found["conv"]["kernel"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"decay_factors": ("kernel=2",)}, "multiply --optimizer.weight-decay, which is 0"),
        ({"decay_factors": ("kernel",), "weight_decay": 1}, "not pattern=factor"),
        ({"decay_factors": ("kernel=-1",), "weight_decay": 1}, "zero or more"),
        ({"decay_factors": ("=1",), "weight_decay": 1}, "has no pattern"),
        ({"until": ("kernel=soon",)}, "--optimizer.until 'kernel=soon' is not pattern=duration"),
        ({"until": ("(=3epochs",)}, "not pattern=duration"),
        ({"until": ("3epochs",)}, "has no pattern"),
    ],
)
def test_rules_that_are_none(options, said):
    config = Optimizer("sgd", **options)
    with pytest.raises(UserError, match=said):
        make_optimizer(config, CONSTANT, to_steps=lambda duration: 3)


@pytest.mark.parametrize("field", ["decay_factors", "until"])
def test_rules_that_find_nothing(field):
    config = Optimizer("sgd", **{field: ("kernel$=1", "^stem=1")})
    flag = field.replace("_", "-")
    with pytest.raises(UserError, match=rf"--optimizer\.{flag} '\^stem=1' finds no parameter"):
        check_factors(config, PARAMS)


def test_decay_factors_of_what_does_not_decay():
    config = Optimizer("sgd", weight_decay=0.5, decay_factors=("bias$=0.1",))
    with pytest.raises(UserError, match=r"no parameter that decays \(--optimizer.decay 'kernel\$'"):
        check_factors(config, PARAMS)
    check_factors(dataclasses.replace(config, decay="."), PARAMS)


def test_of_two_rules_the_first_is_told():
    config = Optimizer("sgd", until=("^conv=1epochs", "kernel$=3epochs", "bias=5steps"))
    assert update_lines(config, PARAMS, None, ()) == [
        "trained for the first 1 epochs only: conv/bias, conv/kernel",
        "trained for the first 3 epochs only: dense/kernel",
    ]


def test_a_user_is_told_of_rules():
    config = Optimizer(
        "sgd", weight_decay=0.5, decay_factors=("^conv=3",), until=("bias$=3epochs",)
    )
    assert decay_line(config, PARAMS).endswith(
        "conv/kernel, dense/kernel; times 1 for dense/kernel, 3 for conv/kernel"
    )
    assert update_lines(config, PARAMS, None, ()) == [
        "trained for the first 3 epochs only: conv/bias"
    ]
