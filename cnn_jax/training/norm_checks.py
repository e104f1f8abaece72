"""Normalisations that take their statistics of a single value: they let nothing through."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
from flax import linen as nn

from cnn_jax.errors import UserError
from cnn_jax.optimisation.frozen import frozen_norms
from cnn_jax.recipe import Recipe
from cnn_jax.state import Variables


@dataclass(frozen=True)
class Norm:
    """A normalisation as it was met while a model was traced.

    Attributes:
      path: of the layer, such as `stage1/norm`.
      kind: name of its class.
      shape: of an example that it is given.
      values: of one example that a statistic is taken of.
      over_batch: whether it is taken over several examples, and not of each alone.
      running: whether running statistics are used instead.
    """

    path: str
    kind: str
    shape: tuple[int, ...]
    values: int
    over_batch: bool
    running: bool


@contextlib.contextmanager
def norms_met() -> Iterator[list[Norm]]:
    """Within it the normalisations of models that are traced are listed."""
    found: list[Norm] = []

    def look(
        method: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
    ) -> Any:
        module, shape = context.module, getattr(args[0] if args else None, "shape", ())
        values = _values(module, shape) if shape and context.method_name == "__call__" else None
        if values is not None:
            given = args[1] if len(args) > 1 else kwargs.get("use_running_average")
            running = given or getattr(module, "use_running_average", None)
            found.append(
                Norm(
                    "/".join(module.path),
                    type(module).__name__,
                    tuple(shape[1:]),
                    values,
                    isinstance(module, nn.BatchNorm),
                    bool(running),
                )
            )
        return method(*args, **kwargs)

    with nn.intercept_methods(look):
        yield found


def _values(module: nn.Module, shape: tuple[int, ...]) -> int | None:
    """Of how many values of an example a layer takes a statistic; None where it takes none."""
    if isinstance(module, nn.BatchNorm | nn.InstanceNorm):
        return math.prod(shape[1:-1])
    if isinstance(module, nn.GroupNorm) and module.reduction_axes is None:
        groups = module.num_groups or shape[-1] // (module.group_size or 1)
        return math.prod(shape[1:]) // groups
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        axes: Any = module.reduction_axes
        return math.prod(shape[axis] for axis in ((axes,) if isinstance(axes, int) else axes))
    return None


def check_norms(
    recipe: Recipe,
    model: nn.Module,
    variables: Variables,
    met: list[Norm],
    *,
    example: Any,
    frozen: str | None = None,
) -> list[str]:
    """Checks that no statistic is taken of one value.

    What is normalised by its own mean is zero whatever the model computes: nothing behind it sees
    the images, and no gradient comes through.

    Args:
      recipe: what is trained.
      model: its model.
      variables: of the model, or their shapes.
      met: its normalisations, as met when it was applied to an example.
      example: shapes and dtypes of the inputs of one example, as a tree.
      frozen: pattern of the paths of parameters that stay; a batch normalisation that is frozen
        uses running statistics.

    Returns:
      A line for a user where a statistic is taken of two values only.

    Raises:
      UserError: one is taken of a single value.
    """
    seen = recipe.batch_size // recipe.optimizer.accumulate
    together = min(recipe.model.norm_examples or seen, seen)

    def count(norm: Norm) -> int:
        return norm.values * (together if norm.over_batch else 1)

    if any(norm.over_batch and count(norm) <= 2 for norm in met):
        # Only a trace of the training tells which of them use running statistics there as well.
        met = _met_in_training(model, variables, seen, example, frozen)
    few = [norm for norm in met if count(norm) <= 2 and not (norm.over_batch and norm.running)]
    if not few:
        return []
    norm = min(few, key=count)
    remedy = "Give larger inputs (images by --preprocess.size), or another normalisation or width"
    what = f"one example of shape {norm.shape}"
    if norm.over_batch:
        groups = recipe.model.norm_examples or "the whole batch"
        remedy = (
            f"Give a larger --batch-size (now {recipe.batch_size}), a smaller "
            f"--optimizer.accumulate (now {recipe.optimizer.accumulate}), or a larger "
            f"--model.norm-examples (now {groups})"
        )
        what = f"{together} example{'s' * (together > 1)} of shape {norm.shape}"
    if count(norm) == 1:
        raise UserError(
            f"{norm.path} ({norm.kind}) takes its mean of one value, of {what}: what comes out is "
            f"the same whatever goes in, and nothing is learnt through it. {remedy}."
        )
    return [
        f"{norm.path} ({norm.kind}) takes its mean of two values only, of {what}: next to no "
        f"gradient comes through it. {remedy}."
    ]


def _met_in_training(
    model: nn.Module, variables: Variables, examples: int, example: Any, frozen: str | None
) -> list[Norm]:
    def apply(variables: Variables, inputs: Any, key: jax.Array) -> Any:
        rngs = {"dropout": key}
        return model.apply(variables, inputs, train=True, rngs=rngs, mutable=["batch_stats"])

    key = jax.eval_shape(lambda: jax.random.key(0))
    with frozen_norms(frozen), norms_met() as met:  # the first is asked first
        inputs = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct((examples, *leaf.shape), leaf.dtype), example
        )
        jax.eval_shape(apply, variables, inputs, key)
    return met
