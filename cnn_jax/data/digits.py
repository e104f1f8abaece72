"""The handwritten digits that come inside scikit-learn, which need no download."""

from __future__ import annotations

import numpy as np

from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.splits import cut

TEST_EXAMPLES = 360


def load_digits() -> Dataset:
    """1,797 grey images of 8x8 pixels, 360 of them for test, by the fixed stratified rule.

    Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI repository; its
    17 shades of grey are spread over 0 to 255.
    """
    # Takes seconds, which runs on other data should not wait for.
    from sklearn import datasets

    found = datasets.load_digits()
    images = np.round(found.images * (255 / 16)).astype(np.uint8)[..., None]
    train, test = cut(Split(images, found.target.astype(np.int32)), TEST_EXAMPLES)
    return Dataset(
        name="digits",
        class_names=tuple(str(name) for name in found.target_names),
        train=train,
        validation=None,
        test=test,
        source=f"inside scikit-learn ({datasets.__name__}.load_digits)",
        notes=(f"the test part is {TEST_EXAMPLES} examples cut by a fixed stratified rule",),
    )
