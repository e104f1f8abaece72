"""What holds for every entry of the registry that takes numbers, and not words.

Entries at their full size are only traced, once each, which computes nothing. What depends on the
class alone is asked of one entry, and what needs numbers of the configurations of `TINY`.
"""

import functools
import io
import math
import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from family_checks import count, squared_norm, zero_parameters
from flax import traverse_util
from published_counts import COUNTS
from quick_random import quick_key
from tiny_models import CLASSES, TINY

from cnn_jax import models
from cnn_jax.devices.compilation import compiled
from cnn_jax.devices.mesh import make_mesh

# The only models that take one size of images.
FIXED_SIZE = {"lenet5"}
# The only models whose parameters depend on the size of the images.
SHAPED_BY_SIZE = {"envnet", "lenet5_relu", "logmel_cnn", "piczak_cnn", "simple_cnn"}
# Parts whose outputs are logits.
LOGITS_OF = {"aux", "aux1", "aux2", "classifier", "low", "high"}
BATCH = 4
# Most of the time is spent compiling.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
F32, BF16 = jnp.dtype("float32"), jnp.dtype("bfloat16")
# One entry for every class, the smallest, which is traced soonest.
# Those that tell boxes are seen to in `tests/detection`, those of videos in `test_video_nets`.
NAMES = sorted(
    {*models.names()}.difference(
        models.names("tokens"), models.names("image", "boxes"), models.names("clip")
    )
)
ONE_EACH = {
    models.entry(name).module: name
    for name in sorted(NAMES, key=lambda name: (COUNTS[name], name), reverse=True)
}


# Configurations of which tests of their families see to most.
SEEN_ELSEWHERE = {
    "alexnet2012",
    "deeplab",
    "densenet",
    "efficientnet",
    "efficientnet_lite",
    "envnet",
    "fc_densenet",
    "fc_hardnet",
    "fcn",
    "googlenet",
    "inception_v3",
    "lraspp",
    "m34",
    "lenet5_relu",
    "lenet5_relu, other size",
    "mobilenet_v1",
    "mobilenet_v3",
    "mobilenet_v3_small",
    "nin",
    "piczak_cnn",
    "resnet, basic",
    "resnet1d",
    "segnet",
    "shufflenet_v2",
    "simple_cnn, norm",
    "simple_cnn, whitened",
    "squeezenet",
    "unet",
    "vgg",
    "wide_resnet",
}
# Whose gradients are those of kinds of layers that others have too.
LIKE_OTHERS = SEEN_ELSEWHERE | {
    "airbench", "alexnet", "inception_time", "logmel_cnn", "m11", "regnet",
}  # fmt: skip
# Configurations that are compared with bfloat16, one of every kind of layer; their types are of
# every class.
ALSO_IN_BFLOAT16 = {"lenet5", "mobilenet_v2", "resnet, bottleneck"}


# Which take seconds to trace at their full size.
DEEP = {
    "convnext_tiny", "densenet_bc100_12", "efficientnet_b0", "efficientnet_lite0",
    "fc_densenet56", "googlenet", "inception_v3", "lraspp_mobilenet_v3_large", "mobilenet_v3_large",
    "mobilenet_v3_small",
}  # fmt: skip


def slow_if(condition, name):
    return pytest.param(name, marks=[pytest.mark.slow] * condition)


def struct(shape):
    return jax.ShapeDtypeStruct((BATCH, *shape), F32)


def leaf_dtypes(tree):
    return {leaf.dtype for leaf in jax.tree.leaves(tree)}


class Traced(NamedTuple):
    """Shapes of a model.

    Attributes:
      name: of the model.
      logits: shape and dtype.
      variables: of all collections.
      layers: activations by path, in the order of computation.
    """

    name: str
    logits: object
    variables: dict
    layers: dict


@functools.cache
def trace(name, shape, dtype, train):
    """Makes and applies the model for images (h, w, c) without computing anything.

    Nor are initial values asked for: half of the time would go into random numbers of so many
    shapes.
    """
    module = models.create(name, models.entry(name).num_classes, dtype=dtype)
    order = []

    def run(keys, x):
        logits, found = module.init_with_output(
            keys, x, train=train, mutable=True, capture_intermediates=True
        )
        layers = traverse_util.flatten_dict(found.pop("intermediates"))
        order.extend(layers)
        return logits, found, layers

    key = jax.eval_shape(lambda: jax.random.key(0))
    keys = {"params": key, "dropout": key}
    with zero_parameters():
        logits, variables, layers = jax.eval_shape(run, keys, struct(shape))
    return Traced(name, logits, variables, {path: layers[path] for path in order})


