import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn_jax import models
from cnn_jax.errors import UserError
from cnn_jax.models import digit_codes
from cnn_jax.models.lenet5 import C3_INPUTS, PartialConv, Subsample, squash

# Table I of the paper, row by row: the maps of C3 that each map of S2 goes into.
TABLE_ROWS = [
    {0, 4, 5, 6, 9, 10, 11, 12, 14, 15},
    {0, 1, 5, 6, 7, 10, 11, 12, 13, 15},
    {0, 1, 2, 6, 7, 8, 11, 13, 14, 15},
    {1, 2, 3, 6, 7, 8, 9, 12, 14, 15},
    {2, 3, 4, 7, 8, 9, 10, 12, 13, 15},
    {3, 4, 5, 8, 9, 10, 11, 13, 14, 15},
]


@pytest.fixture(scope="module")
def lenet5(init):
    module = models.create("lenet5", 10)
    x = jax.random.normal(jax.random.key(1), (3, 32, 32, 1))
    return module, init(module, x), x


def test_the_papers_trainable_parameters(lenet5):
    _, variables, _ = lenet5
    counts = {name: models.parameter_count(part) for name, part in variables["params"].items()}
    assert counts == {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48120, "f6": 10164}
    assert models.parameter_count(variables) == 60000


def test_the_papers_shapes(lenet5):
    module, variables, x = lenet5
    shapes = {k: v.shape[1:] for k, v in models.activations(module, variables, x).items()}
    assert [shapes[name] for name in ("c1", "s2", "c3", "s4", "c5", "f6", "logits")] == [
        (28, 28, 6),
        (14, 14, 6),
        (10, 10, 16),
        (5, 5, 16),
        (1, 1, 120),
        (84,),
        (10,),
    ]


def test_the_table_of_connections():
    rows = [{o for o, inputs in enumerate(C3_INPUTS) if i in inputs} for i in range(6)]
    assert rows == TABLE_ROWS
    assert sum(map(len, C3_INPUTS)) * 25 == 1500


def test_c3_sees_the_connected_maps_and_no_others(init):
    module = PartialConv(C3_INPUTS, 5)
    x = jax.random.normal(jax.random.key(0), (1, 14, 14, 6))
    variables = init(module, x)
    before = module.apply(variables, x)
    for source, targets in enumerate(TABLE_ROWS):
        after = module.apply(variables, x.at[..., source].add(1.0))
        changed = np.flatnonzero(jnp.any(after != before, axis=(0, 1, 2)))
        assert set(changed.tolist()) == targets
    # Backwards: an output map has a gradient for its own inputs only.
    for target, inputs in enumerate(C3_INPUTS):
        gradient = jax.grad(lambda x, t=target: module.apply(variables, x)[..., t].sum())(x)
        reached = np.flatnonzero(jnp.any(gradient != 0, axis=(0, 1, 2)))
        assert tuple(reached.tolist()) == inputs


def test_a_partial_convolution_by_hand():
    module = PartialConv(((1,), (0, 1)), 1)
    params = {"kernel": jnp.array([2.0, 3.0, 5.0]).reshape(1, 1, 3), "bias": jnp.array([0.5, 0.25])}
    x = jnp.array([10.0, 100.0]).reshape(1, 1, 1, 2)
    # 2*100 + 0.5 and 3*10 + 5*100 + 0.25
    assert module.apply({"params": params}, x).ravel().tolist() == [200.5, 530.25]


def test_subsampling_by_hand():
    x = jnp.array([[1.0, 2], [3, 4]])[None, :, :, None]
    params = {"coefficient": jnp.array([0.5]), "bias": jnp.array([-2.0])}
    assert Subsample().apply({"params": params}, x).item() == 3.0


def test_the_scaled_tanh():
    # 1.7159 is rounded, so f(1) = 1 holds to five digits.
    np.testing.assert_allclose(squash(jnp.array([1.0, -1.0, 0.0])), [1, -1, 0], atol=2e-5)
    assert float(squash(jnp.float32(100.0))) == pytest.approx(1.7159)
    assert float(jax.grad(squash)(0.0)) == pytest.approx(1.7159 * 2 / 3)


