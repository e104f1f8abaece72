"""The handwritten digits that come inside scikit-learn, which need no download."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.splits import cut

TEST_EXAMPLES = 360


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
