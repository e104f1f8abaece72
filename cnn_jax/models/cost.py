"""What a model costs: parameters and multiply-adds, counted without computing anything."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnn_jax.errors import UserError
from cnn_jax.models import registry


def shapes(module: nn.Module, input_shape: tuple[int, ...]) -> Any:
    """The variables of a model for inputs of a shape, as `jax.ShapeDtypeStruct` leaves.

    Args:
      module: a model.
      input_shape: (h, w, c) of an image, (t, c) of a series, or (t,) of a text.

    Raises:
      UserError: the model cannot take inputs of this shape.
    """
    image = jax.ShapeDtypeStruct((1, *input_shape), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    return jax.eval_shape(module.init, key, image)


def parameter_count(params: Any) -> int:
    """How many numbers a pytree of arrays (or of their shapes) holds.

    Args:
      params: the collection `params` of a model, or any part of it.
    """
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def multiply_adds(module: nn.Module, input_shape: tuple[int, ...], variables: Any = None) -> int:
    """Multiply-adds of all convolutions and matrix products for one example at evaluation.

    As is customary, zeros that pad an image count like pixels, and biases, normalisation,
    pooling and nonlinearities do not count. The zeros that a transposed convolution puts
    between pixels do not count either.

    Args:
      module: a model.
      input_shape: of an example, as of `shapes`.
      variables: of the model, if their `shapes` are known already.

    Raises:
      UserError: the model cannot take inputs of this shape, or has a loop whose length
        depends on the data.
    """
    image = jax.ShapeDtypeStruct((1, *input_shape), jnp.float32)
    if variables is None:
        variables = shapes(module, input_shape)
    return multiply_adds_of(lambda variables, x: module.apply(variables, x), variables, image)


def multiply_adds_of(function: Callable[..., Any], *arguments: Any) -> int:
    """Multiply-adds of all convolutions and matrix products in a call, counted alike.

    Args:
      function: is traced, not called.
      *arguments: its arguments, or their shapes.

    Raises:
      UserError: it has a loop whose length depends on the data.
    """
    return _of_jaxpr(jax.make_jaxpr(function)(*arguments).jaxpr)


def describe(name: str) -> dict[str, Any]:
    """A model's name, shape of its input, classes, options and paper, as values of JSON."""
    entry = registry.entry(name)
    return {
        "name": name,
        "input": list(entry.input_shape),
        "classes": entry.num_classes,
        "options": {option: _plain(value) for option, value in entry.options.items()},
        "paper": entry.paper,
    }


def count(name: str) -> dict[str, int]:
    """A model's parameters and multiply-adds for the paper's input and number of classes.

    Those of the models here are stored, since tracing all takes more than a minute.
    """
    entry = registry.entry(name)
    if entry.module.__module__.startswith(f"{__package__}."):
        return dict(_stored()[name])
    return traced_count(name)


@functools.cache
def _stored() -> dict[str, dict[str, int]]:
    file = resources.files("cnn_jax") / "models" / "costs.json"
    found: dict[str, dict[str, int]] = json.loads(file.read_text())
    return found


def traced_count(name: str) -> dict[str, int]:
    """The same, counted: a deep model takes a second or two, though nothing is computed."""
    entry = registry.entry(name)
    module = registry.create(name, entry.num_classes)
    variables = shapes(module, entry.input_shape)
    return {
        "parameters": parameter_count(variables["params"]),
        "multiply_adds": multiply_adds(module, entry.input_shape, variables),
    }


def _plain(value: Any) -> Any:
    """An option's value as JSON holds it; a function by its name."""
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return getattr(value, "__name__", repr(value)) if callable(value) else value


def _of_jaxpr(jaxpr: Any) -> int:
    total = 0
    for equation in jaxpr.eqns:
        match equation.primitive.name:
            case "conv_general_dilated":
                total += _of_convolution(equation)
            case "dot_general":
                (contracted, _), _ = equation.params["dimension_numbers"]
                left = equation.invars[0].aval.shape
                result = equation.outvars[0].aval.shape
                total += math.prod(result) * math.prod(left[axis] for axis in contracted)
            case "scan":
                total += equation.params["length"] * sum(map(_of_jaxpr, _inner(equation)))
            case "cond":
                total += max(map(_of_jaxpr, _inner(equation)))
            case "while":
                if any(map(_of_jaxpr, _inner(equation))):
                    raise UserError("multiply-adds within a while loop cannot be counted")
            case _:
                total += sum(map(_of_jaxpr, _inner(equation)))
    return total


def _inner(equation: Any) -> Iterator[Any]:
    """The programs that an equation calls: of pjit, custom_jvp_call, remat, scan and so on."""
    for value in equation.params.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            # A closed jaxpr holds a jaxpr and its constants; their classes move between
            # versions of jax.
            program = getattr(item, "jaxpr", item)
            if hasattr(program, "eqns"):
                yield program


def _of_convolution(equation: Any) -> int:
    params = equation.params
    kernel = equation.invars[1].aval.shape
    result = equation.outvars[0].aval.shape
    _, kernel_axes, result_axes = params["dimension_numbers"]
    # Axes are listed as (batch, channel, *spatial), of kernels as (outputs, inputs, *spatial);
    # the inputs of a kernel are those of one group.
    products = result[result_axes[0]] * result[result_axes[1]] * kernel[kernel_axes[1]]
    for i, (stride, (before, _), gap, dilation) in enumerate(
        zip(
            params["window_strides"],
            params["padding"],
            params["lhs_dilation"],
            params["rhs_dilation"],
            strict=True,
        )
    ):
        places = (
            stride * place + dilation * element - before
            for place in range(result[result_axes[2 + i]])
            for element in range(kernel[kernel_axes[2 + i]])
        )
        products *= sum(place % gap == 0 for place in places)
    return products
