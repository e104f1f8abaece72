"""Boxes that lie in a grid over an image, which detectors move and stretch, and its points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Grid = tuple[int, int]
"""Rows and columns of a feature map."""


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float]) -> np.ndarray:
    """Anchors (len(ratios) * len(sizes), 4) around the point 0, rounded to whole pixels.

    Args:
      sizes: square roots of their areas, in pixels.
      ratios: height over width; all sizes of the first ratio come first.
    """
    root = np.sqrt(np.asarray(ratios, np.float32))[:, None]
    sides = np.asarray(sizes, np.float32)[None]
    heights, widths = (root * sides).ravel(), (1 / root * sides).ravel()
    # Halves are rounded to the even number, as torchvision rounds them.
    return np.round(np.stack([-heights, -widths, heights, widths], axis=1) / 2)


def grid_anchors(grid: Grid, image: tuple[int, int], cell: np.ndarray) -> np.ndarray:
    """Anchors (h * w * a, 4) float32 of a feature map: top, left, bottom, right, in pixels.

    They lie around the upper left corners of its cells, as torchvision's do; row after row, cell
    after cell, and in each in the order of `cell`.

    Args:
      grid: (h, w) of the feature map.
      image: height and width in pixels.
      cell: (a, 4), of `cell_anchors`.
    """
    corners = grid_points(grid, image)
    around = np.concatenate([corners, corners], axis=1)
    return (around[:, None] + cell[None]).reshape(-1, 4).astype(np.float32)


def grid_points(grid: Grid, image: tuple[int, int]) -> np.ndarray:
    """The upper left corners (h * w, 2) float32 of the cells of a feature map: row, column."""
    rows, columns = (
        np.arange(count) * (side // count) for count, side in zip(grid, image, strict=True)
    )
    points = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
    return points.reshape(-1, 2).astype(np.float32)
