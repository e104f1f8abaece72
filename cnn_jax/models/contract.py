"""What a model of one's own must be, and the sentences that say what it is not.

A model is a class derived from `flax.linen.Module`:

    class MyNet(nn.Module):
        num_classes: int  # how many outputs the task asks for
        dtype: str = "float32"  # may be left out: then it computes in float32 only
        width: int = 32  # further fields are options: Model(MyNet, options={"width": 64})

        @nn.compact
        def __call__(self, x, *, train=False):
            x = nn.relu(nn.Conv(self.width, (3, 3), dtype=self.dtype)(x))
            return nn.Dense(self.num_classes)(x.mean(axis=(1, 2)))

`__call__` maps images (b, h, w, c) float32, normalised, to outputs (b, num_classes): logits of
classes or tags, or numbers. `train` is true in a training step. Parameters are in the collection
`params`, what changes from step to step without a gradient, such as the running statistics of
`nn.BatchNorm(use_running_average=not train)`, in `batch_stats`; there are no other collections.
Random numbers in training come from the stream `dropout`, which `nn.Dropout` and
`self.make_rng("dropout")` draw from; evaluation has none.
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import flax.errors
import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import nnx

from cnn_jax.errors import UserError

COLLECTIONS = ("params", "batch_stats")
_CLASS = (
    "a model of your own is a class derived from flax.linen.Module (see cnn_jax.models.contract)"
)


def check_class(name: str, model: Any) -> None:
    """Checks what can be told of a model without applying it.

    Args:
      name: of the model, for messages.
      model: what was given as its class.

    Raises:
      UserError: it is no such class.
    """
    if isinstance(model, nn.Module):
        made_of = type(model)
        options = {
            each.name: getattr(model, each.name)
            for each in dataclasses.fields(made_of)
            if each.name not in ("parent", "name", "num_classes", "dtype")
            and getattr(model, each.name) != each.default
        }
        also = f", options={options!r}" * bool(options)
        raise UserError(
            f"model {made_of.__name__}(...) is made already; give the class, and its fields as "
            f"options: Model({made_of.__name__}{also})"
        )
    if isinstance(model, nnx.Module) or (isinstance(model, type) and issubclass(model, nnx.Module)):
        raise UserError(
            f"model {name} is of flax.nnx, which keeps its parameters in itself; {_CLASS}"
        )
    if not isinstance(model, type) or not issubclass(model, nn.Module):
        kind = "a class" if isinstance(model, type) else f"a {type(model).__name__}"
        raise UserError(f"model {name} is {kind} that is no flax.linen.Module; {_CLASS}")
    taken = inspect.signature(model.__call__).parameters
    if "train" not in taken and not any(each.kind == each.VAR_KEYWORD for each in taken.values()):
        given = ", ".join(name for name in taken if name != "self")
        raise UserError(
            f"model {name}: __call__({given}) does not take `train`, which says whether it is "
            f"applied in training; write def __call__(self, {given or 'x'}, *, train=False)"
        )


def made(
    name: str, model: type[nn.Module], num_classes: int, dtype: str, options: Any
) -> nn.Module:
    """A model of its class, with those of its fields that it has.

    Raises:
      UserError: it has no field for a dtype that it is to compute in, or misses a value.
    """
    fields = {each.name for each in dataclasses.fields(model)}
    if "dtype" not in fields and dtype != "float32":
        raise UserError(
            f"--model.dtype {dtype}: model {name} has no field dtype; add `dtype: str = 'float32'` "
            "and hand it to its layers"
        )
    asked = {"num_classes": num_classes, "dtype": dtype}
    values = {field: value for field, value in asked.items() if field in fields} | dict(options)
    missing = [
        each.name
        for each in dataclasses.fields(model)
        if each.init
        and each.default is dataclasses.MISSING
        and each.default_factory is dataclasses.MISSING
        and each.name not in values
    ]
    if missing:
        raise UserError(
            f"model {name} needs a value for {' and '.join(missing)}: give it as --model.options "
            f"{missing[0]}=..., or give the field a default"
        )
    return model(**values)


def check_applied(name: str, model: nn.Module, example: Any, outputs: tuple[int, ...]) -> None:
    """Checks what a model gives for a batch, in evaluation and in training, without computing.

    Args:
      name: of the model, for messages.
      model: as it is made for a task.
      example: shapes and dtypes of the inputs of one example, as a tree.
      outputs: the shape of what is asked for of an example, such as (k,).

    Raises:
      UserError: its outputs or its variables are not what they have to be.
    """
    batch = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((2, *leaf.shape), leaf.dtype), example)
    key = jax.eval_shape(lambda: jax.random.key(0))

    def init(key: jax.Array, x: Any) -> Any:
        return model.init({"params": key}, x, train=False)

    def evaluated(variables: Any, x: Any) -> Any:
        return model.apply(variables, x, train=False)

    def trained(variables: Any, x: Any, key: jax.Array) -> Any:
        return model.apply(variables, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"])

    try:
        variables = jax.eval_shape(init, key, batch)
        other = [each for each in variables if each not in COLLECTIONS]
        if other:
            raise UserError(
                f"model {name} keeps variables in the collection {other[0]!r}; only "
                f"{' and '.join(COLLECTIONS)} are kept from step to step: write "
                "self.variable('batch_stats', ...) instead"
            )
        if not variables.get("params"):
            raise UserError(f"model {name} has no parameters: there is nothing to train")
        found = jax.eval_shape(evaluated, variables, batch)
        in_training, changed = jax.eval_shape(trained, variables, batch, key)
    except flax.errors.InvalidRngError as error:
        raise UserError(
            f"model {name} draws random numbers that it is not given; in training there is the "
            "stream 'dropout', as of self.make_rng('dropout'), and in evaluation none "
            f"({str(error).split(' (https')[0]})"
        ) from None
    except flax.errors.ModifyScopeVariableError as error:
        raise UserError(
            f"model {name} changes variables that it may not change: in training those of "
            f"batch_stats, in evaluation none ({str(error).split(' (https')[0]})"
        ) from None
    for when, value in (("", found), (" in training", in_training)):
        _check_outputs(name, when, value, outputs)
    before, after = variables.get("batch_stats", {}), changed.get("batch_stats", {})
    if jax.tree.map(lambda x: (x.shape, x.dtype), before) != jax.tree.map(
        lambda x: (x.shape, x.dtype), after
    ):
        raise UserError(
            f"model {name} has other batch_stats after a training step than before it; they keep "
            "their names, shapes and dtypes"
        )


def _check_outputs(name: str, when: str, found: Any, outputs: tuple[int, ...]) -> None:
    expected = ", ".join(["b", *map(str, outputs)])
    if not isinstance(found, jax.ShapeDtypeStruct):
        raise UserError(
            f"model {name} gives a {type(found).__name__}{when}; expected is one array ({expected})"
        )
    if found.shape != (2, *outputs):
        got = (
            ", ".join(["b", *map(str, found.shape[1:])]) if found.shape[:1] == (2,) else found.shape
        )
        remedy = (
            "end in nn.Dense(self.num_classes)"
            if len(outputs) == 1
            else "end in nn.Conv(self.num_classes, (1, 1)) at the size of the images"
        )
        raise UserError(
            f"model {name} gives outputs ({str(got).strip('()')}){when}; expected are "
            f"({expected}), as many as the data ask for: {remedy}"
        )
    if not jnp.issubdtype(found.dtype, jnp.floating):
        raise UserError(f"model {name} gives {found.dtype} outputs{when}; expected is float32")