# A fixture of the module's scope, so that the tests of one model stand together.
@pytest.fixture(
    scope="module",
    params=[slow_if(name not in ONE_EACH.values(), name) for name in NAMES],
)
def traced(request):
    """An entry in bfloat16 at evaluation of the paper's images."""
    return trace(request.param, models.entry(request.param).input_shape, "bfloat16", train=False)


def test_variables_are_float32_and_only_params_and_batch_stats(traced):
    assert "params" in traced.variables
    assert set(traced.variables) <= {"params", "batch_stats"}
    assert leaf_dtypes(traced.variables) == {F32}


# `test_documents` compares the stored numbers of all with the published ones.
@pytest.mark.parametrize(
    "name", [slow_if(name not in ONE_EACH.values(), name) for name in models.names()]
)
def test_the_number_of_parameters_is_the_published_one(name):
    # Where it is traced for other tests that will do.
    if name in ONE_EACH.values():
        variables = trace(name, models.entry(name).input_shape, "bfloat16", train=False).variables
        assert models.parameter_count(variables["params"]) == COUNTS[name]
    else:
        assert count(name) == COUNTS[name]


def test_layers_compute_in_bfloat16_and_logits_are_float32(traced):
    assert traced.logits.shape == logits_shape(traced.name, models.entry(traced.name).input_shape)
    for path, value in traced.layers.items():
        # Logits are float32 whatever the rest is, those of auxiliary heads too.
        name = "/".join(path).removesuffix("__call__").removesuffix("/")
        is_logits = name in ("", *LOGITS_OF) or name.endswith("_logits")
        assert leaf_dtypes(value) == {F32 if is_logits else BF16}, path


def test_layers_have_unique_names_and_the_logits_come_last(traced):
    assert list(traced.layers)[-1] == ("__call__",)
    names = ["/".join(path).removesuffix("/__call__") for path in traced.layers]
    assert len(set(names)) == len(names)
    assert all(leaf.shape[0] == BATCH for leaf in jax.tree.leaves(traced.layers))
    parts = {path[0] for path in traverse_util.flatten_dict(traced.variables["params"])}
    assert parts <= {path[0] for path in traced.layers}


def logits_shape(name, shape):
    entry = models.entry(name)
    places = shape[:2] if entry.output_kind == "pixels" else ()
    return (BATCH, *places, entry.num_classes)


def other_size(name):
    *sides, c = models.entry(name).input_shape
    if not sides:
        return (c + 900,)
    if len(sides) == 1:
        return (sides[0] + 9, c)
    h, w = sides
    if name in FIXED_SIZE:
        return (h, w, c)
    if name == "piczak_cnn":
        return (h + 4, w + 9, c)
    return (h + 4, w + 9, 3) if h < 64 else (h - 32, w + 9, c)


@pytest.mark.parametrize("name", [slow_if(name in DEEP, name) for name in ONE_EACH.values()])
def test_training_on_images_of_another_size_in_float32(name):
    paper = models.entry(name).input_shape
    found = trace(name, other_size(name), "float32", train=True)
    assert found.logits.shape == logits_shape(name, other_size(name))
    assert leaf_dtypes((found.variables, found.layers)) == {F32}
    if name not in SHAPED_BY_SIZE:
        assert found.variables == trace(name, paper, "bfloat16", train=False).variables


def test_every_class_has_a_tiny_configuration():
    assert {models.entry(tiny.name).module for tiny in TINY.values()} == set(ONE_EACH)


def images(shape, seed=0):
    return jax.random.normal(jax.random.key(seed), (BATCH, *shape))


def matches(pattern, path):
    return re.fullmatch(pattern, path) is not None


def lively(variables):
    """Variables with which signals keep their size and nothing is at zero or one.

    The initial values of some nets of the time before normalisation, made this small, put out
    next to nothing.
    """
    draw = np.random.default_rng(0).standard_normal

    def value(path, leaf):
        random = draw(leaf.shape, np.float32)
        if path[-1].key == "kernel":
            return random * math.sqrt(2 / math.prod(leaf.shape[:-1]))
        return np.asarray(leaf) + 0.1 * random

    return jax.tree.map_with_path(value, variables)


class Computed(NamedTuple):
    """A tiny model with all that several tests need.

    Attributes:
      tiny: its configuration.
      init: maps (key, x) to variables.
      activations: maps (variables, x) to activations by name.
      variables: lively ones, see there.
      x: images.
      expected: their activations.
      names: of these, in the order of computation.
    """

    tiny: object
    init: object
    activations: object
    variables: dict
    x: jax.Array
    expected: dict
    names: list


