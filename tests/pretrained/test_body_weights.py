"""The weights of a classifier become those of the body of another net."""

import re

import jax
import numpy as np
import pytest

from cnn_jax import Init, Model, Recipe, models
from cnn_jax.errors import UserError
from cnn_jax.models.cost import shapes
from cnn_jax.models.resnet import TORCH_NAMES
from cnn_jax.pretrained.body_weights import body_name, load_body
from cnn_jax.pretrained.matching import paths
from cnn_jax.pretrained.names import export_weights
from cnn_jax.pretrained.preparation import preparation_of
from cnn_jax.pretrained.published import published
from cnn_jax.pretrained.safetensors_file import write_safetensors

DEPTHS = {"depths": (1, 1, 1, 1), "width": 8}
DETECTOR = Model(
    "retinanet", options={"body": "resnet18", "body_options": DEPTHS, "channels": 8, "at": (8, 16)}
)


def drawn(module):
    random = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: random.normal(size=leaf.shape).astype(np.float32), shapes(module, (64, 64, 3))
    )


@pytest.fixture(scope="module")
def template():
    module = models.create(DETECTOR.name, 3, **DETECTOR.options)
    return jax.tree.map(
        lambda leaf: np.full(leaf.shape, 7, np.float32), shapes(module, (64, 64, 3))
    )


@pytest.mark.parametrize("theirs", [True, False])
def test_a_classifier_becomes_the_body(theirs, template, tmp_path):
    classifier = drawn(models.create("resnet18", 10, **DEPTHS))
    tensors = export_weights(classifier, TORCH_NAMES) if theirs else paths(classifier)
    write_safetensors(tmp_path / "net.safetensors", tensors, {})
    loaded = load_body(tmp_path / "net.safetensors", DETECTOR, template)
    found, given = paths(loaded.variables), paths(classifier)
    for path, value in found.items():
        kind, _, rest = path.partition("/")
        if rest.startswith("body/"):
            inner = f"{kind}/{rest.removeprefix('body/')}"
            np.testing.assert_array_equal(value, given[inner], err_msg=path)
        else:
            assert np.all(np.asarray(value) == 7), path
    assert loaded.report.new == ("box_head", "class_head", "fpn")
    # Nothing is seen of what lies behind the maps of stride 16.
    assert all(re.search("layer4|fc|stage4|head", name) for name in loaded.report.left_out)
    assert loaded.report.left_out and "arrays loaded" in str(loaded.report)


def test_another_body_is_refused(template, tmp_path):
    tensors = export_weights(drawn(models.create("resnet18", 10, **DEPTHS)), TORCH_NAMES)
    del tensors["layer2.0.conv1.weight"]
    write_safetensors(tmp_path / "net.safetensors", tensors, {})
    lacking = "another shape, params/stage2/block0/conv1/conv/kernel$"
    with pytest.raises(UserError, match=f"does not fit the body resnet18: it lacks, .* {lacking}"):
        load_body(tmp_path / "net.safetensors", DETECTOR, template)
    loaded = load_body(tmp_path / "net.safetensors", DETECTOR, template, matching=True)
    lost = "params/body/stage2/block0/conv1/conv/kernel"
    assert loaded.report.missing == (lost,) and loaded.report.matching
    assert lost in str(loaded.report) and lost in loaded.report.kept
    body = loaded.variables["params"]["body"]["stage2"]["block0"]
    assert np.all(body["conv1"]["conv"]["kernel"] == 7)
    np.testing.assert_array_equal(
        body["conv2"]["conv"]["kernel"].transpose(3, 2, 0, 1), tensors["layer2.0.conv2.weight"]
    )


def test_a_model_without_a_body_is_refused(template, tmp_path):
    with pytest.raises(UserError, match=r"resnet18 has none; these have: .*retinanet"):
        load_body(tmp_path / "net.safetensors", Model("resnet18"), template)


def test_what_is_published_for_a_body_says_how_images_are_normalised():
    model = Model("fcos", options={"body": "efficientnet_lite0"})
    assert body_name(model) == "efficientnet_lite0" and body_name(Model("fcos")) == "resnet18"
    with pytest.raises(UserError, match="efficientnet_lite0 has none"):
        body_name(Model("efficientnet_lite0"))
    known = published("efficientnet_lite0")
    init = Init("imagenet", body=True)
    preparation, said = preparation_of(Recipe("toy", model=model, init=init), 3)
    assert preparation.mean == (known.mean,) * 3 and "as when the weights" in said
