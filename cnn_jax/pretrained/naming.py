"""How other frameworks name the parts of our models: each family's tables, or one of a user."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cnn_jax import models
from cnn_jax.errors import UserError, unknown
from cnn_jax.json_values import from_json, read_json
from cnn_jax.pretrained.names import place
from cnn_jax.pretrained.patterns import NameTable, checked
from cnn_jax.pretrained.tensors import shown


@dataclass(frozen=True)
class Naming:
    """A way to name the parts of a model, with what the names alone do not tell.

    Attributes:
      names: patterns of PyTorch's module names, each with our path.
      flattened: (c, h, w) of the maps that a dense layer takes flattened, by our path.
      optional: patterns of names that need no place in the model.
      ones: how many axes of one element tensors have at their end in PyTorch and not here, by
        patterns of their names.
    """

    names: tuple[tuple[str, str], ...]
    flattened: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    ones: dict[str, int] = field(default_factory=dict)


def namings(model: str) -> list[Naming]:
    """The namings that a model's family knows; torchvision's, or else timm's, is the first.

    They stand in the module of the family: each `..._NAMES` is a table, or a dictionary of one
    for each model; `TORCH_FLATTENED`, `TORCH_OPTIONAL` and `TORCH_ONES` hold for all
    of them.

    Raises:
      UserError: there is no such model.
    """
    family = sys.modules.get(models.entry(model).module.__module__)
    if family is None:
        return []  # a file of a user's own, which has left again
    found = []
    for name in sorted(vars(family), key=lambda name: (name != "TORCH_NAMES", name)):
        table = getattr(family, name)
        if isinstance(table, Mapping):
            table = table.get(model)
        if name.endswith("_NAMES") and table is not None:
            found.append(
                Naming(
                    table,
                    getattr(family, "TORCH_FLATTENED", {}),
                    getattr(family, "TORCH_OPTIONAL", ()),
                    getattr(family, "TORCH_ONES", {}),
                )
            )
    return found


def read_naming(path: Path) -> Naming:
    """A naming from a JSON file such as `{"names": [["fc", "head"], ...]}`.

    Raises:
      UserError: it cannot be read, or is none.
    """
    data = read_json(path)
    _check_kinds(data, str(path))
    naming = from_json(data, Naming, str(path))
    try:
        NameTable(naming.names)
        for pattern in (*naming.optional, *naming.ones):
            checked(pattern)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return naming


def _check_kinds(data: Any, source: str) -> None:
    """Checks what a conversion would pass: a text for a list of letters, a number for a text."""

    def texts(value: Any) -> bool:
        return isinstance(value, list) and all(isinstance(entry, str) for entry in value)

    def pairs(value: Any) -> bool:
        return isinstance(value, list) and all(texts(row) and len(row) == 2 for row in value)

    def counts(value: Any, least: int) -> bool:
        return all(type(entry) is int and entry >= least for entry in value)

    def sizes(value: Any) -> bool:
        return isinstance(value, dict) and all(
            isinstance(maps, list) and len(maps) == 3 and counts(maps, 1) for maps in value.values()
        )

    def ones(value: Any) -> bool:
        return isinstance(value, dict) and counts(value.values(), 0)

    if not isinstance(data, dict) or "names" not in data:
        raise UserError(
            f'{source} is no table of names: {{"names": [["fc", "head"], ...]}} is needed, pairs '
            "of a pattern of their names and our path"
        )
    wanted: dict[str, tuple[Callable[[Any], bool], str]] = {
        "names": (pairs, 'pairs of texts such as [["fc", "head"]]'),
        "flattened": (sizes, 'channels, height and width by path, such as {"hidden": [6, 3, 3]}'),
        "optional": (texts, r'a list of patterns such as ["aux\\..*"]'),
        "ones": (ones, 'counts by pattern, such as {"gamma": 2}'),
    }
    for name, value in data.items():
        if name not in wanted:
            raise unknown(f"field of {source}", name, wanted)
        fits, kind = wanted[name]
        if not fits(value):
            raise UserError(f"{source}: {name} must be {kind}, not {shown(json.dumps(value), 60)}")


def best_naming(
    model: str, tensors: Mapping[str, np.ndarray], wanted: Mapping[str, Any], source: str
) -> Naming:
    """The naming of a model's family which finds places for most of the tensors.

    Args:
      model: its name.
      tensors: by their names in the file.
      wanted: what the model has, by path.
      source: the file, for messages.

    Raises:
      UserError: there is no such model, or no naming finds any place.
    """
    found = namings(model)
    if not found:
        raise UserError(
            f"{source} does not name its arrays ({_some(list(tensors))}) as we do "
            f"({_some(list(wanted))}), and no other naming of {model} is known; a table of names "
            "can be given"
        )

    def places(naming: Naming) -> int:
        table = NameTable(naming.names)
        return sum(place(name, table, wanted) is not None for name in tensors)

    best = max(found, key=places)
    if not places(best):
        raise UserError(
            f"{source} names its arrays unlike any {model} that is known: "
            f"{_some(list(tensors))}. The model has {_some(list(wanted))}. A table of names "
            "can be given."
        )
    return best


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + ", ..." * (len(names) > 3)
