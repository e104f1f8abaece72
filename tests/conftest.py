"""What all tests share: a small recipe, and one compilation cache for all processes."""

import copy
import dataclasses
import gc
import os
from pathlib import Path

import pytest

# Small programs are compiled again and again by tests and the processes they start.
_cache = Path(__file__).parent.parent / ".pytest_cache" / "jax"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_cache))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")
# Where it is bounded, JAX reads the whole folder whenever it stores a program.
os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", "-1")
# Most of a test's time is XLA's compiling: plain code for programs that run a few times.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)

import jax  # noqa: E402
from flax import errors  # noqa: E402
from flax.core import Scope  # noqa: E402

from cnn_jax import Augment, Data, Model, Optimizer, Recipe, epochs  # noqa: E402
from cnn_jax.tasks import resolved  # noqa: E402
from cnn_jax.training.plan import Plan  # noqa: E402

QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}

# The random numbers of a parameter that is given already would be traced for their shape alone,
# in half of the time that tracing a model takes. Its arguments have that shape.
_param = Scope.param


def _given_param(scope, name, init, *arguments, **options):
    if not (arguments and isinstance(arguments[0], tuple) and scope.has_variable("params", name)):
        return _param(scope, name, init, *arguments, **options)
    scope.reserve(name, "params")
    value, shape = scope.get_variable("params", name), arguments[0]
    if value.shape != shape:
        raise errors.ScopeParamShapeError(name, scope.path_text, value.shape, shape)
    return value


Scope.param = _given_param


def pytest_collection_finish():
    # What has been imported stays: the collector need not look at it again and again.
    gc.freeze()


@pytest.fixture(autouse=True)
def no_width(monkeypatch):
    """What the tests' own terminal is wide is nothing to what they print."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(scope="session")
def tiny() -> Recipe:
    """A recipe that trains in a second on the digits of scikit-learn, with every kind of
    randomness: augmentation, dropout, batch statistics."""
    return Recipe(
        name="tiny",
        data=Data("digits", validation=200),
        augment=Augment(translation=0.1, mirror="alternating"),
        model=Model(
            "simple_cnn", options={"widths": (4,), "hidden": (16,), "norm": "batch", "dropout": 0.1}
        ),
        optimizer=Optimizer("sgd", learning_rate=0.05, options={"momentum": 0.9}),
        batch_size=64,
        duration=epochs(2),
        ema=0.9,
    )


@pytest.fixture(scope="session")
def changed():
    """`changed(recipe, {"model.name": ..., "seed": 1})`: a recipe with other fields."""

    def change(recipe, fields):
        for path, value in fields.items():
            head, _, rest = path.partition(".")
            if rest:
                value = change(getattr(recipe, head), {rest: value})
            recipe = dataclasses.replace(recipe, **{head: value})
        return recipe

    return change


@pytest.fixture(scope="session")
def sharing():
    """`sharing(experiment, recipe)`: the experiment of a recipe that differs in nothing that is
    compiled, such as how often it is validated or when patience ends, with the same program."""

    def share(experiment, recipe):
        experiment.program.compile_train(*experiment.step_arrays())
        experiment.program.compile_evaluation()
        experiment.program.compile_seal()
        experiment.program.compile_init()
        program = copy.copy(experiment.program)
        program.recipe = resolved(recipe)
        program.plan = Plan.of(program.recipe, program.spec.examples)
        return dataclasses.replace(experiment, recipe=program.recipe, program=program)

    return share


@pytest.fixture(scope="session")
def init():
    """Maps (module, images) and perhaps a seed to the initial variables."""

    def make(module, x, seed=0):
        # Most of the time of small tests is spent compiling the random numbers of `init`.
        return jax.jit(module.init, compiler_options=QUICK)(jax.random.key(seed), x)

    return make