def test_all_layers_up_to_f6_are_squashed(lenet5):
    module, variables, x = lenet5
    found = models.activations(module, variables, x)
    for name in ("c1", "s2", "c3", "s4", "c5", "f6"):
        np.testing.assert_allclose(found[f"{name}_squashed"], squash(found[name]), rtol=1e-5)


def test_logits_are_negative_squared_distances_from_the_codes(lenet5):
    module, variables, x = lenet5
    found = models.activations(module, variables, x)
    f6 = np.asarray(found["f6_squashed"], np.float64)
    codes = digit_codes.codes(10)
    for b in range(3):
        for i in range(10):
            distance = sum((f6[b, j] - codes[i, j]) ** 2 for j in range(84))
            assert found["logits"][b, i] == pytest.approx(-distance, rel=1e-5)


def test_a_code_itself_has_distance_zero_to_its_class(init):
    # F6 with zero kernel and biases of ±1 puts out the code, up to the rounding of 1.7159.
    module = models.create("lenet5", 10)
    variables = init(module, jnp.zeros((1, 32, 32, 1)))
    codes = digit_codes.codes(10)
    params = dict(variables["params"])
    params["f6"] = {"kernel": jnp.zeros((120, 84)), "bias": jnp.asarray(codes[7])}
    logits = module.apply({"params": params}, jnp.zeros((1, 32, 32, 1)))[0]
    assert logits.argmax() == 7
    assert float(logits[7]) == pytest.approx(0, abs=1e-5)
    differing = int((codes[7] != codes[0]).sum())
    assert float(logits[0]) == pytest.approx(-4 * differing, rel=1e-3)


def test_initial_values_lie_in_the_papers_range(lenet5):
    _, variables, _ = lenet5
    params = variables["params"]
    for layer, fan_in in [("c1", 25), ("c5", 400), ("f6", 120)]:
        for value in params[layer].values():
            limit = 2.4 / fan_in
            assert 0.7 * limit < jnp.abs(value).max() <= limit
    for value in (*params["s2"].values(), *params["s4"].values()):
        assert 0.3 < jnp.abs(value).max() <= 0.6
    # The maps of C3 have 3, 4 or 6 inputs; connections are stored map by map.
    kernel = np.abs(params["c3"]["kernel"])
    for connections, maps in [(slice(0, 18), 3), (slice(18, 54), 4), (slice(54, 60), 6)]:
        limit = 2.4 / (25 * maps)
        assert 0.9 * limit < kernel[..., connections].max() <= limit * (1 + 1e-6)


def test_the_digits_are_distinct_pictures_of_plus_and_minus_one():
    pictures = digit_codes.digits()
    assert pictures.shape == (10, 12, 7)
    assert set(np.unique(pictures)) == {-1.0, 1.0}
    # The one: a stroke down the middle, and a foot.
    assert (pictures[1, :, 3] == 1).all() and (pictures[1, 11] == [-1, 1, 1, 1, 1, 1, -1]).all()
    assert (pictures[0] == pictures[0, :, ::-1]).all()
    codes = digit_codes.codes(10)
    differing = (codes[:, None] != codes[None]).sum(-1)
    assert differing[~np.eye(10, dtype=bool)].min() == 5  # three and eight
    np.testing.assert_array_equal(codes[4].reshape(12, 7), pictures[4])


def test_other_numbers_of_classes_have_fixed_distributed_codes():
    codes = digit_codes.codes(26)
    assert codes.shape == (26, 84)
    assert set(np.unique(codes)) == {-1.0, 1.0}
    np.testing.assert_array_equal(codes, digit_codes.codes(26))
    differing = (codes[:, None] != codes[None]).sum(-1)
    assert differing[~np.eye(26, dtype=bool)].min() >= 20


def test_codes_are_constants_without_gradient(lenet5):
    _, variables, _ = lenet5
    assert set(variables) == {"params"}
    assert set(variables["params"]) == {"c1", "s2", "c3", "s4", "c5", "f6"}


def test_other_images_are_refused():
    module = models.create("lenet5", 10)
    for shape in [(1, 28, 28, 1), (1, 32, 32, 3)]:
        with pytest.raises(UserError, match=r"32x32x1, not .*preprocess.size=32"):
            jax.eval_shape(module.init, jax.random.key(0), jnp.zeros(shape))
