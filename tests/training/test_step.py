import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny_task
from flax import linen as nn

from cnn_jax.batch import Batch
from cnn_jax.layers.basic import BatchNorm
from cnn_jax.state import init_state, stream
from cnn_jax.tasks.losses import CLASS_LOSSES
from cnn_jax.training.step import make_eval_step, make_train_step

LOSS = CLASS_LOSSES["cross_entropy"]
RATE = 0.5


class Linear(nn.Module):
    """The smallest model: its gradient is known by hand."""

    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(3, name="dense", kernel_init=nn.initializers.zeros)(x.reshape(len(x), -1))


class Noisy(nn.Module):
    @nn.compact
    def __call__(self, x, *, train=False):
        x = nn.BatchNorm(use_running_average=not train, momentum=0.5, name="norm")(x)
        x = nn.Dropout(0.5, deterministic=not train)(x.reshape(len(x), -1))
        return nn.Dense(3, name="dense")(x)


class Normed(nn.Module):
    """With our own normalisation, straight on the images."""

    momentum: float

    @nn.compact
    def __call__(self, x, *, train=False):
        x = BatchNorm(momentum=self.momentum, name="norm")(x, use_running_average=not train)
        return nn.Dense(3, name="dense")(x.reshape(len(x), -1))


@functools.cache
def make(model, **options):
    optimizer = optax.sgd(RATE)
    example, average = jax.ShapeDtypeStruct((2, 2, 1), jnp.float32), options.get("ema") is not None
    # Compiled as one: array by array it takes several times as long.
    state = jax.jit(lambda: init_state(1, model, optimizer, example, average=average))()
    return state, jax.jit(make_train_step(model, tiny_task.CROSS_ENTROPY, optimizer, **options))


@pytest.fixture
def batch():
    images = np.random.default_rng(0).standard_normal((8, 2, 2, 1), np.float32)
    return Batch(images, np.eye(3, dtype=np.float32)[np.arange(8) % 3], np.ones(8, np.float32))


def test_one_step_of_a_linear_model_by_hand(batch):
    state, train_step = make(Linear())
    new, metrics = train_step(state, batch)
    flat = np.asarray(batch.inputs).reshape(8, 4)
    slope = flat.T @ (np.full((8, 3), 1 / 3) - np.asarray(batch.targets)) / 8
    np.testing.assert_allclose(new.params["dense"]["kernel"], -RATE * slope, atol=1e-6)
    assert float(metrics["loss"]) == pytest.approx(np.log(3), rel=1e-6)
    assert float(metrics["accuracy"]) == pytest.approx(3 / 8)  # all logits equal: class 0
    assert int(new.step) == 1
    assert float(metrics["grad_norms"][1]) == pytest.approx(np.linalg.norm(slope), rel=1e-5)


def test_accumulated_gradients_are_those_of_the_whole_batch(batch):
    state, whole = make(Linear())
    _, parts = make(Linear(), accumulate=4)
    for _ in range(3):
        one, a = whole(state, batch)
        four, b = parts(state, batch)
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6), one, four)
        assert float(a["loss"]) == pytest.approx(float(b["loss"]), rel=1e-6)
        assert float(a["accuracy"]) == pytest.approx(float(b["accuracy"]))
        state = one


def test_parts_of_a_batch_hand_their_statistics_on(batch):
    state, train_step = make(Noisy(), accumulate=2)
    new, _ = train_step(state, batch)
    first, second = (np.asarray(batch.inputs[part::2]).mean((0, 1, 2)) for part in (0, 1))
    # A momentum of 0.5, from 0.
    expected = 0.5 * (0.5 * first) + 0.5 * second
    np.testing.assert_allclose(new.batch_stats["norm"]["mean"], expected, atol=1e-6)
    assert not np.allclose(expected, 0.5 * second, atol=1e-3)


def test_parts_of_a_batch_leave_out_other_values(batch):
    """A batch of two equal parts: with the same dropout it would be one of them."""
    half = jax.tree.map(lambda leaf: leaf[::2], batch)
    twice = jax.tree.map(lambda leaf: np.repeat(leaf, 2, axis=0), half)
    state, one = make(Noisy())
    _, parts = make(Noisy(), accumulate=2)
    alone, both = one(state, half)[0], parts(state, twice)[0]
    assert not np.allclose(alone.params["dense"]["kernel"], both.params["dense"]["kernel"])
    state, one = make(Normed(0.9))
    _, parts = make(Normed(0.9), accumulate=2)
    alone, both = one(state, half)[0], parts(state, twice)[0]
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6), alone.params, both.params
    )


