import itertools
import sys

import jax
import numpy as np
import pytest

from cnn_jax.data.dataset import Split
from cnn_jax.data.memory import InMemory, Order, check_batch, epoch_order, evaluation_batches
from cnn_jax.errors import UserError


def test_order_never_changes():
    assert epoch_order(0, 0, 100)[:10].tolist() == [66, 0, 54, 43, 69, 38, 21, 91, 85, 2]
    assert epoch_order(0, 1, 100)[:10].tolist() == [17, 34, 31, 70, 22, 59, 39, 78, 16, 56]
    assert epoch_order(1, 0, 100)[:10].tolist() == [90, 78, 3, 66, 5, 24, 54, 27, 60, 43]


def test_order_is_a_permutation():
    order = epoch_order(3, 5, 1000)
    assert order.dtype == np.int32
    assert sorted(order.tolist()) == list(range(1000))


@pytest.mark.parametrize("n, batch", [(12, 4), (10, 3), (10, 7), (10, 10), (10, 25), (1, 3)])
def test_every_example_comes_once_an_epoch(n, batch):
    order = Order(seed=2, n=n, batch_size=batch)
    seen: dict[int, list[int]] = {}
    for step in range(6 * n):
        indices, epochs = order(step)
        assert indices.shape == epochs.shape == (batch,)
        assert indices.dtype == epochs.dtype == np.int32
        for index, epoch in zip(indices.tolist(), epochs.tolist(), strict=True):
            seen.setdefault(epoch, []).append(index)
    *whole, last = seen
    assert whole == list(range(last)) and last >= 6
    for epoch in whole:
        assert seen[epoch] == epoch_order(2, epoch, n).tolist()
        assert sorted(seen[epoch]) == list(range(n))


def test_a_batch_reaches_over_the_end_of_an_epoch():
    indices, epochs = Order(seed=0, n=10, batch_size=4)(2)
    assert epochs.tolist() == [0, 0, 1, 1]
    assert indices.tolist() == [*epoch_order(0, 0, 10)[8:], *epoch_order(0, 1, 10)[:2]]


def test_position_is_one_integer():
    order = Order(seed=4, n=10, batch_size=7)
    forward = [order(step)[0].tolist() for step in range(30)]
    for step in [29, 3, 17, 0, 18, 3]:
        assert order(step)[0].tolist() == forward[step]
        assert Order(seed=4, n=10, batch_size=7)(step)[0].tolist() == forward[step]


def test_threads_may_share_an_order():
    order, others = Order(seed=4, n=10, batch_size=10), itertools.count(5)

    def at_every_line(frame, event, _):
        # What another thread may do between any two lines.
        if frame.f_code is Order._epoch.__code__:
            sys.settrace(None)
            order(next(others))
            sys.settrace(at_every_line)
        return at_every_line

    before = sys.gettrace()
    for epoch in (0, 0, 1, 2):
        sys.settrace(at_every_line)
        try:
            found = order(epoch)[0]
        finally:
            sys.settrace(before)
        assert found.tolist() == epoch_order(4, epoch, 10).tolist()
    assert next(others) > 10


def test_far_positions_do_not_overflow():
    indices, epochs = Order(seed=0, n=1_000, batch_size=1_000)(3_000_000)
    assert set(epochs.tolist()) == {3_000_000}
    assert sorted(indices.tolist()) == list(range(1_000))


def test_seeds_and_epochs_differ():
    orders = [epoch_order(seed, epoch, 50).tolist() for seed in range(4) for epoch in range(4)]
    assert len({tuple(order) for order in orders}) == 16


@pytest.mark.parametrize("n, batch", [(10, 4), (8, 4), (3, 4), (1, 1), (4, 4)])
def test_evaluation_counts_each_example_once(n, batch):
    counts = np.zeros(n)
    batches = list(evaluation_batches(n, batch))
    assert len(batches) == -(-n // batch)
    for indices, weights in batches:
        assert indices.shape == weights.shape == (batch,)
        assert (indices.dtype, weights.dtype) == (np.int32, np.float32)
        np.add.at(counts, indices, weights)
    assert counts.tolist() == [1.0] * n


def test_the_last_evaluation_batch_is_filled_with_weight_zero():
    *_, (indices, weights) = evaluation_batches(10, 4)
    assert indices.tolist() == [8, 9, 0, 0]
    assert weights.tolist() == [1, 1, 0, 0]


def test_batch_is_checked():
    check_batch(100, 100, 4)
    check_batch(1, 1, 1)
    with pytest.raises(UserError, match="--batch-size 0 must be at least 1"):
        check_batch(100, 0, 1)
    with pytest.raises(
        UserError, match=r"--batch-size 101 is more than the 100 .* give at most 100"
    ):
        check_batch(100, 101, 1)
    with pytest.raises(UserError, match=r"--batch-size 30 .* 8 devices; .* such as 24 or 32"):
        check_batch(100, 30, 8)
    with pytest.raises(UserError, match=r"--batch-size 3 .* 8 devices; .* such as 8"):
        check_batch(100, 3, 8)


def test_in_memory_keeps_every_value():
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 2, 1), np.uint8)
    split = Split(images, np.arange(5, dtype=np.int32))
    device = jax.devices()[0]
    there = InMemory(split, jax.sharding.SingleDeviceSharding(device))
    assert there.inputs.dtype == np.uint8 and there.targets.dtype == np.int32
    np.testing.assert_array_equal(there.inputs, images)
    np.testing.assert_array_equal(there.targets, split.labels)
