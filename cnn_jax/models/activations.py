"""What the layers of a model put out on the way to the logits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnn_jax.errors import unknown
from cnn_jax.models.cost import shapes

LOGITS = "logits"
"""Name of the output of the model itself."""


def activations(
    module: nn.Module, variables: Any, x: jax.Array, names: Sequence[str] | None = None
) -> dict[str, jax.Array]:
    """Intermediate results of a model at evaluation, by name, in the order of computation.

    Outputs of layers have the paths of their parameters, such as `conv1` or `block1/conv1`;
    the model's own output is `logits`; other points are what the model marks with
    `layers.tap`, such as `relu1` and `pool1`. A layer called several times has the further
    outputs as `name:2`, `name:3`.

    Pure, so it can stand under `jax.jit`, which also spares what is not asked for.

    Args:
      module: a model.
      variables: its `params` and, if any, `batch_stats`.
      x: (b, h, w, c) images.
      names: which to return, in this order; by default all, see `activation_names`.

    Raises:
      UserError: there is no such name.
    """
    _, state = module.apply(
        variables, x, capture_intermediates=_wanted(names), mutable=["intermediates"]
    )
    found = dict(_named(state.get("intermediates", {})))
    if names is None:
        return found
    for name in names:
        if name not in found:
            raise unknown("activation", name, activation_names(module, x.shape[1:]))
    return {name: found[name] for name in names}


def activation_names(module: nn.Module, input_shape: tuple[int, ...]) -> list[str]:
    """All names that `activations` knows for images (h, w, c), in the order of computation.

    Nothing is computed.

    Raises:
      UserError: the model cannot take images of this shape.
    """
    names: list[str] = []

    def trace(variables: Any, x: jax.Array) -> None:
        names.extend(activations(module, variables, x))

    image = jax.ShapeDtypeStruct((1, *input_shape), jnp.float32)
    jax.eval_shape(trace, shapes(module, input_shape), image)
    return names


def parts(module: nn.Module, input_shape: tuple[int, ...]) -> list[str]:
    """The parts of a model that have parameters, such as stem and stage1, in the order of
    computation: what stands first in the paths of its parameters.

    Raises:
      UserError: the model cannot take images of this shape.
    """
    trained = shapes(module, input_shape)["params"]
    first = [name.split("/")[0] for name in activation_names(module, input_shape)]
    return [part for part in dict.fromkeys(first) if part in trained]


def _wanted(names: Sequence[str] | None) -> Any:
    """A filter for flax of the modules whose outputs are to be kept."""
    if names is None:
        return True
    paths = {tuple(name.partition(":")[0].split("/")) for name in names}
    if LOGITS in names:
        paths.add(())
    return lambda module, method: method == "__call__" and tuple(module.path) in paths


def _named(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, jax.Array]]:
    """The names and arrays of a nested dictionary of what flax has collected."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _named(value, (*path, key))
            continue
        inner = path if key == "__call__" else (*path, key)
        name = "/".join(inner) or LOGITS
        for call, item in enumerate(value, start=1):
            if isinstance(item, jax.Array):
                yield (name if call == 1 else f"{name}:{call}"), item
