"""The fields of an example: arrays of fixed shape and dtype, each of a kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import jax


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
        import jax

        return jax.ShapeDtypeStruct((*leading, *self.shape), np.dtype(self.dtype))


Fields = Mapping[str, Field]
"""The inputs or the targets of an example by name."""

CLASS = Field("class", (), "int32")
"""The place of an example's class among the class names."""

VOID = 255
"""What stands in a mask where the class of a pixel is unknown, or where there is no pixel."""

_KINDS = (
    ("image", ("uint8", "uint16", "float32"), 3),
    ("mask", ("uint8",), 2),
    ("class", ("int32",), 0),
    ("tags", ("int8",), 1),
    ("number", ("float32",), 1),
    ("series", ("float32",), 2),
    ("tokens", ("int32",), 1),
    ("sound", ("int16",), 1),
    ("clip", ("uint8",), 4),
)

_NAMED = {
    "mask": ("mask", ("uint8",), 2),
    "boxes": ("boxes", ("float32",), 2),
    "there": ("there", ("bool",), 1),
    "size": ("size", ("int32",), 1),
}
"""What the fields of a tree are by their names, which tell apart what dtype and axes do not."""

_OF_BOXES = "box_"
"""The names begin so of what is told of each box, whatever its dtype."""

COMPANIONS = ("there", "size", "per_box")
"""Kinds that say more of another field, and are nothing that is learnt by itself."""

SPATIAL = ("mask", "boxes")
"""Kinds of what lies in an image and moves with it."""


def field_of(values: np.ndarray) -> Field:
    """The field that an array (n, ...) holds of n examples.

    An `image` is (h, w, c) uint8, uint16 or float32; a `class` () int32, its place among the
    names; `tags` (k,) int8, 1 where a tag is there, 0 where not and -1 where that is unknown; a
    `number` (d,) float32, of one or more quantities; a `series` (t, c) float32, c values at each
    time, not a number after its end; `tokens` (t,) int32, places in a vocabulary, 0 after the end;
    a `sound` (t,) int16, samples of one channel, -32,768 after its end;
    a `clip` (t, h, w, c) uint8, frames of a video, black after its end;
    a `mask` (h, w) uint8, the place of each pixel's class among the names, `VOID` where unknown.

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
    """The fields of a tree of arrays: a dictionary by name, or one array, named by its kind.

    In a dictionary `boxes` are (n, 4) float32, top, left, bottom, right in pixels from the upper
    left corner; `there` (n,) bool, which of these n are boxes and no padding; what is called
    `box_...` is told of each box, (n, ...); and `size` (2,) int32 are height and width of the
    image as it was taken, in whose pixels masks and boxes lie where they are not those of the
    image that a model is given, see `cnn_jax.data.fitting`.

    Raises:
      TypeError: an array is of no kind that there is, or not of the kind that its name tells.
    """
    if isinstance(tree, Mapping):
        return {name: _named(name, values) for name, values in tree.items()}
    field = field_of(tree)
    return {field.kind: field}


def _named(name: str, values: np.ndarray) -> Field:
    shape, dtype = values.shape[1:], values.dtype.name
    if name.startswith(_OF_BOXES) and shape:
        return Field("per_box", shape, dtype)
    if name not in _NAMED:
        return field_of(values)
    kind, dtypes, ndim = _NAMED[name]
    if dtype not in dtypes or len(shape) != ndim:
        raise TypeError(
            f"{name} is {dtype} of shape {shape} an example, and must be {' or '.join(dtypes)} of "
            f"{ndim} axes"
        )
    return Field(kind, shape, dtype)


def is_spatial(fields: Fields) -> bool:
    """Whether some of the fields lie in an image and move with it."""
    return any(field.kind in SPATIAL for field in fields.values())


def tree_of(fields: Fields, make: Callable[[Field], Any]) -> Any:
    """What `make` gives for each field, in a tree like that of the arrays: one stands bare."""
    made = {name: make(field) for name, field in fields.items()}
    return next(iter(made.values())) if len(made) == 1 else made
