import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from family_checks import (
    activations,
    assert_bfloat16,
    count,
    multiply_adds,
    paper_shapes,
    stage_shapes,
    translated,
    variables_of,
)
from flax import traverse_util

from cnn_jax import UserError, models
from cnn_jax.models import airbench
from cnn_jax.models.airbench import ConvGroup

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
    forward = multiply_adds(models.create(name, 10), (32, 32, 3))
    # Two operations each; the gradient takes twice as many as the forward pass.
    assert 6 * forward * epochs * 50_000 / 1e15 == pytest.approx(published, rel=0.05)


def test_shapes():
    found = stage_shapes("airbench94", 32, 32)
    assert found == {"features": (3, 3, 256), "embedding": (256,)}
    assert stage_shapes("airbench96", 40, 48)["features"] == (4, 5, 512)
    with pytest.raises(UserError, match="at least 9x9"):
        stage_shapes("airbench94", 8, 9)


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
    found = activations(module, variables, x, ["features", "head", "logits"])
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
    params = paper_shapes("airbench94")["params"]
    layers = {"/".join(path[:-1]) for path in traverse_util.flatten_dict(params)}
    assert translated(airbench.TORCH_NAMES, names) == sorted(layers)
