"""The compiled functions of a recipe on a mesh: built once, used by every seed."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, Sharding

from cnn_jax.batch import Batch
from cnn_jax.checkpoints.seal import Sealer
from cnn_jax.data.dataset import Examples
from cnn_jax.data.spec import DataSpec
from cnn_jax.devices.compilation import Options, compile_with
from cnn_jax.devices.compilation_cache import Compilation, watched
from cnn_jax.devices.mesh import (
    Compile,
    Parallel,
    batch_sharding,
    batches_sharding,
    gathered,
    most_steps,
    on_host,
    placed,
    replicated,
    shardings,
    split,
)
from cnn_jax.layers.batch_axis import BatchAxis
from cnn_jax.models import parameter_count
from cnn_jax.optimisation.frozen import check_frozen, frozen_pattern
from cnn_jax.optimisation.lookahead import make_lookahead
from cnn_jax.optimisation.optimizers import update_lines
from cnn_jax.optimisation.parameter_rules import check_factors
from cnn_jax.optimisation.schedules import rates
from cnn_jax.recipe import Recipe
from cnn_jax.state import TrainState, Variables, stream, with_variables
from cnn_jax.tasks import make_task
from cnn_jax.training.checks import check_recipe
from cnn_jax.training.compiled_steps import MappedStep, PartitionedStep, Whole
from cnn_jax.training.evaluator import Evaluator, make_model
from cnn_jax.training.fitting import fits, fitted
from cnn_jax.training.norm_checks import check_norms, norms_met
from cnn_jax.training.not_finite import first_not_finite
from cnn_jax.training.own_checks import check_own_functions, check_own_model
from cnn_jax.training.plan import Plan
from cnn_jax.training.recipe_functions import (
    abstract_state,
    init_function,
    optimizer_of,
    parts_of,
    schedule_of,
    train_step_of,
)
from cnn_jax.training.step import Metrics, TrainStep

_QUICK_COMPILE: Options = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}


class Program:
    """Initialisation, training step and evaluation of a recipe, compiled for a mesh.

    Args:
      recipe: what is trained; its seed is not used here.
      spec: facts of the data.
      mesh: the devices.
      compile: `jit` or `pmap`, see `cnn_jax.devices.mesh.Parallel`.
      debug: keep the state that a step is given, so that `explain` can repeat the step; every
        step is a call.
      steps_per_call: see `cnn_jax.devices.mesh.Parallel`.
      workers: processes that read a streamed set, see `cnn_jax.training.input`.
      free_rate: give the peak learning rate to each step, so that `with_rate` needs no compiling;
        sums may differ in their last digits from those of a program that has it built in.

    Attributes:
      steps_per_call: the steps of a call of `train_step`, as fits the plan.

    Raises:
      UserError: a name, an option or a size in the recipe does not fit.
    """

    def __init__(
        self,
        recipe: Recipe,
        spec: DataSpec,
        mesh: Mesh,
        compile: Compile = Parallel.compile,
        *,
        debug: bool = False,
        steps_per_call: int | None = Parallel.steps_per_call,
        workers: int | None = None,
        free_rate: bool = False,
    ) -> None:
        self.recipe = recipe
        self.spec = spec
        self.mesh = mesh
        self.debug = debug
        self._mapped = compile == "pmap"
        self._free_rate = free_rate and not self._mapped and recipe.schedule.name != "own"
        # Several processes have to agree in which step they stop.
        self.agrees = jax.process_count() > 1
        check_recipe(recipe, spec, mesh.size, each_alone=self._mapped)
        self.plan = plan = Plan.of(recipe, spec.examples)
        self.steps_per_call = plan.together(
            1 if debug else most_steps(mesh, compile, steps_per_call, streamed=spec.streamed)
        )
        self.schedule = schedule_of(recipe, plan)
        self.task = task = make_task(recipe, spec)
        self._model = make_model(recipe, task)
        check_own_model(recipe, task, self._model)
        task.check(self._model)
        self.frozen = frozen_pattern(recipe.optimizer.freeze, self._model)
        self.optimizer = optimizer_of(recipe, task, self._model, plan)
        make_lookahead(recipe.lookahead, plan.total)  # refuses what does not fit
        self.compilations = dict.fromkeys(("init", "train", "evaluate", "seal"), Compilation())
        self._evaluator = Evaluator(recipe, spec, mesh, workers)
        init = init_function(recipe, task, self._model, self.optimizer)
        with norms_met() as met:
            self.abstract_state = abstract_state(recipe, spec, mesh)
        self._norm_lines = check_norms(
            recipe,
            self._model,
            self.abstract_state.variables,
            met,
            example=task.example(),
            frozen=self.frozen,
        )
        check_frozen(recipe.optimizer.freeze, self.abstract_state.params)
        check_factors(recipe.optimizer, self.abstract_state.params)
        self._sealer: Sealer | None = None
        check_own_functions(recipe, spec, task, self.abstract_state, self._model)
        self._jitted_init = jax.jit(init, out_shardings=shardings(self.abstract_state))
        self._init_compiled: Any = None
        self._train_compiled: Any = None
        self._many_compiled: Any = None
        self.rates = np.empty(0)

    def _timed(self, what: str, build: Callable[[], Any]) -> Any:
        with watched() as found:
            built = build()
        self.compilations[what] += found
        return built

    def take_compile_seconds(self) -> dict[str, float]:
        """Seconds spent compiling since the last call: of several seeds, the first pays."""
        taken = {what: found.seconds for what, found in self.compilations.items()}
        self.compilations = dict.fromkeys(taken, Compilation())
        return taken

    def init(self, seed: int) -> TrainState:
        """The state before the first step, with random parameters."""
        self.compile_init()
        return self._init_compiled(jnp.uint32(seed))

    def compile_init(self) -> None:
        """Compiles what makes the first state, once; a run that goes on does not need it."""
        if self._init_compiled is not None:
            return
        on_cpu = self.mesh.devices.flat[0].platform == "cpu"
        self._init_compiled = self._timed(
            "init",
            # Called once a run: XLA's best code for random numbers takes seconds to make.
            lambda: compile_with(
                self._jitted_init.lower(jax.ShapeDtypeStruct((), jnp.uint32)),
                _QUICK_COMPILE if on_cpu else {},
            ),
        )

    def start(self, seed: int, inputs: Any) -> TrainState:
        """The state before the first step, fitted to the data where the model asks for that.

        Args:
          seed: of the random parameters.
          inputs: raw, a tree of arrays (n, ...), those of the training part.
        """
        state = self.init(seed)
        if not self.fits:
            return state
        variables = on_host(self.mesh, state.variables)
        variables["params"] = self.fitted(variables["params"], inputs)
        return with_variables(state, variables, self.optimizer)

    def fitted(self, params: Any, inputs: Any) -> Any:
        """Parameters fitted to the data, see `cnn_jax.training.fitting.fitted`."""
        return fitted(self._model, self.task, params, inputs)

    def update_lines(self) -> list[str]:
        """What hardly learns or does not move as the learning rate says, in lines for a user."""
        return self._norm_lines + update_lines(
            self.recipe.optimizer,
            self.abstract_state.params,
            self.frozen,
            parts_of(self.recipe, self.task, self._model),
        )

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return parameter_count(self.abstract_state.params)

    @property
    def fits(self) -> bool:
        """Whether the model is fitted to examples before the first step."""
        return fits(self._model)

    def compile_train(self, inputs: Whole, targets: Whole) -> None:
        """Compiles the training step for a data set on the device, once.

        Args:
          inputs: raw, a tree of arrays (n, ...) on every device, or their shapes; of a streamed
            set those of one step (b, ...), spread over the devices.
          targets: raw, a tree of as many.
        """
        if self._train_compiled is not None:
            return
        self.rates = self._timed("init", lambda: rates(self.schedule, self.plan.total))
        kind = MappedStep if self._mapped else PartitionedStep
        build = kind(
            mesh=self.mesh,
            state=self.abstract_state,
            batch_size=self.recipe.batch_size,
            make_batch=self._batch,
            make_step=self._train_step,
            norm_examples=self.recipe.model.norm_examples,
            given_up=() if self.debug else (0,),
            agrees=self.agrees,
            streamed=self.spec.streamed,
            free_rate=self._free_rate,
        )
        self._train_compiled = self._timed("train", lambda: build(inputs, targets))
        if self.steps_per_call > 1:
            assert isinstance(build, PartitionedStep)
            self._many_compiled = self._timed(
                "train", lambda: build.many(inputs, targets, self.steps_per_call)
            )

    @property
    def compiled_step(self) -> jax.stages.Compiled | None:
        """The training step's program, once it is compiled; None with `pmap`, which has two."""
        step = self._train_compiled
        return step if isinstance(step, jax.stages.Compiled) else None

    def with_rate(self, recipe: Recipe) -> Program | None:
        """The same program for a recipe that differs in its peak learning rate alone, if in
        anything; None where that is built in.
        """
        changed = dataclasses.replace(recipe.optimizer, learning_rate=-1.0)
        own = dataclasses.replace(self.recipe.optimizer, learning_rate=-1.0)
        if not self._free_rate or changed != own:
            return None
        found = copy.copy(self)
        found.recipe, found.schedule = recipe, schedule_of(recipe, self.plan)
        found.optimizer = optimizer_of(recipe, self.task, self._model, self.plan)
        found.rates = rates(found.schedule, self.plan.total)
        # The first that is given what was compiled pays for it.
        self.compilations = dict.fromkeys(self.compilations, Compilation())
        return found

    def _train_step(self, axis: BatchAxis, peak: jax.Array | None = None) -> TrainStep:
        return train_step_of(
            self.recipe,
            self.spec,
            axis=axis,
            peak=peak,
            gathered=functools.partial(gathered, self.mesh),
            split=functools.partial(split, self.mesh),
        )

    def _batch(
        self,
        seed: jax.Array,
        step: jax.Array,
        inputs: Any,
        targets: Any,
        indices: jax.Array,
        epochs: jax.Array,
    ) -> Batch:
        if not self.spec.streamed:
            inputs, targets = jax.tree.map(
                lambda leaf: jnp.take(leaf, indices, axis=0), (inputs, targets)
            )
        key, run_key = stream(seed, step, "augment"), stream(seed, 0, "run")
        return self.task.training_batch(key, run_key, inputs, targets, epochs, indices)

    def train_step(
        self,
        state: TrainState,
        inputs: Any,
        targets: Any,
        indices: np.ndarray,
        epochs: np.ndarray,
        asked: bool = False,
    ) -> tuple[TrainState, Metrics]:
        """One update, or `steps_per_call` of them; the state given is used up.

        Args:
          state: the state before.
          inputs: as for `compile_train`.
          targets: as for `compile_train`.
          indices: int32, the examples of this step (b,), or of each of several (steps_per_call, b).
          epochs: int32, as many, the epoch in which each is seen.
          asked: whether this process is asked to stop; where there are several, the metric
            `asked` tells all of them whether any is.

        Returns:
          The state after, and the metrics; of several steps with a row a step, but for `asked`.
        """
        many = indices.ndim == 2
        sharding = batches_sharding(self.mesh) if many else batch_sharding(self.mesh)
        run = self._many_compiled if many else self._train_compiled
        return run(state, inputs, targets, *self._placed(indices, epochs, sharding, asked))

    def _placed(
        self, indices: np.ndarray, epochs: np.ndarray, sharding: Sharding, asked: bool
    ) -> list[jax.Array]:
        places = [placed(indices, sharding), placed(epochs, sharding)]
        if self._free_rate:
            peak = np.array(self.recipe.optimizer.learning_rate, np.float32)
            places.append(placed(peak, replicated(self.mesh)))
        if self.agrees:
            places.append(placed(np.full(self.mesh.size, asked), batch_sharding(self.mesh)))
        return places

    def explain(
        self,
        state: TrainState,
        inputs: Any,
        targets: Any,
        indices: np.ndarray,
        epochs: np.ndarray,
    ) -> str | None:
        """The operation of a step that first gave a number which is not finite, if any does.

        Repeats the step operation by operation, which takes long.

        Args:
          state: the state before the step.
          inputs: as for `compile_train`.
          targets: as for `compile_train`.
          indices: (b,) int32, the examples of the step.
          epochs: (b,) int32, the epoch in which each is seen.
        """
        state = jax.tree.map(jnp.asarray, on_host(self.mesh, state))
        given = (inputs, targets)
        if self.spec.streamed:
            inputs, targets = jax.tree.map(jnp.asarray, on_host(self.mesh, given))
        else:
            inputs, targets = jax.tree.map(lambda leaf: leaf.addressable_data(0), given)
        train_step = self._train_step(BatchAxis(self.recipe.model.norm_examples))
        batch = self._batch(
            state.seed, state.step, inputs, targets, jnp.asarray(indices), jnp.asarray(epochs)
        )
        return first_not_finite(lambda: train_step(state, batch))

    def compile_seal(self) -> None:
        """Compiles what takes the seals of states, once."""
        if self._sealer is None:
            self._sealer = self._timed("seal", lambda: Sealer(self.abstract_state))

    @property
    def sealer(self) -> Sealer:
        """What takes the seals of this program's states."""
        self.compile_seal()
        assert self._sealer is not None
        return self._sealer

    def compile_evaluation(self) -> None:
        """Compiles the evaluation step, once."""
        variables = self.abstract_state.evaluated
        self._timed("evaluate", lambda: self._evaluator.compile(variables))

    def evaluate(
        self,
        variables: Variables,
        split: Examples,
        stop: Callable[[], bool] = lambda: False,
        *,
        chosen: Mapping[str, Any] | None = None,
        choose: bool = False,
        kept: dict[str, np.ndarray] | None = None,
    ) -> dict[str, Any] | None:
        """Metrics over every example of a split, see `cnn_jax.training.evaluator.Evaluator`."""
        return self._evaluator(variables, split, stop, chosen=chosen, choose=choose, kept=kept)
