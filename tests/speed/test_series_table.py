"""The table of nets over sets: ranks and tests by hand, and ensembles of runs."""

import pytest

from benchmarks.series_table import holm, mean_ranks, pairs, written


def test_equal_accuracies_share_their_ranks():
    values = {"a": [90, 80, 70], "b": [95, 80, 60], "c": [90, 70, 65]}
    ranks = mean_ranks(values)
    assert ranks == pytest.approx({"a": (2.5 + 1.5 + 1) / 3, "b": (1 + 1.5 + 3) / 3, "c": 7.5 / 3})
    assert sum(ranks.values()) == pytest.approx(6)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_pairs_that_never_differ_are_equal():
    values = {"a": [1.0, 2, 3, 4, 5, 6], "b": [1.0, 2, 3, 4, 5, 6], "c": [0, 1.1, 1.9, 2.5, 2, 1]}
    found = pairs(values)
    assert found["a", "b"] == 1
    # Six differences of one sign: 2 of 2^6 ways, of three tests.
    assert found["a", "c"] == found["b", "c"] == pytest.approx(3 * 2 / 2**6)


def test_only_sets_that_all_have_count_for_ranks():
    table = {
        "one": {"a": [90.0, 92.0], "b": [80.0]},
        "two": {"a": [70.0, 70.0], "b": [75.0]},
        "three": {"a": [50.0]},
    }
    lines = written(table).splitlines()
    assert lines[0] == "| set | a | b |"
    assert (
        lines[2] == "| one | 91.00 ± 1.41 (n=2) | 80.00 |" and lines[4] == "| three | 50.00 | – |"
    )
    assert lines[5] == "| mean rank, 2 sets | 1.50 | 1.50 |"
