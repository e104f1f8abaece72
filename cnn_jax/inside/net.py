"""A trained net as something that can be asked what it tells, and how much speaks for it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnn_jax.errors import UserError, unknown
from cnn_jax.inside.points import Layer, layers
from cnn_jax.tasks import kind_of, target_kind
from cnn_jax.trained import TrainedModel


def class_score(outputs: jax.Array, classes: jax.Array) -> jax.Array:
    """How much speaks for a class of each example (b,): its logit, of (b, k).

    Of the logits of pixels (b, h, w, k) it is the mean over those that are told to be of the class,
    or over all where none is.
    """
    if outputs.ndim == 2:
        return jnp.take_along_axis(outputs, classes[:, None], axis=-1)[:, 0]
    logits = jnp.take_along_axis(outputs, classes[:, None, None, None], axis=-1)[..., 0]
    told = jnp.argmax(outputs, axis=-1) == classes[:, None, None]
    some = jnp.any(told, axis=(1, 2), keepdims=True)
    counted = jnp.where(some, told, True)
    return jnp.sum(jnp.where(counted, logits, 0.0), (1, 2)) / jnp.sum(counted, (1, 2))


def told_class(outputs: jax.Array) -> jax.Array:
    """The class (b,) int32 that is told: of (b, k), or of most pixels of (b, h, w, k)."""
    told = jnp.argmax(outputs, axis=-1)
    if outputs.ndim == 2:
        return told
    counts = jax.nn.one_hot(told, outputs.shape[-1]).sum((1, 2))
    return jnp.argmax(counts, axis=-1)


@dataclass(frozen=True, eq=False)
class Net:
    """A net, its variables, and how its outputs are read.

    Attributes:
      module: maps inputs (b, ...) to outputs.
      variables: what it is applied with in evaluation.
      score: (outputs, classes (b,)) -> how much speaks for the class, or how large the number is,
        (b,).
      told: outputs -> the class (b,) that is told.
      class_names: of classes, tags or numbers.
    """

    module: nn.Module
    variables: Any
    score: Callable[[Any, jax.Array], jax.Array] = class_score
    told: Callable[[Any], jax.Array] = told_class
    class_names: tuple[str, ...] = ()

    def layers(self, inputs: Any) -> list[Layer]:
        """See `cnn_jax.inside.points.layers`; of inputs of the same shapes they are known."""
        leaves, tree = jax.tree.flatten(inputs)
        return list(_layers(self, tree, tuple((leaf.shape, leaf.dtype) for leaf in leaves)))

    def place(self, name: str | int) -> int:
        """The place of a class, by its name or as it is.

        Raises:
          UserError: there is no such class.
        """
        if isinstance(name, str):
            if name not in self.class_names:
                raise unknown("class", name, self.class_names)
            return self.class_names.index(name)
        if self.class_names and not 0 <= name < len(self.class_names):
            raise UserError(
                f"class {name} is none of the {len(self.class_names)} places 0 to "
                f"{len(self.class_names) - 1}"
            )
        return int(name)


@functools.lru_cache(maxsize=32)
def _layers(net: Net, tree: Any, kinds: tuple[Any, ...]) -> tuple[Layer, ...]:
    shapes = [jax.ShapeDtypeStruct(*each) for each in kinds]
    return tuple(layers(net.module, net.variables, jax.tree.unflatten(tree, shapes)))


@functools.lru_cache(maxsize=4)
def net_of(trained: TrainedModel) -> Net:
    """The net of a trained model.

    Raises:
      UserError: what it tells is no class, tag or number, such as boxes.
    """
    task: Any = trained.task
    if target_kind(trained.recipe) == "boxes":
        raise UserError(
            f"the run tells boxes ({trained.recipe.task.name}), of which there is no one number "
            "that maps could be made of; look at cnn-jax show told RUN"
        )
    names = tuple(trained.spec.class_names)
    score: Callable[[Any, jax.Array], jax.Array] = class_score
    told: Callable[[Any], jax.Array] = told_class
    if kind_of(trained.recipe).NUMBERS:

        def score(outputs: Any, classes: jax.Array) -> jax.Array:
            return class_score(task.answers(outputs), classes)

        def told(outputs: Any) -> jax.Array:
            return jnp.zeros(len(outputs), jnp.int32)

    elif task.outputs == 1 and len(names) == 2:

        def score(outputs: Any, classes: jax.Array) -> jax.Array:
            return jnp.where(classes == 1, 1.0, -1.0) * outputs[:, 0]

        def told(outputs: Any) -> jax.Array:
            return (outputs[:, 0] > 0).astype(jnp.int32)

    return Net(trained.module, trained.variables, score, told, names)
