import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny_task
from flax import linen as nn

from cnn_jax import Optimizer, UserError, models
from cnn_jax.batch import Batch
from cnn_jax.optimisation.frozen import check_frozen, frozen_mask, frozen_pattern
from cnn_jax.optimisation.optimizers import (
    decay_line,
    make_optimizer,
    update_lines,
)
from cnn_jax.optimisation.parameter_rules import check_factors, factor_of
from cnn_jax.optimisation.paths import parameter_paths
from cnn_jax.state import init_state
from cnn_jax.training.step import make_train_step

EXAMPLE = jax.ShapeDtypeStruct((4, 4, 1), jnp.float32)


class Net(nn.Module):
    """Two normalisations, one told in its call and one in its field to use running averages."""

    @nn.compact
    def __call__(self, x, *, train=False):
        x = nn.Conv(4, (3, 3), name="conv")(x)
        x = nn.BatchNorm(name="norm")(x, use_running_average=not train)
        x = nn.BatchNorm(use_running_average=not train, name="other")(nn.relu(x))
        return nn.Dense(3, name="head")(x.mean((1, 2)))


@pytest.fixture
def batch():
    images = np.random.default_rng(0).standard_normal((8, 4, 4, 1), np.float32) + 1
    return Batch(images, np.eye(3, dtype=np.float32)[np.arange(8) % 3], np.ones(8, np.float32))


def begun(optimizer):
    # Compiled as one: array by array it takes several times as long.
    return jax.jit(lambda: init_state(0, Net(), optimizer, EXAMPLE))()


def trained(batch, frozen=None, **options):
    config = Optimizer("sgd", options={"momentum": 0.9}, **options)
    optimizer = make_optimizer(config, optax.constant_schedule(0.1), frozen)
    before = begun(optimizer)
    step = jax.jit(make_train_step(Net(), tiny_task.CROSS_ENTROPY, optimizer, frozen=frozen))
    after = before
    for _ in range(3):
        after, metrics = step(after, batch)
    return before, after, metrics


def moved(before, after):
    """Paths of the arrays that differ."""
    same = jax.tree_util.tree_map(np.array_equal, before, after)
    flat = jax.tree_util.tree_leaves_with_path(same)
    return {jax.tree_util.keystr(p, simple=True, separator="/") for p, same in flat if not same}


def test_a_linear_probe_trains_the_head_alone(batch):
    before, after, metrics = trained(batch, "^(?!head/)", weight_decay=0.1, decay="kernel$")
    assert moved(before.params, after.params) == {"head/kernel", "head/bias"}
    assert moved(before.batch_stats, after.batch_stats) == set()
    assert np.count_nonzero(metrics["grad_norms"]) == 2
    # Nothing is kept for what stays.
    momenta = [leaf for leaf in jax.tree.leaves(after.opt_state) if leaf.ndim]
    assert sorted(leaf.shape for leaf in momenta) == [(3,), (4, 3)]


@pytest.mark.parametrize("norm", ["norm", "other"])
def test_a_frozen_normalisation_keeps_its_statistics_and_uses_them(batch, norm):
    before, after, _ = trained(batch, f"^{norm}/")
    free = {"norm", "other"} - {norm}
    assert {path.split("/")[0] for path in moved(before.batch_stats, after.batch_stats)} == free
    assert {path.split("/")[0] for path in moved(before.params, after.params)} == {
        "conv",
        "head",
        *free,
    }


def test_a_normalisation_that_is_frozen_in_part_goes_on(batch):
    before, after, _ = trained(batch, "^norm/scale$")
    assert "norm/mean" in moved(before.batch_stats, after.batch_stats)
    assert "norm/scale" not in moved(before.params, after.params)


def test_what_is_frozen_changes_no_gradient_of_the_rest(batch):
    """Not of what stands before it either, to which the gradient goes through it."""
    optimizer = optax.sgd(0.1)
    state = begun(optimizer)

    def norms(frozen):
        step = make_train_step(Net(), tiny_task.CROSS_ENTROPY, optimizer, frozen=frozen)
        found = jax.jit(step)(state, batch)[1]["grad_norms"].tolist()
        return dict(zip(parameter_paths(state.params), found, strict=True))

    free, held = norms(None), norms("^head/kernel$")
    assert free["head/kernel"] > 0.01 and held.pop("head/kernel") == 0
    assert held["conv/kernel"] > 1e-3
    for path, norm in held.items():
        assert norm == pytest.approx(free[path], rel=1e-5, abs=1e-6), path


def test_flags_of_a_pattern_are_its_own():
    params = {"whitening": {"kernel": jnp.ones(1)}, "Head": {"kernel": jnp.ones(1)}}
    module = models.create("airbench94", 10)
    for freeze in ("(?i)^head/", "(?x) ^[Hh]ead/  # the last", "(?is)^HEAD/"):
        mask = frozen_mask(frozen_pattern(freeze, module))(params)
        assert mask == {"whitening": {"kernel": True}, "Head": {"kernel": True}}, freeze
        check_frozen(freeze, params)
    # The model's own pattern has no part in them.
    shouted = {"WHITENING": {"kernel": jnp.ones(1)}}
    assert not frozen_mask(frozen_pattern("(?i)^head/", module))(shouted)["WHITENING"]["kernel"]
    with pytest.raises(UserError, match="no regular expression"):
        frozen_pattern("a)|(b", module)


