"""The compiled functions of a recipe on a mesh: built once, used by every seed."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax.sharding import Mesh

from cnn_jax import augment
from cnn_jax.augment import output_shape, training_batch
from cnn_jax.data import Split, check_batch
from cnn_jax.data.spec import DataSpec
from cnn_jax.duration import Duration
from cnn_jax.errors import UserError, unknown
from cnn_jax.models import parameter_count
from cnn_jax.parallel import batch_sharding, compiler_options, replicated
from cnn_jax.recipe import Recipe
from cnn_jax.tasks.losses import make_loss
from cnn_jax.training.evaluator import Evaluator, make_model, normalisation
from cnn_jax.training.optimizers import make_optimizer
from cnn_jax.training.schedules import make_schedule
from cnn_jax.training.state import TrainState, Variables, init_state, stream
from cnn_jax.training.step import Metrics, make_train_step

_QUICK_COMPILE = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}


@dataclass(frozen=True)
class Plan:
    """The durations of a recipe in steps.

    Attributes:
      total: length of the training.
      validate: steps between validations, need not be whole.
      save: steps between checkpoints, need not be whole.
      log: steps between lines of training metrics, need not be whole.
      examples: training examples in an epoch.
      batch_size: examples in a step.
    """

    total: int
    validate: float
    save: float
    log: float
    examples: int
    batch_size: int

    @classmethod
    def of(cls, recipe: Recipe, examples: int) -> Plan:
        """The plan of a recipe on so many training examples.

        Raises:
          UserError: a duration is zero or in the wrong unit.
        """
        if recipe.duration.unit == "percent":
            raise UserError(f"--duration {recipe.duration}: percent of what? Give epochs or steps.")
        batch_size = recipe.batch_size
        total = recipe.duration.steps(batch_size=batch_size, examples=examples)

        def interval(flag: str, duration: Duration) -> float:
            found = duration.exact_steps(
                batch_size=batch_size, examples=examples, total_steps=total
            )
            if found <= 0:
                raise UserError(f"{flag} {duration} must be longer than nothing")
            return max(1.0, found)

        interval("--duration", recipe.duration)
        return cls(
            total=total,
            validate=interval("--validate-every", recipe.validate_every),
            save=interval("--checkpoints.every", recipe.checkpoints.every),
            log=interval("--log-every", recipe.log_every),
            examples=examples,
            batch_size=batch_size,
        )

    @staticmethod
    def due(step: int, interval: float) -> bool:
        """Whether a multiple of the interval is nearest to this step.

        So what comes every epoch comes at the epochs' ends, and falls together with the end
        of the training, although an epoch is no whole number of steps.
        """
        return math.floor((step + 0.5) / interval) > math.floor((step - 0.5) / interval)

    def epoch(self, step: int) -> float:
        """Passes over the training examples that so many steps make."""
        return step * self.batch_size / self.examples


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
        self._optimizer = make_optimizer(recipe.optimizer, self.schedule)
        self._model = make_model(recipe, spec)
        self.input_shape = output_shape(recipe.preprocess, spec.image_shape)
        self.compile_seconds = {"init": 0.0, "train": 0.0, "evaluate": 0.0}
        self._evaluator = Evaluator(recipe, spec, mesh)
        init = _init_function(recipe, self._model, self._optimizer, self.input_shape)
        self.abstract_state = abstract_state(recipe, spec, mesh)
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
        """The state before the first step."""
        return self._init_compiled(jnp.uint32(seed))

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
            self._optimizer,
            ema=recipe.ema,
            accumulate=recipe.optimizer.accumulate,
            update_norms=recipe.log_norms,
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
            lambda: jitted.lower(self.abstract_state, images, labels, place, place).compile(
                compiler_options(self.mesh)
            ),
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
    init = _init_function(
        recipe,
        make_model(recipe, spec),
        make_optimizer(recipe.optimizer, schedule),
        output_shape(recipe.preprocess, spec.image_shape),
    )
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=replicated(mesh)),
        jax.eval_shape(init, jax.ShapeDtypeStruct((), jnp.uint32)),
    )


def _init_function(
    recipe: Recipe,
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    input_shape: tuple[int, int, int],
) -> Callable[[jax.Array], TrainState]:
    average = recipe.ema is not None
    return lambda seed: init_state(seed, model, optimizer, input_shape, average=average)


def check_names(part: Any, path: str = "") -> None:
    """Checks every field of a recipe that has a list of valid values.

    The command line does so itself; a recipe in a file or in code may be misspelt.

    Raises:
      UserError: a value is not on the list.
    """
    hints = get_type_hints(type(part))
    for field in dataclasses.fields(part):
        value, flag = getattr(part, field.name), path + field.name.replace("_", "-")
        if dataclasses.is_dataclass(value):
            check_names(value, f"{flag}.")
        elif get_origin(hints[field.name]) is Literal and value not in get_args(hints[field.name]):
            raise unknown(f"--{flag}", str(value), get_args(hints[field.name]))


def check_recipe(recipe: Recipe, spec: DataSpec, devices: int) -> None:
    """Checks what can be checked before anything is compiled.

    Raises:
      UserError: a value does not fit the data, the devices or another value.
    """
    check_names(recipe)
    check_batch(spec.examples["train"], recipe.batch_size, devices)
    augment.check(recipe.augment, recipe.preprocess, spec.image_shape)
    parts = recipe.optimizer.accumulate
    if parts < 1 or recipe.batch_size % (parts * devices):
        raise UserError(
            f"--optimizer.accumulate {parts}: the batch of {recipe.batch_size} cannot be split "
            f"into so many parts on {devices} device{'s' * (devices > 1)}"
        )
    for flag, value, valid in (
        ("--ema", recipe.ema, recipe.ema is None or 0 <= recipe.ema < 1),
        (
            "--loss.label-smoothing",
            recipe.loss.label_smoothing,
            0 <= recipe.loss.label_smoothing < 1,
        ),
    ):
        if not valid:
            raise UserError(f"{flag} {value} must be at least 0 and below 1")
    for field in ("keep_latest", "keep_best"):
        if getattr(recipe.checkpoints, field) < 1:
            raise UserError(f"--checkpoints.{field.replace('_', '-')} must be at least 1")
    patience = recipe.early_stopping.patience
    if patience is not None and patience < 1:
        raise UserError(f"--early-stopping.patience {patience} must be at least 1")
    if not 0 <= recipe.seed < 2**32:
        raise UserError(f"--seed {recipe.seed} must be at least 0 and below 2**32")
