"""What a recipe stands for: its schedule, its optimizer and the state that its runs begin with."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax.sharding import AbstractMesh, Mesh

from cnn_jax import models
from cnn_jax.augment import output_shape
from cnn_jax.data.spec import DataSpec
from cnn_jax.devices.mesh import state_sharding
from cnn_jax.optimisation.frozen import frozen_pattern
from cnn_jax.optimisation.optimizers import make_optimizer
from cnn_jax.optimisation.schedules import make_schedule
from cnn_jax.recipe import Recipe
from cnn_jax.state import TrainState, init_state
from cnn_jax.training.evaluator import make_model
from cnn_jax.training.plan import Plan


def schedule_of(recipe: Recipe, plan: Plan) -> optax.Schedule:
    """The learning rate of a recipe by step."""
    return make_schedule(recipe.schedule, recipe.optimizer.learning_rate, plan.total, plan.steps)


def abstract_state(recipe: Recipe, spec: DataSpec, mesh: Mesh | AbstractMesh) -> TrainState:
    """Shapes and layout of the state of a recipe's run, without computing anything."""
    plan = Plan.of(recipe, spec.examples)
    model, shape = make_model(recipe, spec), output_shape(recipe.preprocess, spec.image_shape)
    init = init_function(recipe, model, optimizer_of(recipe, model, plan, shape), shape)
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=state_sharding(mesh, leaf.shape)
        ),
        jax.eval_shape(init, jax.ShapeDtypeStruct((), jnp.uint32)),
    )


def optimizer_of(
    recipe: Recipe,
    model: nn.Module,
    plan: Plan,
    input_shape: tuple[int, int, int],
) -> optax.GradientTransformation:
    """The optimizer of a recipe for a model.

    Args:
      recipe: what is trained.
      model: its parameters are updated.
      plan: its durations in steps.
      input_shape: (h, w, c) of the images that the model is given.
    """
    return make_optimizer(
        recipe.optimizer,
        schedule_of(recipe, plan),
        frozen_pattern(recipe.optimizer.freeze, model),
        parts_of(recipe, model, input_shape),
        plan.steps,
    )


def parts_of(recipe: Recipe, model: nn.Module, input_shape: tuple[int, int, int]) -> list[str]:
    """The model's parts in the order of computation, where the optimizer asks for them."""
    by_layer = recipe.optimizer.layer_decay is not None
    return models.parts(model, input_shape) if by_layer else []


def init_function(
    recipe: Recipe,
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    input_shape: tuple[int, int, int],
) -> Callable[[jax.Array], TrainState]:
    """What makes, of a seed () uint32, the state before the first step."""
    kept = {"average": recipe.ema is not None, "slow": recipe.lookahead.every is not None}
    return lambda seed: init_state(seed, model, optimizer, input_shape, **kept)
