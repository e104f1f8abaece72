import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn_jax import Init, Model, models
from cnn_jax.errors import UserError
from cnn_jax.pretrained.body_weights import body_name, load_body
from cnn_jax.pretrained.matching import paths
from cnn_jax.pretrained.preparation import preparation_of
from cnn_jax.pretrained.published import published
from cnn_jax.pretrained.safetensors_file import write_safetensors
from cnn_jax.recipe import Recipe

WIDTHS = (4, 8, 8)
FCOS = {
    "body": "simple_cnn",
    "body_options": {"widths": WIDTHS, "norm": "batch"},
    "at": (4, 8),
    "extra_levels": 0,
    "channels": 8,
    "head_depth": 1,
    "head_norm": "none",
}


def variables(name, classes, **options):
    model = models.create(name, classes, **options)
    inputs = jnp.zeros((1, 32, 32, 3))
    made = jax.eval_shape(lambda: model.init(jax.random.key(0), inputs))
    random = np.random.default_rng(classes)
    return jax.tree.map(lambda leaf: random.normal(size=leaf.shape).astype(leaf.dtype), dict(made))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """Weights of a net of ten classes, and the file they lie in."""
    found = variables("simple_cnn", 10, widths=WIDTHS, norm="batch", hidden=(16,))
    file = tmp_path_factory.mktemp("weights") / "net.safetensors"
    write_safetensors(file, {name: np.asarray(each) for name, each in paths(found).items()}, {})
    return found, file


def test_a_body_takes_the_weights_of_a_net_that_classifies(classifier):
    theirs, file = classifier
    before = variables("fcos", 3, **FCOS)
    loaded = load_body(file, Model("fcos", options=FCOS), before)
    found, known = paths(loaded.variables), paths(theirs)
    assert list(found) == list(paths(before))
    for path, value in found.items():
        collection, part, *rest = path.split("/")
        source = known["/".join((collection, *rest))] if part == "body" else paths(before)[path]
        np.testing.assert_array_equal(value, source, err_msg=path)
    assert any(path.startswith("batch_stats/body/") for path in found)
    report = loaded.report
    assert sorted(report.new) == ["box_head", "class_head", "fpn"]
    assert any("head" in name for name in report.left_out) and not report.unexpected


def test_weights_of_another_body_are_refused(classifier):
    _, file = classifier
    wider = {**FCOS, "body_options": {"widths": (4, 8, 16), "norm": "batch"}}
    with pytest.raises(UserError, match="does not fit the body simple_cnn: it lacks"):
        load_body(file, Model("fcos", options=wider), variables("fcos", 3, **wider))


def test_what_is_published_for_a_body_says_how_images_are_normalised():
    model = Model("fcos", options={"body": "efficientnet_lite0"})
    assert body_name(model) == "efficientnet_lite0" and body_name(Model("fcos")) == "resnet18"
    with pytest.raises(UserError, match="efficientnet_lite0 has none"):
        body_name(Model("efficientnet_lite0"))
    known = published("efficientnet_lite0")
    init = Init("imagenet", body=True)
    preparation, said = preparation_of(Recipe("toy", model=model, init=init), 3)
    assert preparation.mean == (known.mean,) * 3 and "as when the weights" in said
