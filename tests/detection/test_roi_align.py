"""Maps cut out under boxes against torchvision's."""

import jax
import numpy as np
from drawn import boxes, summary
from references.synthetic import uniform

from cnn_jax.layers.cpu.platform import layers_for
from cnn_jax.layers.roi_align import RoiAlign, levels, roi_align

STRIDES = (8, 16, 32)
MAPS = [
    uniform(f"maps{place}", (2, 480 // stride, 640 // stride, 3))
    for place, stride in enumerate(STRIDES)
]
REGIONS = np.stack([boxes(f"regions{n}", 12, 480, 640) * 2.5 - 150 for n in range(2)])


def cut(maps, regions):
    return jax.vmap(lambda maps, regions: roi_align(maps, STRIDES, regions, 7))(maps, regions)


def test_maps_are_those_of_torchvision(torchvision_parts):
    found = np.asarray(jax.jit(cut)(MAPS, REGIONS)).reshape(24, 7, 7, 3)
    of_levels = jax.jit(lambda boxes: levels(boxes, STRIDES))(REGIONS[0])
    assert set(of_levels.tolist()) == {0, 1, 2}
    for ours, theirs in zip(found, torchvision_parts["regions"], strict=True):
        np.testing.assert_allclose(summary(ours), theirs, atol=2e-5)


def test_a_box_of_224_pixels_is_read_from_the_map_of_stride_16():
    sides = np.float32([10, 111, 113, 223, 225, 449, 2000])
    square = np.stack([0 * sides, 0 * sides, sides, sides], axis=1)
    found = jax.jit(lambda boxes: [levels(boxes, each) for each in ((4, 8, 16, 32), STRIDES)])
    first, second = found(square)
    assert first.tolist() == [0, 0, 1, 1, 2, 3, 3]
    assert second.tolist() == [0, 0, 0, 0, 1, 2, 2]


def test_of_a_slope_the_middles_of_the_cells_are_told():
    rows = np.arange(20, dtype=np.float32)[:, None, None] * np.ones((1, 20, 1), np.float32)
    found = jax.jit(lambda *maps: roi_align(maps, [8], np.float32([[16, 16, 72, 128]]), 7))(rows)
    np.testing.assert_allclose(found[0, :, 3, 0], 2 + np.arange(7) + 0.5, rtol=1e-6)


def test_gradients_go_to_the_maps_and_not_to_the_boxes():
    def total(maps, regions):
        return cut(maps, regions).sum()

    of_maps, of_boxes = jax.jit(jax.grad(total, argnums=(0, 1)))(MAPS, REGIONS)
    assert not of_boxes.any()
    # Each cell of a box that lies inside is a mean of pixels: its weights add up to one.
    inside = np.tile(np.float32([[100, 100, 300, 300]]), (2, 12, 1))
    alone, _ = jax.jit(jax.grad(total, argnums=(0, 1)))(MAPS, inside)
    total_weight = sum(np.asarray(each).sum() for each in alone)
    np.testing.assert_allclose(total_weight, 24 * 7 * 7 * 3, rtol=1e-5)
    assert all(np.isfinite(each).all() for each in of_maps)


def test_on_a_cpu_values_and_gradients_are_the_same():
    weights = uniform("weights", (2, 12, 7, 7, 3))
    # One of them ends at the edges.
    regions = np.concatenate([REGIONS[:, :11], np.float32([[[0, 0, 480, 640]]] * 2)], axis=1)

    def total(maps):
        return (weights * RoiAlign(7).apply({}, maps, STRIDES, regions)).sum()

    function = jax.value_and_grad(total)
    expected, of_maps = jax.jit(lambda maps: function(maps))(MAPS)
    with layers_for("cpu"):
        compiled = jax.jit(lambda maps: function(maps)).lower(MAPS)
    assert "while" in compiled.as_text()
    found, on_cpu = compiled.compile()(MAPS)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for ours, theirs in zip(on_cpu, of_maps, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
