import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_checks import variables_of
from flax.traverse_util import flatten_dict
from rich.console import Console

from cnn_jax import Data, Model, Optimizer, Recipe, models, steps, train
from cnn_jax.data.recipe_data import data_spec, load_data
from cnn_jax.errors import UserError
from cnn_jax.layers.whitening import whitening, with_whitening
from cnn_jax.models.cost import shapes
from cnn_jax.restored import restore

TINY = {"widths": (32, 32, 32)}


def white(images, size=2):
    """The covariance of what the first half of the whitening filters make of images."""
    kernel = whitening(images, size)
    y = jax.lax.conv_general_dilated(
        images, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    half = y.shape[-1] // 2
    np.testing.assert_array_equal(kernel[..., half:], -kernel[..., :half])
    flat = y[..., :half].reshape(-1, half)
    return flat.T @ flat / len(flat)


def correlated_images():
    noise = jax.random.normal(jax.random.key(0), (50, 12, 10, 3))
    mixed = noise @ jnp.array([[2.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.5]])
    return mixed[:, 1:] + mixed[:, :-1] + 0.3


@pytest.mark.parametrize("size", [2, 3])
def test_whitening_makes_patches_white(size):
    found = white(correlated_images(), size)
    # Of a direction of strength v, v/(v + 5e-4) is left.
    np.testing.assert_allclose(found, np.eye(3 * size**2), atol=2e-2)
    assert jnp.all(jnp.diag(found) < 1)


def test_whitening_by_hand():
    # Patches of one pixel and two maps: strengths 4 and 1 along the axes, not centred.
    images = jnp.array([[[2.0, 0.0], [-2.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])[None]
    kernel = whitening(images, size=1, eps=0.25).reshape(2, 4)
    # Mean squares are 8/4 and 2/4; the stronger direction comes first.
    expected = [[1 / 2.25**0.5, 0], [0, 1 / 0.75**0.5]]
    np.testing.assert_allclose(jnp.abs(kernel[:, :2]), expected, rtol=1e-6)
    np.testing.assert_array_equal(kernel[:, 2:], -kernel[:, :2])


def test_whitening_takes_its_place():
    module, variables, _ = variables_of("airbench94", (32, 32, 3), **TINY)
    kernel = whitening(correlated_images())
    params = with_whitening(variables["params"], kernel)
    np.testing.assert_array_equal(params["whitening"]["kernel"], kernel)
    assert params["group1"] is variables["params"]["group1"]
    assert not jnp.array_equal(variables["params"]["whitening"]["kernel"], kernel)
    x = correlated_images()
    found = models.activations(module, {**variables, "params": params}, x, ["whitening"])
    half = found["whitening"][..., :12].reshape(-1, 12)
    np.testing.assert_allclose(half.T @ half / len(half), np.eye(12), atol=2e-2)


def test_a_kernel_of_another_shape_is_refused():
    _, variables, _ = variables_of("airbench94", (32, 32, 3), **TINY)
    with pytest.raises(UserError, match=r"shape \(3, 3, 3, 54\) for a net that has \(2, 2, 3, 24"):
        with_whitening(variables["params"], whitening(correlated_images(), 3))
    with pytest.raises(UserError, match="parameters without whitening: head"):
        with_whitening({"head": {}}, whitening(correlated_images()))
    with pytest.raises(UserError, match="float type, not uint8"):
        whitening(jnp.zeros((1, 8, 8, 3), jnp.uint8))


@pytest.mark.parametrize(("model", "inputs"), [("simple_cnn", 1), ("resnet20", 3)])
def test_the_option_of_other_models(model, inputs):
    module = models.create(model, 10, whiten=True)
    whitened = shapes(module, (17, 17, inputs))["params"]
    plain = shapes(models.create(model, 10), (16, 16, inputs))["params"]
    assert whitened["whitening"]["kernel"].shape == (2, 2, inputs, 8 * inputs)
    # What follows sees the maps of the whitening, one pixel fewer each way.
    first = "conv1/kernel" if model == "simple_cnn" else "stem/conv/kernel"
    now, before = (
        {"/".join(path): leaf.shape for path, leaf in flatten_dict(tree).items()}
        for tree in (whitened, plain)
    )
    assert before[first][2] == inputs and now[first][2] == 8 * inputs
    changed = {name for name in before if now[name] != before[name]}
    assert changed == {first}
    assert module.frozen == "^whitening/kernel$" and models.create(model, 10).frozen is None
    assert models.create(model, 10).fitted is None
    with pytest.raises(UserError, match="too small"):
        shapes(module, (1, 1, inputs))


@pytest.mark.parametrize(
    ("model", "options"),
    [
        pytest.param("airbench94", {"widths": (4, 4, 4)}, marks=pytest.mark.slow),
        ("simple_cnn", {"widths": (4,), "whiten": True}),
    ],
)
def test_a_run_begins_with_the_whitening_of_its_data_and_keeps_it(model, options, tmp_path):
    recipe = Recipe(
        name="whitened",
        data=Data("shapes:n=300,size=24,classes=3", validation=50),
        model=Model(model, options=options),
        optimizer=Optimizer("sgd", weight_decay=0.1),
        batch_size=50,
        duration=steps(2),
    )
    train(recipe, tmp_path / "run", console=Console(quiet=True))
    dataset = load_data(recipe.data)
    spec = data_spec(dataset)
    images = (dataset.train.images / 255 - np.array(spec.mean)) / np.array(spec.std)
    kernel = restore(tmp_path / "run", "latest").variables["params"]["whitening"]["kernel"]
    # Eigenvectors have no sign of their own.
    wanted = whitening(images.astype(np.float32))
    np.testing.assert_allclose(jnp.abs(kernel), jnp.abs(wanted), rtol=1e-3, atol=1e-3)
