"""What the tests of several families check in the same way, computing little or nothing."""

import contextlib
import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import traverse_util
from flax.core import Scope

from cnn_jax import models
from cnn_jax.layers.listening import _listeners
from cnn_jax.models.cost import shapes

BATCH = 4


def _zero_param(scope, name, init, shape, dtype=jnp.float32, **options):
    """What `Scope.param` does, with the value zero and no key."""
    scope.reserve(name, "params")
    if not scope.has_variable("params", name):
        scope.put_variable("params", name, jnp.zeros(shape, dtype))
    return scope.get_variable("params", name)


_layers_seen = {}


def _seen_before(call, args, kwargs, context):
    """What a layer did for the same options and shapes: deep nets repeat their blocks."""
    module, scope = context.module, context.module.scope
    collections = ("params", "batch_stats", "intermediates")
    options = tuple(
        (field.name, getattr(module, field.name))
        for field in dataclasses.fields(module)
        if field.name not in ("parent", "name")
    )
    arguments, structure = jax.tree.flatten((args, kwargs))
    avals = tuple(jax.typeof(x) if isinstance(x, jax.Array) else x for x in arguments)
    key = type(module), options, avals, structure, scope.is_mutable_collection("intermediates")
    # Who listens has to be told of every part, see `cnn_jax.models.body`.
    again = bool(_listeners.get()) or any(scope._collection(name) for name in collections)
    if not scope.path or again or context.method_name != "__call__" or not _hashable(key):
        return call(*args, **kwargs)
    if key not in _layers_seen:
        y = call(*args, **kwargs)
        found = {name: scope._collection(name) for name in collections}
        _layers_seen[key] = jax.tree.map(jax.typeof, (y, found))
        return y
    y, found = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), _layers_seen[key])
    for name, tree in found.items():
        if tree:
            scope._mutable_collection(name).update(tree)
    return y


def _hashable(value):
    try:
        hash(value)
    except TypeError:
        return False
    return True


@contextlib.contextmanager
def zero_parameters():
    """Models are traced in a part of the time: without random numbers, equal layers once."""
    with pytest.MonkeyPatch.context() as patch, nn.intercept_methods(_seen_before):
        patch.setattr(Scope, "param", _zero_param)
        yield


def quick_shapes(module, input_shape):
    """`cost.shapes` with zeros for initial values, whose shapes are the same."""
    with zero_parameters():
        return shapes(module, input_shape)


def multiply_adds(module, input_shape):
    """`models.multiply_adds`, sooner."""
    return models.multiply_adds(module, input_shape, quick_shapes(module, input_shape))


@functools.cache
def paper_shapes(name, **options):
    """Variables of a registered model for its paper's images and classes, as shapes."""
    entry = models.entry(name)
    return quick_shapes(models.create(name, entry.num_classes, **options), entry.input_shape)


def count(name, **options):
    """Parameters of a registered model for its paper's images and classes."""
    return models.parameter_count(paper_shapes(name, **options)["params"])


def activation_shapes(module, input_shape):
    """What a model puts out for two images on its way, by name, as shapes, all in one trace."""
    x = jax.ShapeDtypeStruct((2, *input_shape), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))

    def trace(key, x):
        _, state = module.init_with_output(key, x, mutable=True, capture_intermediates=True)
        return state["intermediates"]

    with zero_parameters():
        found = traverse_util.flatten_dict(jax.eval_shape(trace, key, x), sep="/")
    logits = {"__call__": "logits"}
    return {logits.get(k, k.removesuffix("/__call__")): v[0] for k, v in found.items()}


def stage_shapes(name, h, w, **options):
    """(h, w, c) of what the model marks as stages and features, and the lengths of the vectors."""
    module = models.create(name, 7, **options)
    found = activation_shapes(module, (h, w, 3))
    assert found["logits"].shape == (2, 7) and found["logits"].dtype == jnp.float32
    assert all(value.shape[0] == 2 for value in found.values())
    marked = ("stage", "features", "embedding")
    return {k: v.shape[1:] for k, v in found.items() if k.startswith(marked) and "/" not in k}


def assert_torch_names(name, table, kernels, norms=(), **options):
    """Every module of the reference is one of ours, and every one of ours is found."""
    variables = paper_shapes(name, **options)
    paths = {kind: set() for kind in ("kernel", "scale", "mean")}
    for tree in variables.values():
        for path in traverse_util.flatten_dict(tree):
            if path[-1] in paths:
                paths[path[-1]].add("/".join(path[:-1]))
    assert translated(table, kernels) == sorted(paths["kernel"])
    assert translated(table, norms) == sorted(paths["scale"]) == sorted(paths["mean"])


def translated(table, names):
    assert len(set(names)) == len(names)
    found = []
    for name in names:
        hits = [m.expand(ours) for theirs, ours in table if (m := re.fullmatch(theirs, name))]
        assert len(hits) == 1, (name, hits)
        found += hits
    return sorted(found)


def assert_flattened(name, flattened):
    params = traverse_util.flatten_dict(paper_shapes(name)["params"], sep="/")
    for path, shape in flattened.items():
        assert params[f"{path}/kernel"].shape[0] == np.prod(shape)


def images(shape, seed=0):
    return jax.random.normal(jax.random.key(seed), (BATCH, *shape))


