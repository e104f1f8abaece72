"""The points of a net on its way from the input to the output: told of, and changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from flax import linen as nn

from cnn_jax.errors import UserError, unknown
from cnn_jax.layers.listening import listening
from cnn_jax.models.activations import LOGITS


class Point(NamedTuple):
    """A point that has been met.

    Attributes:
      name: as of `cnn_jax.models.activations`.
      value: (b, ...) what is there.
      module: whose output it is; None of a point that a model marks on its way.
    """

    name: str
    value: jax.Array
    module: nn.Module | None


class Layer(NamedTuple):
    """A point without its value.

    Attributes:
      name: see `Point`.
      shape: of what is there for one example, such as (h, w, c).
      module: see `Point`.
    """

    name: str
    shape: tuple[int, ...]
    module: nn.Module | None

    @property
    def is_dropout(self) -> bool:
        """Whether it is one that does nothing in evaluation."""
        return self.module is not None and type(self.module).__name__ == "Dropout"

    @property
    def is_map(self) -> bool:
        """Whether it has several places, of an image (h, w, c) or along an axis (t, c)."""
        return len(self.shape) == 3 and self.shape[0] * self.shape[1] > 1

    @property
    def is_series(self) -> bool:
        """Whether it has several places along one axis, (t, c)."""
        return len(self.shape) == 2 and self.shape[0] > 1


Meet = Callable[[Point], jax.Array | None]
"""Is told of a point; what it gives goes on in the place of the value, if it gives any."""


def outputs(module: nn.Module, variables: Any, inputs: Any, meet: Meet) -> Any:
    """The outputs of a model in evaluation, in which `meet` is told of every point on the way.

    Pure, if `meet` is: batch statistics are read and stay as they are.

    Args:
      module: a model.
      variables: its `params` and, if any, `batch_stats`.
      inputs: (b, ...) as it takes them.
      meet: see `Meet`.
    """
    seen: dict[str, int] = {}

    def met(path: Sequence[str], value: Any, of: nn.Module | None) -> Any:
        if not isinstance(value, jax.Array):
            return value
        name = "/".join(path) or LOGITS
        seen[name] = call = seen.get(name, 0) + 1
        changed = meet(Point(name if call == 1 else f"{name}:{call}", value, of))
        return value if changed is None else changed

    def layer(
        method: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
    ) -> Any:
        value = method(*args, **kwargs)
        if context.method_name != "__call__":
            return value
        return met(context.module.path, value, context.module)

    def marked(module: nn.Module, name: str, value: jax.Array) -> Any:
        return met((*module.path, name), value, None)

    with nn.intercept_methods(layer), listening(marked):
        return module.apply(variables, inputs, train=False)


def values(
    module: nn.Module, variables: Any, inputs: Any, names: Sequence[str]
) -> dict[str, jax.Array]:
    """What is at some points (b, ...), by name, in the order of `names`."""
    found: dict[str, jax.Array] = {}

    def keep(point: Point) -> None:
        if point.name in names:
            found[point.name] = point.value

    outputs(module, variables, inputs, keep)
    return {name: found[name] for name in names}


def layers(module: nn.Module, variables: Any, inputs: Any) -> list[Layer]:
    """All points in the order of computation, the model's own output as `logits` at the end.

    Nothing is computed.

    Args:
      module: a model.
      variables: its variables, or their shapes.
      inputs: (b, ...) as it takes them, or their shapes.
    """
    found: list[Layer] = []

    def keep(point: Point) -> None:
        found.append(Layer(point.name, tuple(point.value.shape[1:]), point.module))

    jax.eval_shape(lambda v, x: outputs(module, v, x, keep), variables, inputs)
    return found


def layer_named(name: str, known: Sequence[Layer]) -> Layer:
    """One of the points.

    Raises:
      UserError: there is none of this name.
    """
    for each in known:
        if each.name == name:
            return each
    raise unknown("layer", name, [each.name for each in known])


def map_layer(name: str | None, known: Sequence[Layer]) -> Layer:
    """A layer with places: the one of this name, by default the last before the output.

    Of a net that tells something of every pixel it is the last of those with the fewest places.

    Raises:
      UserError: there is none, or the one of this name has no places.
    """
    output = known[-1].shape
    inner = [each for each in known if each.name != LOGITS and (each.is_map or each.is_series)]
    if name is not None:
        chosen = layer_named(name, known)
        if not (chosen.is_map or chosen.is_series):
            there = ", ".join(each.name for each in inner[-8:]) or "none"
            raise UserError(
                f"layer {name} has no places: it is {_shape(chosen.shape)} for an example; layers "
                f"that have some, the last of them: {there}"
            )
        return chosen
    if not inner:
        raise UserError("the net has no layer with several places, of which there could be a map")
    if len(output) == 3:
        fewest = min(each.shape[0] * each.shape[1] for each in inner)
        inner = [each for each in inner if each.shape[0] * each.shape[1] == fewest]
    return inner[-1]


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"
