import numpy as np
import pytest

from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.splits import cut, cut_test, stratified, with_validation
from cnn_jax.errors import UserError


def numbered(labels: list[int]) -> Split:
    """Images of one pixel that hold their own place."""
    places = np.arange(len(labels), dtype=np.uint8)
    return Split(places.reshape(-1, 1, 1, 1), np.array(labels, np.int32))


def dataset(train: Split, **parts) -> Dataset:
    return Dataset(
        "set", ("a", "b"), train, **{"validation": None, "test": None, **parts}, source=""
    )


@pytest.mark.parametrize(
    "sizes, count, shares",
    [
        ([50, 30, 20], 10, [5, 3, 2]),
        # 3.75, 2.25, 1.5: the one left goes to the largest remainder.
        ([5, 3, 2], 7, [4, 2, 1]),
        # 1, 1, 1 of remainders 0.33 each and one left: the first class.
        ([4, 4, 4], 4, [2, 1, 1]),
        ([1, 99], 10, [0, 10]),
        # A class never gives its last example: 1.5 of 2 and 1.5 of 2.
        ([2, 2], 2, [1, 1]),
        ([2, 6], 6, [1, 5]),
    ],
)
def test_shares_by_hand(sizes, count, shares):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    kept, chosen = stratified(labels, count)
    assert np.bincount(labels[chosen], minlength=len(sizes)).tolist() == shares
    assert sorted([*kept, *chosen]) == list(range(len(labels)))
    assert (np.diff(chosen) > 0).all() and (np.diff(kept) > 0).all()


def test_the_rule_never_changes():
    assert stratified(np.arange(40) % 4, 8)[1].tolist() == [6, 10, 11, 13, 25, 28, 31, 32]


def test_places_are_drawn_from_all_over():
    kept, chosen = stratified(np.zeros(1000, int), 500)
    assert abs(chosen.mean() - 499.5) < 30
    assert (
        abs(np.corrcoef(np.isin(np.arange(999), chosen), np.isin(np.arange(1, 1000), chosen))[0, 1])
        < 0.1
    )
    assert len(kept) == 500


def test_one_of_each_class_is_left():
    with pytest.raises(UserError, match=r"5 of 6 examples cannot be cut.* at most 4 can"):
        stratified(np.array([0, 0, 0, 1, 1, 1]), 5)


def test_labels_need_not_be_all_there():
    labels = np.array([7, 7, 7, 3, 3, 3])
    _, chosen = stratified(labels, 2)
    assert sorted(labels[chosen]) == [3, 7]


def test_cut_keeps_images_with_their_labels():
    split = numbered([0, 1] * 20)
    kept, chosen = cut(split, 6)
    assert (len(kept), len(chosen)) == (34, 6)
    for part in [kept, chosen]:
        np.testing.assert_array_equal(part.images.ravel() % 2, part.labels)
    assert sorted([*kept.images.ravel(), *chosen.images.ravel()]) == list(range(40))


@pytest.mark.parametrize(
    "validation, count", [(0.1, 4), (0.06, 2), (0.5, 20), (7, 7), (1, 1), (38, 38)]
)
def test_validation_is_a_fraction_or_a_count(validation, count):
    before = dataset(numbered([0, 1] * 20))
    after = with_validation(before, validation)
    assert (len(after.train), len(after.validation)) == (40 - count, count)
    assert before.validation is None and len(before.train) == 40


def test_a_given_validation_part_stays():
    given = dataset(numbered([0, 1] * 20), validation=numbered([0, 1]))
    assert with_validation(given, 0.1) is given


def test_none_is_cut_for_validation():
    given = dataset(numbered([0, 1] * 20))
    assert with_validation(given, 0) is given


@pytest.mark.parametrize(
    "validation", [-0.1, -3, 1.5, 40, 41, 0.001, 0.999, float("nan"), float("inf")]
)
def test_validation_that_cannot_be(validation):
    with pytest.raises(UserError, match=r"--data\.validation"):
        with_validation(dataset(numbered([0, 1] * 20)), validation)


def test_a_tenth_is_cut_for_test():
    after = cut_test(dataset(numbered([0, 1] * 20)))
    assert (len(after.train), len(after.test)) == (36, 4)
    assert np.bincount(after.test.labels).tolist() == [2, 2]
    rule = "4 examples cut from train by a fixed stratified rule (--data.test 0: none)"
    assert after.notes == (f"the test part is {rule}",)


def test_the_test_part_may_be_of_another_size_or_none():
    whole = dataset(numbered([0, 1] * 20))
    assert len(cut_test(whole, 0.25).test) == len(cut_test(whole, 10).test) == 10
    without = cut_test(whole, 0)
    assert without.test is None and len(without.train) == 40
    assert without.notes == ("there is no test part: --data.test 0",)
    own = cut_test(cut_test(whole), 0)
    assert len(own.test) == 4
    assert own.notes[-1] == f"--data.test 0 is not used: {whole.name} has a test part of its own"
    for wrong in (-1, 1.5, 40, 0.001):
        with pytest.raises(UserError, match=r"--data\.test|no test part"):
            cut_test(whole, wrong)
