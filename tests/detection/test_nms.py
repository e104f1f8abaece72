"""Non-maximum suppression by tiles against torchvision's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from drawn import boxes
from references.synthetic import uniform

from cnn_jax.detection.detections import Candidates, detected, highest
from cnn_jax.detection.nms import TILE, kept

MANY = boxes("many", 700)
SCORES = uniform("scores", (700,))
CLASSES = (uniform("classes", (700,)) > 0).astype(np.int32)
EVERY = np.ones(700, bool)


@functools.partial(jax.jit, static_argnames=("count", "overlap"))
def keep(boxes, scores, there, groups=None, *, count=700, overlap=0.3):
    return kept(boxes, scores, there, overlap=overlap, count=count, groups=groups)


def of(found):
    places, there = found
    return places[there].tolist()


def test_kept_boxes_are_those_of_torchvision(torchvision_parts):
    assert len(MANY) > 5 * TILE
    assert of(keep(MANY, SCORES, EVERY)) == torchvision_parts["kept"].tolist()
    in_classes = of(keep(MANY, SCORES, EVERY, CLASSES))
    assert in_classes == torchvision_parts["kept_in_classes"].tolist()


def test_a_smaller_number_is_the_beginning_of_a_larger_one(torchvision_parts):
    assert of(keep(MANY, SCORES, EVERY, count=7)) == torchvision_parts["kept"].tolist()[:7]


def test_boxes_that_are_not_there_hide_nothing():
    there = np.arange(700) % 3 > 0
    chosen = np.flatnonzero(there)
    alone = of(kept(MANY[there], SCORES[there], EVERY[there], overlap=0.3, count=700))
    assert of(keep(MANY, SCORES, there)) == chosen[alone].tolist()
    assert of(keep(MANY, SCORES, EVERY & False)) == []


def test_of_equal_scores_the_first_box_stays():
    same = np.tile(MANY[:1], (300, 1))
    assert of(kept(same, np.ones(300), EVERY[:300], overlap=0.5, count=5)) == [0]


def test_a_chain_of_boxes_is_settled_one_after_the_other():
    # Each overlaps its neighbours by more than a third: every second one is hidden.
    shift = 5 * np.arange(100, dtype=np.float32)[:, None]
    chain = np.float32([[0, 0, 10, 10]]) + shift * np.float32([[1, 0, 1, 0]])
    scores = np.linspace(1, 0, 100)
    assert of(kept(chain, scores, EVERY[:100], overlap=0.3, count=100)) == [*range(0, 100, 2)]


def test_images_are_mapped_over():
    both = np.stack([MANY, MANY[::-1]]), np.stack([SCORES, SCORES[::-1]])
    places, there = jax.vmap(lambda b, s: kept(b, s, EVERY, overlap=0.3, count=50))(*both)
    assert there.all()
    np.testing.assert_array_equal(places[1], 699 - places[0])


def test_the_highest_pairs_are_above_the_least_score():
    scores = jnp.float32([[0.1, 0.9], [0.6, 0.04], [0.3, 0.2]])
    values, places, classes = highest(scores, 4, 0.25)
    np.testing.assert_allclose(values, [0.9, 0.6, 0.3, 0.0])
    assert places[:3].tolist() == [0, 1, 2] and classes[:3].tolist() == [1, 0, 0]
    assert len(highest(scores, 100, 0.25)[0]) == 6


def test_what_is_detected_is_padded_with_zeros():
    found = Candidates(
        jnp.float32([[-5, 0, 50, 50], [0, 0, 52, 50], [0, 0, 50, 50]]),
        jnp.float32([0.5, 0.9, 0.7]),
        jnp.int32([4, 4, 2]),
        jnp.array([True, True, True]),
    )
    boxes, scores, classes, there = detected(found, (60, 40), overlap=0.5, count=4)
    assert there.tolist() == [True, True, False, False]
    np.testing.assert_array_equal(boxes[:2], [[0, 0, 52, 40], [0, 0, 50, 40]])
    assert classes.tolist() == [4, 2, 0, 0]
    np.testing.assert_allclose(scores, [0.9, 0.7, 0, 0])
    assert not boxes[2:].any()


def test_it_lowers_for_accelerators_without_a_callback():
    shapes = [jax.ShapeDtypeStruct((2, *each.shape), each.dtype) for each in (MANY, SCORES, EVERY)]
    mapped = jax.jit(jax.vmap(lambda b, s, t: kept(b, s, t, overlap=0.5, count=100)))
    for platform in ("cuda", "tpu"):
        text = jax.export.export(mapped, platforms=[platform])(*shapes).mlir_module()
        assert "callback" not in text and "?x" not in text
