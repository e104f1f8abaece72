"""The models by name."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flax import linen as nn

from cnn_jax.errors import UserError, unknown
from cnn_jax.layers import options as model_options
from cnn_jax.models.contract import check_class, made
from cnn_jax.own.values import Own, given, label_of

DTYPES = ("float32", "bfloat16")
"""What a model can compute in."""
OUTPUT_KINDS = {
    "vector": "a number for each output of an example, such as a class",
    "pixels": "a number for each output of every pixel",
    "boxes": "boxes in an image",
}
"""What a model can tell of an example."""
NOT_OPTIONS = {"num_classes": "it follows from the data"}
"""Fields of every model that are no options, and why."""


@dataclass(frozen=True)
class Entry:
    """One named model.

    Attributes:
      name: the name that `create` takes.
      module: its class, with the fields num_classes and dtype besides its options.
      input_shape: (h, w, c) of the images of the paper, in pixels and channels; of series (t, c).
      num_classes: the paper's number of classes.
      paper: where it was published.
      options: every option with its default.
      input_kind: what it takes, see `cnn_jax.data.fields`.
      output_kind: what it tells, see `OUTPUT_KINDS`.
      own: where a file of a user's own has registered it.
    """

    name: str
    module: type[nn.Module]
    input_shape: tuple[int, ...]
    num_classes: int
    paper: str
    options: Mapping[str, Any] = field(default_factory=dict)
    input_kind: str = "image"
    output_kind: str = "vector"
    own: Own | None = None


_entries: dict[str, Entry] = {}


def register(
    name: str,
    module: type[nn.Module],
    *,
    input_shape: tuple[int, ...],
    num_classes: int,
    paper: str,
    input_kind: str = "image",
    output_kind: str = "vector",
    **options: Any,
) -> None:
    """Makes a model class known by name; one class may stand under several names.

    Args:
      name: the name that `create` takes.
      module: a class whose `__call__(x, *, train=False)` maps images (b, h, w, c) to float32
        logits (b, k), with the fields num_classes and dtype, see `cnn_jax.models.contract`; one of
        series takes (b, t, c), or a dictionary of these as `series` and of `there` (b, t), 1 up to
        the end of each.
      input_shape: (h, w, c) of the images of the paper, (t, c) of its series, (t,) of samples.
      num_classes: the paper's number of classes.
      paper: author, year and address.
      input_kind: what it takes: `image`, `series`, `sound` or `tokens`.
      output_kind: what it tells, see `OUTPUT_KINDS`; one that tells `pixels` maps to (b, h, w, k).
      **options: fields of the class that differ from its defaults, such as
        `register("resnet34", ResNet, ..., depths=(3, 4, 6, 3))`.

    Raises:
      UserError: another class has this name, it is no class of a model, or an option is unknown
        or of the wrong type.
    """
    check_class(name, module)
    known = _entries.get(name)
    # Running a notebook cell again defines its class again, which is no clash.
    if known is not None and _origin(known.module) != _origin(module):
        raise UserError(f"a model {name!r} is registered already: {_origin(known.module)}")
    base = model_options.defaults(module)
    chosen = base | model_options.checked(name, module, options, base)
    found = Entry(name, module, input_shape, num_classes, paper, chosen, input_kind, output_kind)
    if not sys._getframe(1).f_globals["__name__"].startswith("cnn_jax."):
        found = dataclasses.replace(found, own=given(found, "model", name=name))
    _entries[name] = found


def _origin(module: type[nn.Module]) -> str:
    return f"{label_of(module)}.{module.__qualname__}"


def names(input_kind: str | None = None, output_kind: str | None = None) -> list[str]:
    """The names of all models, or of those with inputs or outputs of a kind, sorted."""
    return sorted(
        name
        for name, each in _entries.items()
        if input_kind in (None, each.input_kind) and output_kind in (None, each.output_kind)
    )


def entry(name: str) -> Entry:
    """What is known of the model `name`.

    Raises:
      UserError: there is no such model.
    """
    if isinstance(name, Own):
        found = name.value
        if isinstance(found, Entry):
            return dataclasses.replace(found, own=name)
        check_class(name, found)
        return Entry(name, found, (0, 0, 0), 0, "", model_options.defaults(found), own=name)
    if name not in _entries:
        raise unknown("model", name, _entries)
    return _entries[name]


def create(name: str, num_classes: int, *, dtype: str = "float32", **options: Any) -> nn.Module:
    """The model `name`, which maps images (b, h, w, c) to float32 logits (b, num_classes).

    Args:
      name: one of `names()`.
      num_classes: number of logits.
      dtype: what it computes in, float32 or bfloat16; parameters and batch statistics are
        float32 all the same.
      **options: further fields of the model, such as `widths=(32, 64)`, `dropout=0.5`.

    Raises:
      UserError: an unknown name, dtype or option, or a value that an option cannot take.
    """
    found = entry(name)
    if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 1:
        raise UserError(f"num_classes={num_classes!r}: must be a whole number above zero")
    if dtype not in DTYPES:
        raise unknown("model dtype", str(dtype), DTYPES)
    fields = {key: each for key, each in found.options.items() if each is not dataclasses.MISSING}
    plain = {key: each.value if isinstance(each, Own) else each for key, each in options.items()}
    fields |= model_options.checked(name, found.module, plain, found.options)
    return made(name, found.module, num_classes, dtype, fields)