def test_the_whitening_of_airbench_stays_and_does_not_decay():
    module = models.create("airbench94", 10)
    frozen = frozen_pattern("^head/", module)
    optimizer = make_optimizer(
        Optimizer("sgd", weight_decay=0.5), optax.constant_schedule(0.1), frozen
    )
    params = {
        name: {"kernel": np.ones((2, 2), np.float32), "bias": np.ones(2, np.float32)}
        for name in ("whitening", "group1", "head")
    }
    zeros = jax.tree.map(np.zeros_like, params)
    updates, _ = jax.jit(lambda p: optimizer.update(zeros, optimizer.init(p), p))(params)
    changed = {name for name, leaves in updates.items() if np.any(leaves["kernel"])}
    assert changed == {"group1"}


def test_decay_is_of_what_is_trained(batch):
    config = Optimizer("sgd", weight_decay=0.1)
    params = {"conv": {"kernel": jnp.ones(1)}, "head": {"kernel": jnp.ones(1), "bias": jnp.ones(1)}}
    assert decay_line(config, params, "^conv/").endswith("on 1 of 3 parameter arrays: head/kernel")
    # All kernels may be frozen.
    before, after, _ = trained(batch, "kernel$", weight_decay=0.1)
    assert not any(path.endswith("kernel") for path in moved(before.params, after.params))


def test_factors_scale_the_step(batch):
    before, plain, _ = trained(batch)
    _, scaled, _ = trained(batch, factors=("^conv/=0", "kernel=0.5", "^head/=7"))
    assert moved(before.params, scaled.params) == moved(before.params, plain.params) - {
        "conv/kernel",
        "conv/bias",
    }
    factor = factor_of(Optimizer(factors=("^conv/=0", "kernel=0.5", "^head/=7")), ())
    assert factor("conv/kernel") == 0
    assert factor("head/kernel") == 0.5
    assert factor("head/bias") == 7
    assert factor("norm/scale") == 1


def test_decay_by_layers():
    factor = factor_of(Optimizer(layer_decay=0.5), ("stem", "stage1", "head"))
    assert [factor(f"{part}/kernel") for part in ("stem", "stage1", "head")] == [0.25, 0.5, 1]
    both = factor_of(Optimizer(layer_decay=0.5, factors=("^stem=8",)), ("stem", "head"))
    assert both("stem/kernel") == 4


def test_parts_are_in_the_order_of_computation():
    module = models.create("resnet20", 10)
    assert models.parts(module, (32, 32, 3)) == ["stem", "stage1", "stage2", "stage3", "head"]


def test_a_factor_is_that_of_the_learning_rate_for_adam_too():
    params = {"a": jnp.ones(3), "b": jnp.ones(3)}
    optimizer = make_optimizer(
        Optimizer("adam", factors=("^a$=0.1",)), optax.constant_schedule(0.01)
    )
    grads = {"a": jnp.full(3, 2.0), "b": jnp.full(3, 2.0)}
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    np.testing.assert_allclose(updates["a"], 0.1 * updates["b"], rtol=1e-6)


def test_a_user_is_told_what_moves():
    params = {"conv": {"kernel": jnp.ones(1)}, "head": {"kernel": jnp.ones(1), "bias": jnp.ones(1)}}
    config = Optimizer(factors=("^head/=10",))
    assert update_lines(config, params, "^conv/", ()) == [
        "frozen: 1 of 3 parameter arrays",
        "learning rate times 10 for head/bias and 1 more",
    ]
    assert update_lines(Optimizer(), params, None, ()) == []


@pytest.mark.parametrize(
    ("freeze", "said"),
    [("[", "no regular expression"), ("^stem/", "finds no parameter"), (".", "nothing to train")],
)
def test_patterns_that_freeze_nothing_or_all_are_refused(freeze, said):
    params = {"conv": {"kernel": jnp.ones(1)}}
    with pytest.raises(UserError, match=said):
        frozen_pattern(freeze, Net())
        check_frozen(freeze, params)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"factors": ("head",)}, "pattern=factor"),
        ({"factors": ("head=ten",)}, "pattern=factor"),
        ({"factors": ("[=1",)}, "pattern=factor"),
        ({"factors": ("=2",)}, "has no pattern"),
        ({"factors": ("head=-1",)}, "zero or more"),
        ({"factors": ("stem=1",)}, "finds no parameter"),
        ({"layer_decay": 0.0}, "above 0"),
        ({"layer_decay": 1.5}, "at most 1"),
    ],
)
def test_bad_factors_are_named(options, said):
    config = Optimizer(**options)
    with pytest.raises(UserError, match=said):
        factor_of(config, ())
        check_factors(config, {"head": jnp.ones(1)})
