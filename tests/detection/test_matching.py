"""Which box an anchor, a point or a proposal is to learn, and which of them are drawn."""

import jax
import numpy as np
from drawn import boxes

from cnn_jax.detection.boxes import overlaps
from cnn_jax.detection.matching import BACKGROUND, BETWEEN, matched, points_matched
from cnn_jax.detection.proposals import sampled
from cnn_jax.detection.sampling import balanced

# A program for each function: eagerly every operation would be compiled.
matched = jax.jit(matched, static_argnames=("foreground", "background", "keep_best"))
points_matched = jax.jit(points_matched)
sampled = jax.jit(sampled, static_argnames=("count", "share", "foreground"))
balanced = jax.jit(balanced, static_argnames=("count", "share"))
overlaps = jax.jit(overlaps)

SOME, OTHERS = boxes("some", 40), boxes("others", 25)
QUALITY = np.asarray(overlaps(OTHERS, SOME))
SHARES = {"foreground": 0.5, "background": 0.4}


def test_matches_are_those_of_torchvision(torchvision_parts):
    quality, there = QUALITY, np.ones(25, bool)
    np.testing.assert_array_equal(matched(quality, there, **SHARES), torchvision_parts["matched"])
    best = matched(quality, there, **SHARES, keep_best=True)
    np.testing.assert_array_equal(best, torchvision_parts["matched_best"])
    assert {BACKGROUND, BETWEEN} <= set(np.asarray(matched(quality, there, **SHARES)).tolist())


def test_padding_changes_no_match():
    padded = np.concatenate([SOME[:5], OTHERS])
    there = np.arange(30) >= 5
    found = matched(overlaps(padded, SOME), there, **SHARES, keep_best=True)
    alone = matched(QUALITY, np.ones(25, bool), **SHARES, keep_best=True)
    np.testing.assert_array_equal(np.where(found >= 0, found - 5, found), alone)


def test_without_boxes_all_is_background():
    found = matched(QUALITY, np.zeros(25, bool), **SHARES, keep_best=True)
    assert set(np.asarray(found).tolist()) == {BACKGROUND}


def test_a_box_that_no_anchor_touches_takes_none():
    far = np.float32([[500, 500, 600, 600], [5, 5, 5, 5]])
    found = matched(overlaps(far, SOME), np.ones(2, bool), **SHARES, keep_best=True)
    assert set(np.asarray(found).tolist()) == {BACKGROUND}


def places(row, column, stride, boxes, ranges=(0, np.inf)):
    found = points_matched(
        np.float32([[row, column]]),
        np.float32([stride]),
        np.float32([ranges]),
        np.float32(boxes),
        np.ones(len(boxes), bool),
    )
    return int(found[0])


def test_a_point_learns_the_smallest_box_near_whose_centre_it_lies():
    large, small = [0, 0, 100, 100], [40, 40, 60, 60]
    assert places(50, 50, 8, [large, small]) == 1
    assert places(56, 50, 8, [large, small]) == 1
    # Outside the small one, and within one and a half strides of the large one's centre.
    assert places(50, 61, 8, [large, small]) == 0
    assert places(50, 63, 8, [large, small]) == BACKGROUND
    # Too large for its level, and then too small.
    assert places(50, 50, 8, [large, small], (0, 50)) == 1
    assert places(50, 50, 8, [large, small], (20, 64)) == 0
    assert places(50, 50, 8, [large, small], (64, 128)) == BACKGROUND


def test_a_sample_has_its_share_of_positive_ones_and_is_filled_up():
    positive = np.arange(200) < 30
    negative = (np.arange(200) >= 50) & (np.arange(200) < 150)
    key = jax.random.key(0)
    chosen, filled = jax.device_get(balanced(key, positive, negative, count=64, share=0.25))
    assert filled.all() and len(set(chosen.tolist())) == 64
    assert positive[chosen].sum() == 16 and negative[chosen].sum() == 48
    again, _ = balanced(key, positive, negative, count=64, share=0.25)
    other, _ = balanced(jax.random.key(1), positive, negative, count=64, share=0.25)
    np.testing.assert_array_equal(chosen, again)
    assert set(other.tolist()) != set(chosen.tolist())


def test_a_sample_of_too_few_leaves_places_empty():
    positive, negative = np.arange(9) < 2, np.arange(9) >= 6
    chosen, filled = jax.device_get(
        balanced(jax.random.key(0), positive, negative, count=16, share=0.5)
    )
    assert chosen.shape == filled.shape == (16,)
    assert sorted(chosen[filled].tolist()) == [0, 1, 6, 7, 8]
    _, none = balanced(jax.random.key(0), positive & False, negative & False, count=16, share=0.5)
    assert not none.any()


def test_sampled_proposals_hold_the_truth():
    truth = {
        "boxes": np.float32([[10, 10, 50, 50], [0, 0, 0, 0]]),
        "classes": np.int32([3, 7]),
        "there": np.array([True, False]),
    }
    proposals = np.float32([[11, 11, 50, 50], [60, 60, 90, 90], [0, 0, 0, 0]])
    there = np.array([True, True, False])
    rules = {"count": 8, "share": 0.5, "foreground": 0.5}
    found = jax.device_get(sampled(jax.random.key(0), proposals, there, truth, **rules))
    assert found.there.sum() == 3
    assert sorted(found.classes[found.there].tolist()) == [-1, 3, 3]
    assert [10, 10, 50, 50] in found.boxes[found.classes == 3].tolist()
    np.testing.assert_array_equal(
        found.truth[found.classes == 3], np.float32([[10, 10, 50, 50]] * 2)
    )
    nothing = {**truth, "there": np.zeros(2, bool)}
    found = sampled(jax.random.key(0), proposals, there, nothing, **rules)
    assert found.there.sum() == 2 and set(found.classes.tolist()) == {-1}
