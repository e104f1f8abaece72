"""The compiled functions of a recipe on a mesh: built once, used by every seed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax.sharding import Mesh

from cnn_jax import models
from cnn_jax.augment import output_shape, preprocess, training_batch
from cnn_jax.data import Split
from cnn_jax.data.spec import DataSpec
from cnn_jax.models import parameter_count
from cnn_jax.parallel import batch_sharding, compiled, replicated
from cnn_jax.recipe import Recipe
from cnn_jax.tasks.losses import make_loss
from cnn_jax.training.checks import check_recipe
from cnn_jax.training.evaluator import Evaluator, make_model, normalisation
from cnn_jax.training.frozen import check_frozen, frozen_pattern
from cnn_jax.training.optimizers import check_factors, make_optimizer, update_lines
from cnn_jax.training.plan import Plan
from cnn_jax.training.schedules import make_schedule
from cnn_jax.training.state import TrainState, Variables, init_state, stream, with_variables
from cnn_jax.training.step import Metrics, make_train_step

_QUICK_COMPILE = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}


FITTED_TO = 5000
"""Training images that parameters are fitted to before the first step, as in airbench."""


class Program:
    """Initialisation, training step and evaluation of a recipe, compiled for a mesh.

    Args:
      recipe: what is trained; its seed is not used here.
      spec: facts of the data.
      mesh: the devices.

    Raises:
      UserError: a name, an option or a size in the recipe does not fit.
    """

    def __init__(self, recipe: Recipe, spec: DataSpec, mesh: Mesh) -> None:
        self.recipe = recipe
        self.spec = spec
        self.mesh = mesh
        check_recipe(recipe, spec, mesh.size)
        self.plan = plan = Plan.of(recipe, spec.examples["train"])
        self.schedule = schedule_of(recipe, plan)
        self._model = make_model(recipe, spec)
        self.frozen = frozen_pattern(recipe.optimizer.freeze, self._model)
        self.input_shape = output_shape(recipe.preprocess, spec.image_shape)
        self.optimizer = _optimizer(recipe, self._model, self.schedule, self.input_shape)
        self.compile_seconds = {"init": 0.0, "train": 0.0, "evaluate": 0.0}
        self._evaluator = Evaluator(recipe, spec, mesh)
        init = _init_function(recipe, self._model, self.optimizer, self.input_shape)
        self.abstract_state = abstract_state(recipe, spec, mesh)
        check_frozen(recipe.optimizer.freeze, self.abstract_state.params)
        check_factors(recipe.optimizer, self.abstract_state.params)
        jitted = jax.jit(init, out_shardings=replicated(mesh))
        self._init_compiled = self._timed(
            "init",
            # Called once a run: XLA's best code for random numbers takes seconds to make.
            lambda: jitted.lower(jax.ShapeDtypeStruct((), jnp.uint32)).compile(
                _QUICK_COMPILE if mesh.devices.flat[0].platform == "cpu" else None
            ),
        )
        self._train_compiled: Any = None

    def _timed(self, what: str, build: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        built = build()
        self.compile_seconds[what] += time.perf_counter() - began
        return built

    def take_compile_seconds(self) -> dict[str, float]:
        """Seconds spent compiling since the last call: of several seeds, the first pays."""
        taken = dict(self.compile_seconds)
        self.compile_seconds = dict.fromkeys(taken, 0.0)
        return taken

    def init(self, seed: int) -> TrainState:
        """The state before the first step, with random parameters."""
        return self._init_compiled(jnp.uint32(seed))

    def start(self, seed: int, images: jax.Array) -> TrainState:
        """The state before the first step, fitted to the data where the model asks for that.

        A class of models does so by a method `fitted(params, images) -> params`, which is given
        the first `FITTED_TO` training images as evaluation prepares them.

        Args:
          seed: of the random parameters.
          images: (n, h, w, c) uint8, the training images.
        """
        state = self.init(seed)
        fitted = getattr(self._model, "fitted", None)
        if fitted is None:
            return state
        mean, std = normalisation(self.recipe, self.spec)
        prepared = preprocess(images[:FITTED_TO], self.recipe.preprocess, mean, std)
        variables = {**state.variables, "params": fitted(state.params, prepared)}
        return with_variables(state, variables, self.optimizer)

    def update_lines(self) -> list[str]:
        """What does not move as the learning rate says, in lines for a user."""
        return update_lines(
            self.recipe.optimizer,
            self.abstract_state.params,
            self.frozen,
            _parts(self.recipe, self._model, self.input_shape),
        )

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return parameter_count(self.abstract_state.params)

    def compile_train(self, images: jax.Array, labels: jax.Array) -> None:
        """Compiles the training step for a data set on the device, once.

        Args:
          images: (n, h, w, c) uint8, on every device.
          labels: (n,) int32, on every device.
        """
        if self._train_compiled is not None:
            return
        recipe, spec = self.recipe, self.spec
        train_step = make_train_step(
            self._model,
            make_loss(recipe.loss),
            self.optimizer,
            ema=recipe.ema,
            accumulate=recipe.optimizer.accumulate,
            update_norms=recipe.log_norms,
            frozen=self.frozen,
        )
        mean, std = normalisation(recipe, spec)

        def step(
            state: TrainState,
            images: jax.Array,
            labels: jax.Array,
            indices: jax.Array,
            epochs: jax.Array,
        ) -> tuple[TrainState, Metrics]:
            batch = training_batch(
                stream(state.seed, state.step, "augment"),
                jnp.take(images, indices, axis=0),
                jnp.take(labels, indices, axis=0),
                epochs,
                indices,
                run_key=stream(state.seed, 0, "run"),
                preprocess=recipe.preprocess,
                augment=recipe.augment,
                mean=mean,
                std=std,
                num_classes=spec.num_classes,
            )
            return train_step(state, batch)

        whole, spread = replicated(self.mesh), batch_sharding(self.mesh)
        place = jax.ShapeDtypeStruct((recipe.batch_size,), jnp.int32, sharding=spread)
        jitted = jax.jit(
            step,
            in_shardings=(whole, whole, whole, spread, spread),
            out_shardings=(whole, whole),
            donate_argnums=0,
        )
        self._train_compiled = self._timed(
            "train",
            lambda: compiled(self.mesh, jitted, self.abstract_state, images, labels, place, place),
        )

    def train_step(
        self,
        state: TrainState,
        images: jax.Array,
        labels: jax.Array,
        indices: np.ndarray,
        epochs: np.ndarray,
    ) -> tuple[TrainState, Metrics]:
        """One update; the state given is used up.

        Args:
          state: the state before.
          images: (n, h, w, c) uint8, on every device.
          labels: (n,) int32, on every device.
          indices: (b,) int32, the examples of this step.
          epochs: (b,) int32, the epoch in which each is seen.
        """
        return self._train_compiled(state, images, labels, indices, epochs)

    def evaluate(
        self, variables: Variables, split: Split, stop: Callable[[], bool] = lambda: False
    ) -> dict[str, float | int] | None:
        """Metrics over every example of a split, or None if `stop` became true on the way."""
        self._timed("evaluate", lambda: self._evaluator.compile(variables))
        return self._evaluator(variables, split, stop)


def schedule_of(recipe: Recipe, plan: Plan) -> optax.Schedule:
    """The learning rate of a recipe by step."""
    return make_schedule(
        recipe.schedule,
        recipe.optimizer.learning_rate,
        plan.total,
        lambda duration: duration.steps(
            batch_size=plan.batch_size, examples=plan.examples, total_steps=plan.total
        ),
    )


def abstract_state(recipe: Recipe, spec: DataSpec, mesh: Mesh) -> TrainState:
    """Shapes and layout of the state of a recipe's run, without computing anything."""
    schedule = schedule_of(recipe, Plan.of(recipe, spec.examples["train"]))
    model, shape = make_model(recipe, spec), output_shape(recipe.preprocess, spec.image_shape)
    init = _init_function(recipe, model, _optimizer(recipe, model, schedule, shape), shape)
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=replicated(mesh)),
        jax.eval_shape(init, jax.ShapeDtypeStruct((), jnp.uint32)),
    )


def _optimizer(
    recipe: Recipe,
    model: nn.Module,
    schedule: optax.Schedule,
    input_shape: tuple[int, int, int],
) -> optax.GradientTransformation:
    return make_optimizer(
        recipe.optimizer,
        schedule,
        frozen_pattern(recipe.optimizer.freeze, model),
        _parts(recipe, model, input_shape),
    )


def _parts(recipe: Recipe, model: nn.Module, input_shape: tuple[int, int, int]) -> list[str]:
    """The model's parts in the order of computation, where the optimizer asks for them."""
    by_layer = recipe.optimizer.layer_decay is not None
    return models.parts(model, input_shape) if by_layer else []


def _init_function(
    recipe: Recipe,
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    input_shape: tuple[int, int, int],
) -> Callable[[jax.Array], TrainState]:
    average = recipe.ema is not None
    return lambda seed: init_state(seed, model, optimizer, input_shape, average=average)
