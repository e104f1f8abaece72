"""The fields of an example: arrays of fixed shape and dtype, each of a kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np


@dataclass(frozen=True)
class Field:
    """One array of an example.

    Attributes:
      kind: what it means, which says how it is augmented and what can be learnt from it.
      shape: of one example.
      dtype: as numpy names it.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: str

    def array(self, *leading: int) -> jax.ShapeDtypeStruct:
        """The shape and dtype of so many examples."""
        return jax.ShapeDtypeStruct((*leading, *self.shape), np.dtype(self.dtype))


Fields = Mapping[str, Field]
"""The inputs or the targets of an example by name."""

CLASS = Field("class", (), "int32")
"""The place of an example's class among the class names."""

_KINDS = (
    ("image", ("uint8", "uint16", "float32"), 3),
    ("class", ("int32",), 0),
    ("tags", ("int8",), 1),
    ("number", ("float32",), 1),
    ("series", ("float32",), 2),
    ("tokens", ("int32",), 1),
    ("sound", ("int16",), 1),
)


def field_of(values: np.ndarray) -> Field:
    """The field that an array (n, ...) holds of n examples.

    An `image` is (h, w, c) uint8, uint16 or float32; a `class` () int32, its place among the
    names; `tags` (k,) int8, 1 where a tag is there, 0 where not and -1 where that is unknown; a
    `number` (d,) float32, of one or more quantities; a `series` (t, c) float32, c values at each
    time, not a number after its end; `tokens` (t,) int32, places in a vocabulary, 0 after the end;
    a `sound` (t,) int16, samples of one channel, -32,768 after its end.

    Raises:
      TypeError: there is no such kind.
    """
    shape, dtype = values.shape[1:], values.dtype.name
    for kind, dtypes, ndim in _KINDS:
        if dtype in dtypes and len(shape) == ndim:
            return Field(kind, shape, dtype)
    known = "; ".join(
        f"{kind}: {' or '.join(dtypes)} of {ndim} axes" for kind, dtypes, ndim in _KINDS
    )
    raise TypeError(f"no field is {dtype} of shape {shape} an example; there are: {known}")


def fields_of(tree: Any) -> dict[str, Field]:
    """The fields of a tree of arrays: a dictionary by name, or one array, named by its kind."""
    if isinstance(tree, Mapping):
        return {name: field_of(values) for name, values in tree.items()}
    field = field_of(tree)
    return {field.kind: field}


def tree_of(fields: Fields, make: Callable[[Field], Any]) -> Any:
    """What `make` gives for each field, in a tree like that of the arrays: one stands bare."""
    made = {name: make(field) for name, field in fields.items()}
    return next(iter(made.values())) if len(made) == 1 else made
