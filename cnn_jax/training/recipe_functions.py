"""What a recipe stands for: its schedule, its optimizer and the state that its runs begin with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax.sharding import AbstractMesh, Mesh

from cnn_jax import models
from cnn_jax.data.spec import DataSpec
from cnn_jax.devices.mesh import state_sharding
from cnn_jax.layers.batch_axis import BatchAxis
from cnn_jax.optimisation.frozen import frozen_pattern
from cnn_jax.optimisation.in_turn import in_turn
from cnn_jax.optimisation.lookahead import make_lookahead
from cnn_jax.optimisation.optimizers import make_optimizer
from cnn_jax.optimisation.schedules import make_schedule
from cnn_jax.recipe import Recipe
from cnn_jax.state import TrainState, init_state
from cnn_jax.tasks import Task, make_task
from cnn_jax.training.evaluator import make_model
from cnn_jax.training.plan import Plan
from cnn_jax.training.step import Layout, TrainStep, make_train_step


def schedule_of(recipe: Recipe, plan: Plan, peak: Any = None) -> optax.Schedule:
    """The learning rate of a recipe by step.

    Args:
      recipe: what is trained.
      plan: its durations in steps.
      peak: the peak learning rate, a number or an array (), by default the recipe's.
    """
    peak = recipe.optimizer.learning_rate if peak is None else peak
    return make_schedule(recipe.schedule, peak, plan.total, plan.steps)


def abstract_state(recipe: Recipe, spec: DataSpec, mesh: Mesh | AbstractMesh) -> TrainState:
    """Shapes and layout of the state of a recipe's run, without computing anything."""
    plan, task = Plan.of(recipe, spec.examples), make_task(recipe, spec)
    model = make_model(recipe, task)
    init = init_function(recipe, task, model, optimizer_of(recipe, task, model, plan))
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=state_sharding(mesh, leaf.shape)
        ),
        jax.eval_shape(init, jax.ShapeDtypeStruct((), jnp.uint32)),
    )


def optimizer_of(
    recipe: Recipe, task: Task, model: nn.Module, plan: Plan, peak: Any = None
) -> optax.GradientTransformation:
    """The optimizer of a recipe for a model.

    Args:
      recipe: what is trained.
      task: what for.
      model: its parameters are updated.
      plan: its durations in steps.
      peak: as of `schedule_of`.
    """
    optimizer = make_optimizer(
        recipe.optimizer,
        schedule_of(recipe, plan, peak),
        frozen_pattern(recipe.optimizer.freeze, model),
        parts_of(recipe, task, model),
        plan.steps,
    )
    return in_turn(optimizer, [turn.moves for turn in task.turns]) if task.turns else optimizer


def parts_of(recipe: Recipe, task: Task, model: nn.Module) -> list[str]:
    """The model's parts in the order of computation, where the optimizer asks for them."""
    if recipe.optimizer.layer_decay is None:
        return []
    return models.parts(model, jax.tree.leaves(task.example())[0].shape)


def init_function(
    recipe: Recipe, task: Task, model: nn.Module, optimizer: optax.GradientTransformation
) -> Callable[[jax.Array], TrainState]:
    """What makes, of a seed () uint32, the state before the first step."""
    kept = {"average": recipe.ema is not None, "slow": recipe.lookahead.every is not None}
    return lambda seed: init_state(
        seed, model, optimizer, task.example(), initial=task.initial, **kept
    )


def train_step_of(
    recipe: Recipe,
    spec: DataSpec,
    *,
    axis: BatchAxis | None = None,
    peak: Any = None,
    gathered: Layout = lambda params: params,
    split: Layout = lambda params: params,
) -> TrainStep:
    """The training step of a recipe, see `cnn_jax.training.step.make_train_step`.

    Args:
      recipe: what is trained.
      spec: facts of the data.
      axis: by default that of a step which is given the whole batch.
      peak: as of `schedule_of`.
      gathered: lays out parameters as the model is applied with them.
      split: lays out gradients as the parameters are kept.
    """
    plan, task = Plan.of(recipe, spec.examples), make_task(recipe, spec)
    model = make_model(recipe, task)
    return make_train_step(
        model,
        task.turns or task.loss,
        optimizer_of(recipe, task, model, plan, peak),
        ema=recipe.ema,
        lookahead=make_lookahead(recipe.lookahead, plan.total),
        accumulate=recipe.optimizer.accumulate,
        update_norms=recipe.log_norms,
        frozen=frozen_pattern(recipe.optimizer.freeze, model),
        axis=axis or BatchAxis(recipe.model.norm_examples),
        gathered=gathered,
        split=split,
        loaded=recipe.init.source is not None,
    )