@pytest.mark.parametrize(("made", "kept"), [(0, 1 / 10), (5, 6 / 15), (17, 18 / 27), (200, 0.75)])
def test_averages_by_hand(batch, made, kept):
    """The decay rises to its value: 18/27 is below 3/4, (1 + 200) / (10 + 200) is not."""
    state, train_step = make(Noisy(), ema=0.75)
    state = state.replace(step=jnp.int32(made))
    new, _ = train_step(state, batch)
    expected = jax.tree.map(
        lambda old, now: kept * old + (1 - kept) * now,
        *jax.device_get((state.variables, new.variables)),
    )
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-7), new.averages, expected
    )
    assert new.evaluated is new.averages


@pytest.mark.parametrize("accumulate", [1, 2])
def test_after_a_few_steps_nothing_holds_the_start(batch, accumulate):
    """However slow the averages are: of parameters and of batch statistics."""
    state, train_step = make(Normed(0.999), ema=0.9999, accumulate=accumulate)
    off = jax.tree.map(lambda leaf: np.asarray(leaf) + np.float32(1000), state.variables)
    state = state.replace(averages=off, batch_stats=off["batch_stats"])
    for _ in range(12):
        state, _ = train_step(state, batch)
    for path, now in jax.tree_util.tree_leaves_with_path(state.averages):
        assert np.abs(now).max() < 10, path
    mean = np.asarray(state.batch_stats["norm"]["mean"])
    np.testing.assert_allclose(mean, np.asarray(batch.inputs).mean((0, 1, 2)), atol=0.1)


def test_running_statistics_from_elsewhere_are_kept(batch):
    state, train_step = make(Normed(0.9), loaded=True)
    new, _ = train_step(state, batch)
    mean = 0.1 * np.asarray(batch.inputs).mean((0, 1, 2))
    np.testing.assert_allclose(new.batch_stats["norm"]["mean"], mean, atol=1e-6)


def test_batch_statistics_are_those_of_the_batch(batch):
    state, train_step = make(Noisy())
    new, _ = train_step(state, batch)
    mean = 0.5 * np.asarray(batch.inputs).mean((0, 1, 2))
    np.testing.assert_allclose(new.batch_stats["norm"]["mean"], mean, atol=1e-6)


def test_a_step_is_a_pure_function_of_the_state(batch):
    state, train_step = make(Noisy())
    one, _ = train_step(state, batch)
    again, _ = train_step(state, batch)
    jax.tree.map(np.testing.assert_array_equal, one, again)
    later, _ = train_step(state.replace(step=state.step + 1), batch)
    other, _ = train_step(state.replace(seed=state.seed + 1), batch)
    for changed in (later, other):  # another dropout mask
        assert not np.array_equal(one.params["dense"]["kernel"], changed.params["dense"]["kernel"])


def test_update_norms_are_those_of_the_updates(batch):
    state, train_step = make(Linear(), update_norms=True)
    new, metrics = train_step(state, batch)
    moved = np.subtract(new.params["dense"]["kernel"], state.params["dense"]["kernel"])
    assert float(metrics["update_norms"][1]) == pytest.approx(np.linalg.norm(moved), rel=1e-5)


def test_evaluation_uses_running_statistics_and_no_dropout(batch):
    state, _ = make(Noisy())
    eval_step = jax.jit(make_eval_step(Noisy(), tiny_task.task()))
    (one, _), (again, _) = eval_step(state.variables, batch), eval_step(state.variables, batch)
    assert one == again
    # The statistics at the start are mean 0 and variance 1: the model is linear in the images.
    flat = batch.inputs.reshape(8, 4) / np.sqrt(1 + 1e-5)
    dense = jax.device_get(state.params["dense"])
    expected = jax.jit(LOSS)(flat @ dense["kernel"] + dense["bias"], batch.targets).sum()
    assert float(one["loss"]) == pytest.approx(float(expected), rel=1e-5)


def test_streams_differ_by_seed_step_and_name():
    keys = [
        stream(jnp.uint32(seed), step, name)
        for seed in (0, 1)
        for step in (0, 1)
        for name in ("dropout", "augment")
    ]
    assert len({tuple(jax.random.key_data(key).tolist()) for key in keys}) == 8
