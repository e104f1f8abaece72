import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from family_checks import (
    assert_bfloat16,
    count,
    stage_shapes,
    translated,
    variables_of,
)
from flax import traverse_util
from rich.console import Console

from cnn_jax import Data, Model, Optimizer, Recipe, models, steps, train
from cnn_jax.errors import UserError
from cnn_jax.evaluation.restored import restore
from cnn_jax.experiment import data_spec, load_data
from cnn_jax.models import airbench
from cnn_jax.models.airbench import ConvGroup, dirac, whitening, with_whitening
from cnn_jax.models.cost import shapes

TINY = {"widths": (32, 32, 32)}


def test_parameters_by_hand():
    groups = 9 * (24 * 64 + 64 * 64 + 64 * 256 + 256 * 256 + 2 * 256 * 256)
    biases = 24 + 2 * (64 + 256 + 256)
    assert count("airbench94") == 288 + groups + biases + 2560 == 1_971_640
    groups = 9 * (24 * 128 + 128**2 + 128 * 384 + 3 * 384**2)
    biases = 24 + 2 * (128 + 384 + 384)
    assert count("airbench95") == 288 + groups + biases + 3840
    groups = 9 * (24 * 128 + 2 * 128**2 + 128 * 384 + 2 * 384**2 + 384 * 512 + 2 * 512**2)
    biases = 24 + 3 * (128 + 384 + 512)
    assert count("airbench96") == 288 + groups + biases + 5120


@pytest.mark.parametrize(
    ("name", "epochs", "published"),  # PFLOP of a training run
    [("airbench94", 9.9, 0.36), ("airbench95", 15, 1.39), ("airbench96", 37, 4.91)],
)
def test_cost_is_as_published(name, epochs, published):
    forward = models.multiply_adds(models.create(name, 10), (32, 32, 3))
    # Two operations each; the gradient takes twice as many as the forward pass.
    assert 6 * forward * epochs * 50_000 / 1e15 == pytest.approx(published, rel=0.05)


def test_shapes():
    found = stage_shapes("airbench94", 32, 32)
    assert found == {"features": (3, 3, 256), "embedding": (256,)}
    assert stage_shapes("airbench96", 40, 48)["features"] == (4, 5, 512)
    with pytest.raises(UserError, match="at least 9x9"):
        stage_shapes("airbench94", 8, 9)


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


def test_convolutions_start_as_the_identity():
    kernel = dirac(jax.random.key(0), (3, 3, 4, 6))
    x = jax.random.normal(jax.random.key(1), (1, 5, 5, 4))
    y = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_array_equal(y[..., :4], x)
    rest = kernel[..., 4:]
    assert 0.9 / 6 < jnp.abs(rest).max() <= 1 / 6  # 1/sqrt(9 * 4)
    assert jnp.unique(rest).size == rest.size
    # Fewer outputs than inputs: the first inputs.
    np.testing.assert_array_equal(dirac(jax.random.key(0), (3, 3, 4, 2))[1, 1], jnp.eye(4, 2))


@pytest.mark.parametrize("residual", [False, True])
def test_a_group_by_hand(residual):
    group = ConvGroup(2, depth=3, residual=residual)
    x = jnp.abs(jax.random.normal(jax.random.key(0), (1, 4, 4, 2)))
    variables = group.init(jax.random.key(1), x)
    pooled = x.reshape(1, 2, 2, 2, 2, 2).max((2, 4))

    # Convolutions are identities, normalisations of the initial statistics too.
    def gelu(x):
        return x * (1 + jax.lax.erf(x / jnp.sqrt(2.0))) / 2

    first = gelu(pooled)
    expected = gelu(gelu(first) + first) if residual else gelu(gelu(first))
    np.testing.assert_allclose(group.apply(variables, x), expected, rtol=1e-5)


def test_batch_statistics_and_scale():
    module, variables, x = variables_of("airbench94", (32, 32, 3), **TINY)
    assert set(variables["params"]["group1"]["norm1"]) == {"bias"}
    found = jax.jit(
        lambda v, x: module.apply(
            v, x, train=True, mutable=["batch_stats", "intermediates"], capture_intermediates=True
        )[1]
    )(variables, x)
    conv = found["intermediates"]["group1"]["conv2"]["__call__"][0]
    moved = found["batch_stats"]["group1"]["norm2"]
    np.testing.assert_allclose(moved["mean"], 0.4 * conv.mean((0, 1, 2)), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(moved["var"], 0.6 + 0.4 * conv.var((0, 1, 2)), rtol=1e-3)


def test_logits_are_a_ninth():
    module, variables, x = variables_of("airbench94", (32, 32, 3), **TINY)
    found = models.activations(module, variables, x, ["features", "head", "logits"])
    np.testing.assert_allclose(found["logits"], found["head"] / 9, rtol=1e-6)
    expected = found["features"].max((1, 2)) @ variables["params"]["head"]["kernel"]
    np.testing.assert_allclose(found["head"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_training_reaches_all_but_the_whitening_kernel():
    options = TINY | {"depth": 3, "residual": True}
    module, variables, x = variables_of("airbench96", (16, 16, 3), **options)

    @jax.jit
    @jax.value_and_grad
    def loss(params):
        logits, _ = module.apply(
            {**variables, "params": params}, x, train=True, mutable=["batch_stats"]
        )
        labels = jnp.array([0, 1, 2, 0])
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    params = variables["params"]
    value, gradient = loss(params)
    flat = traverse_util.flatten_dict(gradient, sep="/")
    assert [path for path, g in flat.items() if not jnp.any(g)] == ["whitening/kernel"]
    rate = 0.01 * value / optax.tree.norm(gradient, squared=True)
    lower, _ = loss(jax.tree.map(lambda p, g: p - rate * g, params, gradient))
    assert 0.98 * value < lower < value


@pytest.mark.slow
def test_bfloat16():
    assert_bfloat16("airbench94", (16, 16, 3), **TINY)


def test_torch_names():
    names = ["0", "7"]
    names += [f"{i}.{part}{n}" for i in (2, 3, 4) for part in ("conv", "norm") for n in (1, 2)]
    params = shapes(models.create("airbench94", 10), (32, 32, 3))["params"]
    layers = {"/".join(path[:-1]) for path in traverse_util.flatten_dict(params)}
    assert translated(airbench.TORCH_NAMES, names) == sorted(layers)


def test_a_run_begins_with_the_whitening_of_its_data_and_keeps_it(tmp_path):
    recipe = Recipe(
        name="airbench",
        data=Data("shapes:n=300,size=24,classes=3", validation=50),
        model=Model("airbench94", options={"widths": (4, 4, 4)}),
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
    wanted = airbench.whitening(images.astype(np.float32))
    np.testing.assert_allclose(jnp.abs(kernel), jnp.abs(wanted), rtol=1e-3, atol=1e-3)
