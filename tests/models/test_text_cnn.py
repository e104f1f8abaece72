import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_checks import activations

from cnn_jax import UserError, models
from cnn_jax.models.cost import shapes

SMALL = {"vocabulary": 12, "embedding": 6, "maps": 4}
TEXTS = np.array([[2, 3, 4, 5, 6, 7, 8], [9, 2, 2, 0, 0, 0, 0], [0] * 7], np.int32)


@pytest.fixture(scope="module")
def net():
    """A small net, what applies it, and variables that are nowhere zero."""
    module = models.create("text_cnn", 3, **SMALL)
    random = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda leaf: random.normal(0, 0.5, leaf.shape).astype(np.float32), shapes(module, (7,))
    )
    return module, jax.jit(module.apply), variables


@pytest.mark.parametrize(("classes", "count"), [(2, 360_902), (5, 361_805), (6, 362_106)])
def test_parameters_are_the_published_ones_besides_the_vectors(classes, count):
    params = dict(shapes(models.create("text_cnn", classes, vocabulary=100), (9,))["params"])
    assert params.pop("words")["vectors"].shape == (100, 300)
    assert models.parameter_count(params) == count


def test_it_begins_as_the_original_code():
    module = models.create("text_cnn", 2, vocabulary=50, maps=20)
    params = jax.device_get(jax.jit(module.init)(jax.random.key(0), TEXTS))["params"]
    for path, limit in (("words/vectors", 0.25), ("conv4/kernel", 0.01)):
        outer, inner = path.split("/")
        values = params[outer][inner]
        assert 0.99 * limit < np.abs(values).max() <= limit
        np.testing.assert_allclose(np.std(values), limit / np.sqrt(3), rtol=0.02)
    for outer, inner in (("head", "kernel"), ("head", "bias"), ("conv3", "bias")):
        assert not np.any(params[outer][inner])


def test_features_are_those_of_a_loop_over_windows(net):
    module, _, variables = net
    found = activations(module, variables, TEXTS, ["embedding", "decided3"])
    params = jax.tree.map(np.asarray, variables["params"])
    vectors = params["words"]["vectors"][TEXTS] * (TEXTS > 0)[..., None]
    padded = np.pad(vectors, ((0, 0), (4, 4), (0, 0)))  # as the original
    expected, first = [], None
    for width in (3, 4, 5):
        kernel, bias = params[f"conv{width}"]["kernel"], params[f"conv{width}"]["bias"]
        starts = range(padded.shape[1] - width + 1)
        maps = [np.einsum("bwc,wcf->bf", padded[:, i : i + width], kernel) for i in starts]
        maps = np.maximum(np.stack(maps, 1) + bias, 0)
        expected.append(maps.max(1))
        first = maps.argmax(1) - 4 if width == 3 else first
    expected = np.concatenate(expected, -1)
    # The longest text has a window of 5 places without a word here, and not in the original.
    expected[0, 8:] = np.maximum(expected[0, 8:], params["conv5"]["bias"])
    np.testing.assert_allclose(found["embedding"], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["decided3"], first)


def test_more_padding_changes_nothing(net):
    _, apply, variables = net
    expected = np.asarray(apply(variables, TEXTS))
    longer = apply(variables, np.pad(TEXTS, ((0, 0), (0, 9))))
    np.testing.assert_allclose(longer, expected, rtol=1e-5, atol=1e-6)
    # Nor does less; and the order of words counts.
    alone = apply(variables, TEXTS[1:2, :3])
    np.testing.assert_allclose(alone, expected[1:2], rtol=1e-5, atol=1e-6)
    turned = np.asarray(apply(variables, TEXTS[:, ::-1]))
    assert np.abs(turned - expected)[0].max() > 0.01


def test_the_vector_of_padding_is_zero_and_is_not_learnt(net):
    module, _, variables = net

    @jax.jit
    @jax.grad
    def gradient(params):
        return jnp.sum(module.apply({"params": params}, TEXTS) ** 2)

    found = np.asarray(gradient(variables["params"])["words"]["vectors"])
    assert not np.any(found[0]) and not np.any(found[10:])
    assert np.any(found[2:10], axis=1).all()


def test_dropout_and_bfloat16(net):
    module, apply, variables = net
    expected = np.asarray(apply(variables, TEXTS))

    @jax.jit
    def dropped(key):
        return module.apply(variables, TEXTS, train=True, rngs={"dropout": key})

    one, other = (np.asarray(dropped(jax.random.key(seed))) for seed in (0, 1))
    assert np.abs(one - other).max() > 0.01
    half = jax.jit(models.create("text_cnn", 3, dtype="bfloat16", **SMALL).apply)(variables, TEXTS)
    assert half.dtype == jnp.float32
    assert 0 < np.abs(np.asarray(half) - expected).max() < 0.05 * np.abs(expected).max()


def test_what_it_refuses():
    with pytest.raises(UserError, match="takes texts"):
        shapes(models.create("text_cnn", 2), (8, 8, 1))
    with pytest.raises(UserError, match="each once"):
        models.create("text_cnn", 2, windows=(3, 3))
