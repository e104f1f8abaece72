import numpy as np
import pytest

from cnn_jax import UserError
from cnn_jax.data.dataset import Split
from cnn_jax.data.splits import cut
from cnn_jax.data.strata import strata, whole_groups


def images(n):
    return np.zeros((n, 2, 2, 1), np.uint8)


def test_an_example_belongs_to_its_rarest_tag():
    tags = np.array([[1, 1, 0], [1, 0, 0], [1, -1, 1], [0, 0, 0]], np.int8)
    assert strata(tags).tolist() == [1, 0, 2, 3]


def test_numbers_are_cut_from_all_tenths():
    numbers = np.arange(200, dtype=np.float32)[::-1, None]
    kept, held = cut(Split(images(200), numbers), 20)
    assert np.bincount((held.targets[:, 0] // 20).astype(int)).tolist() == [2] * 10
    assert len(kept) == 180


def test_no_group_is_divided():
    groups = np.repeat(np.arange(10, dtype=np.int32), 5)
    labels = np.arange(50, dtype=np.int32) % 3
    kept, held = cut(Split(images(50), labels, groups), 12)
    assert len(held) == 15 and len(kept) == 35
    assert not set(kept.groups.tolist()) & set(held.groups.tolist())
    again = whole_groups(groups, 12, 20_260)[1]
    np.testing.assert_array_equal(groups[again], held.groups)


def test_one_group_cannot_be_cut():
    split = Split(images(4), np.zeros(4, np.int32), np.zeros(4, np.int32))
    with pytest.raises(UserError, match="without dividing a group: there is only 1"):
        cut(split, 1)
