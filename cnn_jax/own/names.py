"""Names of own code in a recipe: found, and given their values again."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

from cnn_jax.own.values import Own


def own_names(value: Any, path: str = "") -> Iterator[tuple[str, Own]]:
    """The names of own code in a recipe, each with the path of its field, such as `model.name`."""
    if isinstance(value, Own):
        yield path, value
        return
    held: Mapping[str, Any] = {}
    if dataclasses.is_dataclass(value):
        held = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    elif isinstance(value, Mapping):
        held = value
    elif isinstance(value, tuple):
        held = {str(place): each for place, each in enumerate(value)}
    for name, each in held.items():
        yield from own_names(each, f"{path}.{name}".lstrip("."))


def with_own(value: Any, names: Mapping[str, Own], path: str = "") -> Any:
    """A recipe whose names carry the values of these, where they are the same names."""
    if isinstance(value, str):
        found = names.get(path)
        return value if found is None or found != value else found
    inner = functools.partial(with_own, names=names)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = {}
        for each in dataclasses.fields(value):
            old = getattr(value, each.name)
            new = inner(old, path=f"{path}.{each.name}".lstrip("."))
            if new is not old:
                changed[each.name] = new
        return dataclasses.replace(value, **changed) if changed else value
    if isinstance(value, Mapping):
        made = {name: inner(each, path=f"{path}.{name}") for name, each in value.items()}
        return made if any(made[name] is not value[name] for name in made) else value
    if isinstance(value, tuple):
        items = tuple(inner(each, path=f"{path}.{place}") for place, each in enumerate(value))
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    return value
