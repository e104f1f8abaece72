"""Overlaps, codes, anchors and losses against torchvision's, and what holds beyond these."""

import jax
import numpy as np
import optax
import pytest
from drawn import HEIGHT, WIDTH, boxes
from references.synthetic import uniform

from cnn_jax.detection.anchors import cell_anchors, grid_anchors, grid_points
from cnn_jax.detection.boxes import areas, clipped, overlaps, paired_giou
from cnn_jax.detection.coding import decode, decode_distances, encode, encode_distances
from cnn_jax.detection.losses import focal, smooth_l1

# A program for each function: eagerly every operation would be compiled.
encode = jax.jit(encode, static_argnames="weights")
decode = jax.jit(decode, static_argnames="weights")
paired_giou = jax.jit(paired_giou)
overlaps = jax.jit(overlaps)
focal = jax.jit(focal, static_argnames=("alpha", "gamma"))
smooth_l1 = jax.jit(smooth_l1, static_argnames="beta")
encode_distances = jax.jit(encode_distances)
decode_distances = jax.jit(decode_distances)

SOME, OTHERS = boxes("some", 40), boxes("others", 25)
WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def test_overlaps_are_those_of_torchvision(torchvision_parts):
    found = overlaps(OTHERS, SOME)
    np.testing.assert_allclose(found, torchvision_parts["iou"], rtol=1e-6, atol=1e-7)
    loss = 1 - paired_giou(SOME[:25], OTHERS)
    np.testing.assert_allclose(loss, torchvision_parts["giou_loss"], rtol=1e-5)


def test_boxes_without_area_overlap_nothing():
    flat = np.float32([[5, 5, 5, 9], [9, 9, 5, 5], [0, 0, 0, 0]])
    others = np.concatenate([flat, np.float32([[0, 0, 20, 20]])])
    assert not np.asarray(overlaps(flat, others)).any()
    assert jax.jit(areas)(flat).tolist() == [0, 0, 0]
    total = jax.jit(jax.grad(lambda x: overlaps(x, flat).sum() + paired_giou(x, flat).sum()))
    gradient = total(flat)
    assert np.isfinite(gradient).all()


def test_clipped_boxes_end_at_the_image():
    found = clipped(np.float32([[-5, 3, 200, 50], [1, 2, 3, 300]]), (100, 60))
    np.testing.assert_array_equal(found, [[0, 3, 100, 50], [1, 2, 3, 60]])


def test_codes_are_those_of_torchvision_and_lead_back(torchvision_parts):
    found = encode(SOME[:25], OTHERS, weights=WEIGHTS)
    np.testing.assert_allclose(found, torchvision_parts["encoded"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        decode(found, OTHERS, weights=WEIGHTS), SOME[:25], rtol=1e-4, atol=1e-3
    )
    deltas = 2 * uniform("deltas", (25, 4)) * np.float32(WEIGHTS)
    told = decode(deltas, OTHERS, weights=WEIGHTS)
    np.testing.assert_allclose(told, torchvision_parts["decoded"], rtol=1e-5, atol=1e-3)


def test_codes_of_boxes_without_area_are_finite():
    flat = np.float32([[5, 5, 5, 9], [0, 0, 0, 0]])
    for some, others in ((flat, OTHERS[:2]), (OTHERS[:2], flat)):
        assert np.isfinite(encode(some, others)).all()
    assert np.isfinite(decode(np.full((2, 4), np.float32(100)), OTHERS[:2])).all()


def test_distances_lead_back_to_the_box():
    points = np.float32([[30, 40], [0, 0]])
    found = encode_distances(SOME[:2], points)
    top, left, bottom, right = SOME[0]
    np.testing.assert_allclose(found[0], [40 - left, 30 - top, right - 40, bottom - 30], rtol=1e-6)
    np.testing.assert_allclose(decode_distances(found, points), SOME[:2], rtol=1e-5, atol=1e-5)


def test_anchors_are_those_of_torchvision(torchvision_parts):
    sizes, ratios = ((32, 40, 50), (64, 80, 101)), (0.5, 1.0, 2.0)
    found = [
        grid_anchors(grid, (HEIGHT, WIDTH), cell_anchors(each, ratios))
        for grid, each in zip(((12, 16), (6, 8)), sizes, strict=True)
    ]
    assert [len(each) for each in found] == [12 * 16 * 9, 6 * 8 * 9]
    np.testing.assert_array_equal(np.concatenate(found), torchvision_parts["anchors"])
    points = grid_points((12, 16), (HEIGHT, WIDTH))
    assert points[17].tolist() == [8, 8] and points.shape == (192, 2)


def test_the_focal_loss_is_that_of_torchvision(torchvision_parts):
    logits, targets = 4 * uniform("logits", (60,)), uniform("targets", (60,)) > 0
    found = focal(logits, targets)
    np.testing.assert_allclose(found, torchvision_parts["focal"], rtol=1e-5, atol=1e-7)
    half = focal(logits, targets, alpha=0.5, gamma=0.0)
    entropy = optax.sigmoid_binary_cross_entropy(logits, targets)
    np.testing.assert_allclose(half, entropy / 2, rtol=1e-6)
    np.testing.assert_allclose(focal(logits, targets, gamma=2.0), focal(logits, targets, gamma=2))


@pytest.mark.parametrize("beta", [1.0, 1 / 9])
def test_smooth_l1_meets_itself_where_it_turns(beta):
    errors = np.float32([0.0, beta * 0.999, beta * 1.001, 3.0])
    found = smooth_l1(errors, np.zeros(4, np.float32), beta=beta)
    np.testing.assert_allclose(found[1], found[2], rtol=1e-2)
    np.testing.assert_allclose(found[::3], [0, 3 - beta / 2])
