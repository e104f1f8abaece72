"""Non-maximum suppression by tiles against torchvision's."""

import functools

import jax
import numpy as np
from drawn import boxes
from references.synthetic import uniform

from cnn_jax.detection.detections import Candidates, detected, highest
from cnn_jax.detection.nms import TILE, kept

MANY = boxes("many", 700)
SCORES = uniform("scores", (700,))
CLASSES = (uniform("classes", (700,)) > 0).astype(np.int32)
EVERY = np.ones(700, bool)


_keep = jax.jit(functools.partial(kept, overlap=0.3, count=700))


def keep(boxes, scores, there, groups=None):
    """`kept`, of boxes that are padded, so that all share a program."""
    padding = 700 - len(boxes)
    groups = np.zeros(700, np.int32) if groups is None else groups
    return _keep(
        np.pad(boxes, ((0, padding), (0, 0))),
        np.pad(scores, (0, padding)),
        np.pad(there, (0, padding)),
        groups=groups,
    )


def of(found):
    places, there = found
    return places[there].tolist()


def test_kept_boxes_are_those_of_torchvision(torchvision_parts):
    assert len(MANY) > 5 * TILE
    assert of(keep(MANY, SCORES, EVERY)) == torchvision_parts["kept"].tolist()
    in_classes = of(keep(MANY, SCORES, EVERY, CLASSES))
    assert in_classes == torchvision_parts["kept_in_classes"].tolist()


def test_boxes_that_are_not_there_hide_nothing():
    there = np.arange(700) % 3 > 0
    chosen = np.flatnonzero(there)
    alone = of(keep(MANY[there], SCORES[there], EVERY[there]))
    assert of(keep(MANY, SCORES, there)) == chosen[alone].tolist()
    assert of(keep(MANY, SCORES, EVERY & False)) == []


def test_of_equal_scores_the_first_box_stays():
    same = np.tile(MANY[:1], (300, 1))
    assert of(keep(same, np.ones(300, np.float32), EVERY[:300])) == [0]


def test_a_chain_of_boxes_is_settled_one_after_the_other():
    # Each overlaps its neighbours by more than a third: every second one is hidden.
    shift = 5 * np.arange(100, dtype=np.float32)[:, None]
    chain = np.float32([[0, 0, 10, 10]]) + shift * np.float32([[1, 0, 1, 0]])
    scores = np.linspace(1, 0, 100, dtype=np.float32)
    assert of(keep(chain, scores, EVERY[:100])) == [*range(0, 100, 2)]


def test_images_are_mapped_over(torchvision_parts):
    both = np.stack([MANY, MANY[::-1]]), np.stack([SCORES, SCORES[::-1]])
    mapped = jax.jit(jax.vmap(lambda b, s: kept(b, s, EVERY, overlap=0.3, count=50)))
    places, there = map(np.asarray, mapped(*both))
    assert there.all()
    # A smaller number is the beginning of a larger one.
    assert places[0].tolist() == torchvision_parts["kept"][:50].tolist()
    np.testing.assert_array_equal(places[1], 699 - places[0])


def test_the_highest_pairs_are_above_the_least_score():
    scores = np.float32([[0.1, 0.9], [0.6, 0.04], [0.3, 0.2]])
    best = jax.jit(highest, static_argnums=(1, 2))
    values, places, classes = best(scores, 4, 0.25)
    np.testing.assert_allclose(values, [0.9, 0.6, 0.3, 0.0])
    assert places[:3].tolist() == [0, 1, 2] and classes[:3].tolist() == [1, 0, 0]
    assert len(best(scores, 100, 0.25)[0]) == 6


def test_what_is_detected_is_padded_with_zeros():
    found = Candidates(
        np.float32([[-5, 0, 50, 50], [0, 0, 52, 50], [0, 0, 50, 50]]),
        np.float32([0.5, 0.9, 0.7]),
        np.int32([4, 4, 2]),
        np.array([True, True, True]),
    )
    best = jax.jit(lambda found: detected(found, (60, 40), overlap=0.5, count=4))
    boxes, scores, classes, there = map(np.asarray, best(found))
    assert there.tolist() == [True, True, False, False]
    np.testing.assert_array_equal(boxes[:2], [[0, 0, 52, 40], [0, 0, 50, 40]])
    assert classes.tolist() == [4, 2, 0, 0]
    np.testing.assert_allclose(scores, [0.9, 0.7, 0, 0])
    assert not boxes[2:].any()


def test_it_lowers_for_accelerators():
    shapes = [jax.ShapeDtypeStruct((2, *each.shape), each.dtype) for each in (MANY, SCORES, EVERY)]
    mapped = jax.jit(jax.vmap(lambda b, s, t: kept(b, s, t, overlap=0.5, count=100)))
    for platform in ("cuda", "tpu"):
        text = jax.export.export(mapped, platforms=[platform])(*shapes).mlir_module()
        assert "callback" not in text and "tensor<?" not in text
