"""What the benchmark makes of its numbers."""

import math

import pytest

from benchmarks.speed.measure import Limits, rounds_for, steps_for
from benchmarks.speed.summary import (
    Spread,
    apart,
    compared,
    disagreements,
    flops,
    ratios,
    tables,
)


def row(dtype="float32", **implementations):
    return {
        "net": "net",
        "dtype": dtype,
        "batch": 4,
        "side": 8,
        "multiply_adds": 1_000_000,
        "implementations": implementations,
    }


OURS = {
    "train": [10.0, 30.0, 20.0],
    "loop": [9.0, 30.0, 19.0],
    "evaluate": [100.0, 100.0, 100.0],
    "losses": [2.0, 1.5, 1.0],
    "start": [7.0, 3.0],
    "peak_bytes": 2_000_000_000,
}
FLAX = {**OURS, "train": [5.0, 10.0, 20.0], "losses": [2.0, 1.5015, 1.0]}


def test_a_ratio_is_taken_within_each_round():
    assert ratios([10.0, 30.0, 20.0], [5.0, 10.0, 20.0]) == [2.0, 3.0, 1.0]
    found = compared(row(ours=OURS, flax=FLAX), "train", "flax")
    # The ratio of the medians would be 20 / 10.
    assert found == Spread(median=2.0, low=1.0, high=3.0, n=3)
    assert str(found) == "2 (1–3)"
    assert str(Spread.of([1.234])) == "1.23"


def test_nothing_is_compared_with_what_was_not_measured():
    assert compared(row(ours=OURS), "train", "torch") is None
    assert compared(row(ours=OURS, torch={"why": "> 20 s a step"}), "train", "torch") is None


def test_training_counts_three_times_the_operations_of_evaluation():
    assert flops(row(ours=OURS), "train", "ours") == 20 * 3 * 2 * 1e6
    assert flops(row(ours=OURS), "evaluate", "ours") == 100 * 2 * 1e6
    assert flops(row(ours=OURS), "train", "flax") is None


def test_losses_that_differ_are_told_in_float32():
    near, far = FLAX, {**FLAX, "losses": [2.0, 1.5, 1.002]}
    assert math.isclose(apart(row(ours=OURS, flax=near))["flax"], 1e-3, rel_tol=1e-9)
    assert disagreements([row(ours=OURS, flax=near)]) == []
    (line,) = disagreements([row(ours=OURS, flax=near, torch=far)])
    assert line == "net: the losses of torch are 2.0e-03 from ours"
    assert disagreements([row("bfloat16", ours=OURS, torch=far)]) == []
    later = {**FLAX, "losses": [2.0, 1.53, 1.0]}
    assert len(disagreements([row(ours=OURS, torch=later)])) == 1
    lost = {**FLAX, "losses": [2.0, math.nan, 1.0]}
    assert len(disagreements([row(ours=OURS, torch=lost)])) == 1


def test_tables_show_speeds_ratios_and_why_there_is_none():
    results = {
        "rows": [row(ours=OURS, flax=FLAX, torch={"why": "> 20 s a step", "start": []})],
        "matmul": {"float32": {"flax": [1e9, 1.2e9], "torch": [1.1e9]}},
    }
    shown = tables(results)
    train = "| net | 4×8² | float32 | 20 | > 20 s a step | 10 | – | 2 (1–3) | 3 | 0.1 | 10% |"
    assert train in shown.splitlines()
    assert "| net | float32 | 20 | 19 | 0.95 (0.9–1) | 3 |" in shown.splitlines()
    starts = "| net | float32 | 7.0 / 3.0 | – | 7.0 / 3.0 | 2.00 | – | 2.00 |"
    assert starts in shown.splitlines()
    assert "| float32 | JAX | 1.1 (1–1.2) | 2 |" in shown.splitlines()


@pytest.mark.parametrize(
    ("facts", "size"),
    [
        ({}, "4×8²"),  # as numbers were stored before there were other kinds
        ({"kind": "image", "frames": 0}, "4×8²"),
        ({"kind": "series", "frames": 0}, "4×8"),
        ({"kind": "tokens", "frames": 0}, "4×8"),
        ({"kind": "sound", "frames": 0}, "4×8"),
        ({"kind": "clip", "frames": 3}, "4×3×8²"),
    ],
)
def test_sizes_are_those_of_the_kind(facts, size):
    shown = tables({"rows": [row(ours=OURS) | facts], "matmul": {}})
    assert f"| net | {size} | float32 | 20 |" in shown


def test_rounds_take_about_the_time_they_may():
    assert steps_for(2.0, 0.3) == 7
    assert steps_for(2.0, 9.0) == 1
    limits = Limits(rounds=5, seconds=2.0, budget=60.0, step=20.0, compile=100.0)
    assert [rounds_for(limits, seconds) for seconds in (3.0, 20.0, 100.0)] == [5, 3, 1]
