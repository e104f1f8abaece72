"""What holds for every entry of the registry."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from cnn_jax import models

FIXED_SIZE = {"lenet5"}
CLASSES = 5
BATCH = 4
# Most of the time would be spent compiling the random numbers of `init`.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
F32 = jnp.dtype("float32")
EVERY = pytest.mark.parametrize("name", models.names())


def paper_shape(name):
    return models.entry(name).input_shape


def images(shape, seed=0):
    return jax.random.normal(jax.random.key(seed), (BATCH, *shape))


@functools.cache
def compiled(name, shape, dtype="float32"):
    """The functions init(key, x) and apply(variables, x) of a model, compiled once."""
    module = models.create(name, CLASSES, dtype=dtype)
    x = jax.ShapeDtypeStruct((BATCH, *shape), F32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    init = jax.jit(module.init, compiler_options=QUICK).lower(key, x).compile()
    variables = jax.eval_shape(module.init, key, x)
    return init, jax.jit(module.apply).lower(variables, x).compile()


def leaf_dtypes(tree):
    return {leaf.dtype for leaf in jax.tree.leaves(tree)}


@EVERY
def test_an_image_has_the_same_float32_logits_in_any_batch(name):
    h, w, c = paper_shape(name)
    for shape in [(h, w, c)] if name in FIXED_SIZE else [(h, w, c), (h + 4, w + 9, 3)]:
        init, apply = compiled(name, shape)
        x = images(shape)
        variables = init(jax.random.key(0), x)
        logits = apply(variables, x)
        assert logits.shape == (BATCH, CLASSES)
        assert logits.dtype == F32
        assert jnp.isfinite(logits).all()
        others = apply(variables, x.at[1:].set(images(shape, seed=1)[1:]))
        np.testing.assert_allclose(others[0], logits[0], rtol=1e-4, atol=1e-5)
        assert jnp.abs(others[1:] - logits[1:]).max() > 1e-3


@EVERY
@pytest.mark.parametrize("dtype", models.registry.DTYPES)
def test_variables_are_float32_and_only_params_and_batch_stats(name, dtype):
    module = models.create(name, CLASSES, dtype=dtype)
    x = jax.ShapeDtypeStruct((BATCH, *paper_shape(name)), F32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    variables = jax.eval_shape(module.init, key, x)
    assert set(variables) <= {"params", "batch_stats"}
    assert leaf_dtypes(variables) == {F32}

    def train(variables, x, key):
        return module.apply(
            variables, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
        )

    logits, updated = jax.eval_shape(train, variables, x, key)
    assert logits.shape == (BATCH, CLASSES) and logits.dtype == F32
    assert updated.get("batch_stats", {}) == variables.get("batch_stats", {})


@EVERY
def test_bfloat16_computes_in_bfloat16_and_comes_near_float32(name):
    shape = paper_shape(name)
    x = images(shape)
    init, apply = compiled(name, shape)
    variables = init(jax.random.key(0), x)
    expected = apply(variables, x)
    module = models.create(name, CLASSES, dtype="bfloat16")
    logits = jax.jit(module.apply)(variables, x)
    deviation = jnp.abs(logits - expected).max() / jnp.abs(expected).max()
    assert 0 < deviation < 0.05
    found = jax.eval_shape(lambda v, x: models.activations(module, v, x), variables, x)
    assert found.pop("logits").dtype == F32
    assert leaf_dtypes(found) == {jnp.dtype("bfloat16")}


@EVERY
def test_gradient_steps_on_one_batch_lower_the_loss_and_reach_every_parameter(name):
    module = models.create(name, CLASSES)
    x = images(paper_shape(name))
    labels = jnp.arange(BATCH) % CLASSES
    variables = dict(compiled(name, paper_shape(name))[0](jax.random.key(0), x))

    @jax.jit
    def step(params, stats, key):
        def loss(params):
            logits, updated = module.apply(
                {"params": params, **stats},
                x,
                train=True,
                rngs={"dropout": key},
                mutable=["batch_stats"],
            )
            values = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return values.mean(), updated

        (value, stats), gradient = jax.value_and_grad(loss, has_aux=True)(params)
        # Steps of a fixed length, since the scale of the logits differs between models.
        scale = 0.1 / jnp.sqrt(sum(jnp.vdot(g, g) for g in jax.tree.leaves(gradient)))
        moved = jax.tree.map(lambda p, g: p - scale * g, params, gradient)
        return moved, stats, value, gradient

    params, stats = variables.pop("params"), variables
    losses, reached = [], dict.fromkeys(traverse_util.flatten_dict(params), False)
    for i in range(15):
        params, stats, value, gradient = step(params, stats, jax.random.key(i))
        losses.append(float(value))
        for path, g in traverse_util.flatten_dict(gradient).items():
            reached[path] |= bool(np.any(g))
    assert losses[-1] < 0.9 * losses[0]
    assert [path for path, seen in reached.items() if not seen] == []


@EVERY
def test_activations_have_unique_names_and_end_with_the_logits(name):
    module = models.create(name, CLASSES)
    shape = paper_shape(name)
    x = images(shape)
    init, apply = compiled(name, shape)
    variables = init(jax.random.key(0), x)
    names = models.activation_names(module, shape)
    assert names[-1] == "logits"
    assert len(set(names)) == len(names)
    found = models.activations(module, variables, x)
    assert list(found) == names
    assert all(len(value) == BATCH for value in found.values())
    # Computed without compilation, and so also a check of the compiled program.
    np.testing.assert_allclose(found["logits"], apply(variables, x), rtol=1e-3, atol=1e-4)
    layers = {path[0] for path in traverse_util.flatten_dict(variables["params"])}
    assert layers <= {name.split("/")[0] for name in names}


@EVERY
def test_initial_kernels_follow_the_key(name):
    init, _ = compiled(name, paper_shape(name))
    x = images(paper_shape(name))
    first, again, other = (
        traverse_util.flatten_dict(init(jax.random.key(seed), x)["params"], sep="/")
        for seed in (0, 0, 1)
    )
    for path, value in first.items():
        np.testing.assert_array_equal(value, again[path])
        if path.endswith("kernel"):
            assert not np.array_equal(value, other[path])