@pytest.fixture(scope="module", params=[slow_if(name in SEEN_ELSEWHERE, name) for name in TINY])
def computed(request):
    tiny = TINY[request.param]
    module, x = tiny.create(), images(tiny.shape)
    init = jax.jit(module.init, compiler_options=QUICK)
    names = []

    @jax.jit
    def activations(variables, x):
        found = models.activations(module, variables, x)
        names.extend(found)
        return found

    variables = lively(init(quick_key(0), x))
    expected = jax.tree.map(np.asarray, activations(variables, x))
    return Computed(tiny, init, activations, variables, x, expected, names)


def test_an_image_has_the_same_finite_activations_in_any_batch(computed):
    x, expected = computed.x, computed.expected
    changed = x.at[1:].set(images(x.shape[1:], seed=1)[1:])
    found = computed.activations(computed.variables, changed)
    for name, value in expected.items():
        assert np.isfinite(value).all(), name
        first = np.asarray(found[name])[0]
        np.testing.assert_allclose(first, value[0], rtol=1e-3, atol=1e-4, err_msg=name)
    assert np.abs(found["logits"] - expected["logits"])[1:].max() > 0.01


def test_activations_have_unique_names_that_end_with_the_logits(computed):
    assert computed.names[-1] == "logits"
    assert len(set(computed.names)) == len(computed.names)
    assert set(computed.names) == set(computed.expected)
    layers = {path[0] for path in traverse_util.flatten_dict(computed.variables["params"])}
    assert layers <= {name.split("/")[0] for name in computed.names}


def test_initial_kernels_follow_the_key(computed):
    first, again, other = (
        traverse_util.flatten_dict(computed.init(quick_key(seed), computed.x)["params"], sep="/")
        for seed in (0, 0, 1)
    )
    for path, value in first.items():
        np.testing.assert_array_equal(value, again[path])
        if path.endswith("kernel"):
            same = matches(computed.tiny.same_start, path)
            assert np.array_equal(value, other[path]) == same, path


@pytest.mark.parametrize(
    "computed",
    [slow_if(name not in ALSO_IN_BFLOAT16, name) for name in TINY],
    indirect=True,
)
def test_bfloat16_comes_near_float32(computed):
    expected = computed.expected["logits"]
    given = computed.variables, computed.x
    apply = compiled(make_mesh(), jax.jit(computed.tiny.create("bfloat16").apply), *given)
    logits = apply(*given)
    deviation = jnp.abs(logits - expected).max() / jnp.abs(expected).max()
    if computed.tiny.name == "segnet":
        # Of two values nearly alike the larger may be the other one: few jump to another pixel.
        deviation = jnp.linalg.norm(logits - expected) / jnp.linalg.norm(expected)
    assert 0 < deviation < 0.05


@pytest.mark.parametrize(
    "computed",
    [slow_if(name in LIKE_OTHERS, name) for name, tiny in TINY.items() if tiny.trained],
    indirect=True,
)
def test_gradient_steps_on_one_batch_lower_the_loss_and_reach_every_parameter(computed):
    module, x = computed.tiny.create(), computed.x
    labels = jnp.arange(BATCH) % CLASSES

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
            every = labels.reshape(-1, *(1,) * (logits.ndim - 2))
            values = optax.softmax_cross_entropy_with_integer_labels(
                logits, jnp.broadcast_to(every, logits.shape[:-1])
            )
            return values.mean(), updated

        return jax.value_and_grad(loss, has_aux=True)(params)

    stats = dict(computed.variables)
    params = stats.pop("params")
    losses, reached = [], dict.fromkeys(traverse_util.flatten_dict(params, sep="/"), False)
    for i in range(15):
        # The rest by NumPy, since a program of its own for every array would be compiled for long.
        (value, stats), gradient = jax.device_get(step(params, stats, quick_key(i)))
        losses.append(float(value))
        # Steps of a fixed length, since the scale of the logits differs between models.
        scale = 0.1 / math.sqrt(squared_norm(gradient))
        params = jax.tree.map(lambda p, g, scale=scale: p - np.float32(scale) * g, params, gradient)
        for path, value in traverse_util.flatten_dict(gradient, sep="/").items():
            reached[path] |= bool(np.any(value))
    assert losses[-1] < 0.9 * losses[0]
    for path, seen in reached.items():
        assert seen != matches(computed.tiny.unreached, path), path


def test_variables_written_by_their_paths_and_read_again_give_the_same_logits(computed):
    file = io.BytesIO()
    np.savez(file, **traverse_util.flatten_dict(computed.variables, sep="/"))
    file.seek(0)
    read = traverse_util.unflatten_dict(dict(np.load(file)), sep="/")
    assert jax.tree.structure(read) == jax.tree.structure(computed.variables)
    found = computed.activations(read, computed.x)
    np.testing.assert_array_equal(found["logits"], computed.expected["logits"])
