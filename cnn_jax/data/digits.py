"""The handwritten digits that come inside scikit-learn, which need no download."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image

from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.splits import cut

TEST_EXAMPLES = 360
TURNS = 8
"""So often is a digit seen in the training part of `rotated_digits`, each time turned anew."""

_SIDE = 32
# Keeps the random numbers apart from those of other sets.
_KEY = 0x7475726E


def load_digits() -> Dataset:
    """1,797 grey images of 8x8 pixels, 360 of them for test, by the fixed stratified rule.

    Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI repository; its
    17 shades of grey are spread over 0 to 255.
    """
    # Read as `sklearn.datasets.load_digits` does, whose import alone takes two seconds.
    spec = importlib.util.find_spec("sklearn")
    assert spec is not None and spec.origin is not None
    table = np.loadtxt(Path(spec.origin).parent / "datasets/data/digits.csv.gz", delimiter=",")
    images = np.round(table[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    train, test = cut(Split(images, table[:, -1].astype(np.int32)), TEST_EXAMPLES)
    return Dataset(
        name="digits",
        class_names=tuple("0123456789"),
        train=train,
        validation=None,
        test=test,
        source="inside scikit-learn (sklearn.datasets.load_digits)",
        notes=(f"the test part is {TEST_EXAMPLES} examples cut by a fixed stratified rule",),
    )


def load_rotated_digits() -> Dataset:
    """The digits of `load_digits`, enlarged to 32x32 and turned; told is by how many degrees.

    Angles from 0 to 360 run against the clock, and come from a fixed random stream. Each digit of
    the training part is there TURNS times, as one group; those of the test part once.
    """
    upright = load_digits()
    parts = {"train": (upright.train, TURNS), "test": (upright.test, 1)}
    random = np.random.Philox(key=_KEY)
    turned = {}
    for part, (split, turns) in parts.items():
        assert isinstance(split, Split)
        digits = np.repeat(np.arange(len(split)), turns)
        angles = (random.random_raw(len(digits)) >> np.uint64(40)).astype(np.float32) * (
            np.float32(360 / 2**24)
        )
        images = np.stack(
            [
                _turned(split.images[digit, ..., 0], angle)
                for digit, angle in zip(digits, angles, strict=True)
            ]
        )
        turned[part] = Split(
            images[..., None], angles[:, None], digits.astype(np.int32) if turns > 1 else None
        )
    return Dataset(
        name="rotated_digits",
        class_names=("angle",),
        train=turned["train"],
        validation=None,
        test=turned["test"],
        source=upright.source,
        notes=(*upright.notes, f"each training digit is turned {TURNS} times at random"),
    )


def _turned(image: np.ndarray, angle: float) -> np.ndarray:
    """An image (8, 8) uint8 as (32, 32), turned on black."""
    large = Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    return np.asarray(large.rotate(float(angle), Image.Resampling.BILINEAR))
