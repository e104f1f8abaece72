"""Boxes, images and weights that the references were made of, from names and shapes alone."""

import numpy as np
from references.synthetic import uniform, weight

HEIGHT, WIDTH = 96, 128
CLASSES = 3
# Last convolutions and layers: so that scores and boxes are neither all alike nor far out.
_LAST = ("cls_logits", "bbox_reg", "bbox_ctrness", "bbox_pred", "cls_score")


def boxes(name, count, height=HEIGHT, width=WIDTH):
    """(count, 4) float32: top, left, bottom, right, sides from 4 pixels to half of the image."""
    centre, side = np.split((uniform(name, (count, 4)) + 1) / 2, 2, axis=1)
    limits = np.float32([height, width])
    sides = 4 + side * (limits / 2 - 4)
    low = centre * (limits - sides)
    return np.concatenate([low, low + sides], axis=1).astype(np.float32)


def truth():
    """Of two images: 3 boxes, of which one is small, and 1 box, with 2 that are none."""
    first = np.float32([[8, 10, 60, 70], [30, 40, 90, 120], [5, 90, 20, 104]])
    second = np.float32([[20, 20, 84, 110], [0, 0, 0, 0], [40, 40, 20, 20]])
    return {
        "boxes": np.stack([first, second]),
        "classes": np.int32([[1, 2, 0], [2, 0, 1]]),
        "there": np.array([[True, True, True], [True, False, False]]),
    }


def images():
    """(2, 96, 128, 3) float32."""
    return np.float32(np.sqrt(3)) * uniform("images", (2, HEIGHT, WIDTH, 3))


def tensor(name, shape):
    """A tensor of a detector's state dict."""
    factor = np.float32(0.1 if name.split(".")[-2] in _LAST else 1)
    return factor * weight(name, shape)


def summary(array):
    """Mean, root mean square and 16 numbers of an array, spread evenly."""
    array = np.asarray(array, np.float64).ravel()
    some = array[np.linspace(0, len(array) - 1, 16).astype(int)]
    return np.float32([array.mean(), np.sqrt(np.square(array).mean()), *some])
