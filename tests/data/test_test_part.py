"""Whether a test part is cut is said, and can be said, for every kind of one's own data."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from cnn_jax import Data
from cnn_jax.data.recipe_data import load_data


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Forty pictures of two classes, three ways."""
    top = tmp_path_factory.mktemp("own")
    rows, images = ["file,class"], []
    for i in range(40):
        name = f"photos/{'ab'[i % 2]}/{i:02}.png"
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        images.append(np.full((4, 4), i, np.uint8))
        Image.fromarray(images[-1]).save(top / name)
        rows.append(f"{name},{'ab'[i % 2]}")
    (top / "table.csv").write_text("\n".join(rows))
    np.savez(top / "arrays.npz", x=np.stack(images), y=np.arange(40) % 2)
    return top


@pytest.mark.parametrize(
    ("form", "further"),
    [
        ("folder:{}/photos", {}),
        ("folder:{}/photos", {"streaming": True, "image_size": 4}),
        ("csv:{}/table.csv", {}),
        ("npz:{}/arrays.npz", {}),
    ],
)
def test_all_can_be_learnt_from(form, further, own):
    config = Data(form.format(own), validation=10, **further)

    def counts(test):
        found = load_data(dataclasses.replace(config, test=test))
        parts = (found.train, found.validation, found.test)
        return [0 if part is None else len(part) for part in parts], found.notes

    assert counts(None)[0] == [26, 10, 4]
    assert any("the test part is 4 examples cut" in note for note in counts(None)[1])
    assert counts(8.0)[0] == [22, 10, 8]
    without, notes = counts(0.0)
    assert without == [30, 10, 0]
    assert "there is no test part: --data.test 0" in notes