def loss_and_gradient(module):
    """Compiles (variables, x, aux_weight) -> mean cross-entropy in training, gradient.

    Auxiliary logits, where the model has any, are weighed with aux_weight.
    """

    def loss(params, variables, x, aux_weight):
        logits, state = module.apply(
            {**variables, "params": params},
            x,
            train=True,
            rngs={"dropout": jax.random.key(0)},
            mutable=["batch_stats", "intermediates"],
        )
        aux = [v[0] for k, v in state["intermediates"].items() if k.startswith("aux")]
        assert all(v.shape == logits.shape and v.dtype == jnp.float32 for v in aux)
        labels = jnp.arange(BATCH) % module.num_classes
        losses = [
            optax.softmax_cross_entropy_with_integer_labels(v, labels).mean()
            for v in (logits, *aux)
        ]
        return losses[0] + aux_weight * sum(losses[1:])

    compiled = jax.jit(jax.value_and_grad(loss))
    # Results as NumPy arrays, since jax would compile what follows for every shape of parameters.
    return lambda variables, x, aux_weight=0.0: jax.device_get(
        compiled(variables["params"], variables, x, aux_weight)
    )


def assert_trains(name, shape, **options):
    """A gradient step lowers the loss, and a gradient reaches every parameter.

    Parameters of auxiliary heads are reached where their logits are part of the loss alone.
    """
    module, variables, x = variables_of(name, shape, **options)
    compiled = loss_and_gradient(module)
    value, gradient = compiled(variables, x)
    assert _unreached(gradient) == [path for path in _paths(gradient) if path.startswith("aux")]
    if _unreached(gradient):
        assert _unreached(compiled(variables, x, aux_weight=0.3)[1]) == []
    # As long a step as lowers the loss by a hundredth, were it linear.
    rate = 0.01 * value / squared_norm(gradient)
    moved = jax.tree.map(lambda p, g: p - rate * g, variables["params"], gradient)
    lower, _ = compiled({**variables, "params": moved}, x)
    assert 0.98 * value < lower < value
    return variables, value, gradient


def squared_norm(tree):
    return sum(np.square(leaf).sum() for leaf in jax.tree.leaves(tree))


def _paths(tree):
    return sorted(traverse_util.flatten_dict(tree, sep="/"))


def _unreached(gradient):
    flat = traverse_util.flatten_dict(gradient, sep="/")
    return [path for path in sorted(flat) if not np.any(flat[path])]


def assert_trains_alike_with_remat(name, shape, **options):
    """`assert_trains`, and rematerialisation changes neither loss nor gradient."""
    variables, value, gradient = assert_trains(name, shape, **options)
    module = models.create(name, 3, remat=True, **options)
    again, again_gradient = loss_and_gradient(module)(variables, images(shape))
    np.testing.assert_allclose(again, value, rtol=1e-4)
    difference = jax.tree.map(np.subtract, gradient, again_gradient)
    assert squared_norm(difference) < 1e-6 * squared_norm(gradient)
    assert rematerialised(name, shape, **options) > 0


def rematerialised(name, shape, **options):
    """How many parts of a model are rematerialised; with and without it has the same variables."""
    plain, module = (models.create(name, 3, remat=remat, **options) for remat in (False, True))
    variables = quick_shapes(plain, shape)
    assert variables == shapes(module, shape)
    x = jax.ShapeDtypeStruct((BATCH, *shape), jnp.float32)
    program = jax.make_jaxpr(module.apply)(variables, x)
    return sum(equation.primitive.name == "remat2" for equation in program.eqns)


def assert_bfloat16(name, shape, **options):
    """bfloat16 computes in bfloat16, gives float32 logits, and comes near float32."""
    exact, variables, x = variables_of(name, shape, **options)
    module = models.create(name, 3, dtype="bfloat16", **options)
    expected, logits = jax.jit(lambda v, x: (exact.apply(v, x), module.apply(v, x)))(variables, x)
    assert logits.dtype == jnp.float32
    deviation = jnp.abs(logits - expected).max() / jnp.abs(expected).max()
    assert 0 < deviation < 0.05
    found = jax.eval_shape(lambda v, x: models.activations(module, v, x), variables, x)
    others = {v.dtype for k, v in found.items() if not k.endswith("logits") and "aux" not in k}
    assert others == {jnp.dtype("bfloat16")}


def activations(module, variables, x, names):
    """Activations, by a program that computes no others."""
    return jax.jit(lambda v, x: models.activations(module, v, x, names))(variables, x)


def variables_of(name, shape, **options):
    """A model for three classes, variables of it drawn by NumPy, and images.

    Compiling `init` would take most of a test's time.
    """
    module = models.create(name, 3, **options)
    random = np.random.default_rng(0)

    def value(path, leaf):
        match path[-1].key:
            case "kernel":
                deviation = np.sqrt(2 / np.prod(leaf.shape[:-1]))
                return random.normal(0, deviation, leaf.shape).astype(leaf.dtype)
            case "scale" | "var":
                return np.ones(leaf.shape, leaf.dtype)
        return np.zeros(leaf.shape, leaf.dtype)

    variables = jax.tree_util.tree_map_with_path(value, quick_shapes(module, shape))
    return module, variables, images(shape)
