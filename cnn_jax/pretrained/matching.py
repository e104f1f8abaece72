"""Arrays that were found for a model, against those that it has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import traverse_util

from cnn_jax.errors import UserError
from cnn_jax.training.state import Variables

HEAD = re.compile(r"params/(?:.*/)?head/[^/]+")
"""Finds the arrays of the layers that give the logits."""


class Found(NamedTuple):
    """An array in our layout, with its name where it was found."""

    name: str
    array: np.ndarray


@dataclass(frozen=True)
class Report:
    """What came of an import.

    Attributes:
      loaded: how many arrays of the model came from the file.
      missing: paths of the model that the file has nothing for.
      unexpected: names in the file that the model has no place for.
      misshapen: a line for each array of another shape.
      new: paths that keep their initial values, as was asked.
      left_out: names in the file that need no place in the model, and have none.
    """

    loaded: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def check(self, source: str) -> None:
        """Checks that every array of the model and of the file has found its counterpart.

        Raises:
          UserError: one has not; all are listed.
        """
        lists = {
            "missing in it": self.missing,
            "unknown to the model": self.unexpected,
            "of another shape": self.misshapen,
        }
        lines = [
            line
            for title, found in lists.items()
            if found
            for line in (f"  {title} ({len(found)}):", *_shortened(found))
        ]
        if not lines:
            return
        if not (self.missing or self.unexpected) and all(map(HEAD.match, self.misshapen)):
            lines.append(
                "  Only the head differs: it stays as initialised if a new one is asked for."
            )
        raise UserError(f"{source} does not fit the model:\n" + "\n".join(lines))

    def __str__(self) -> str:
        """A line for a user."""
        text = f"{self.loaded} arrays loaded"
        if self.new:
            text += f", new: {', '.join(self.new)}"
        if self.left_out:
            text += f", {len(self.left_out)} not needed: {', '.join(self.left_out[:3])}"
            text += ", ..." * (len(self.left_out) > 3)
        return text


_MOST_LINES = 12


def _shortened(entries: Sequence[str]) -> list[str]:
    shown = [f"    {entry}" for entry in entries[:_MOST_LINES]]
    rest = len(entries) - len(shown)
    return [*shown, f"    and {rest} more"] if rest else shown


def paths(variables: Variables) -> dict[str, Any]:
    """All arrays of variables by path, such as `params/stem/conv/kernel`."""
    return traverse_util.flatten_dict(dict(variables), sep="/")


def assemble(
    found: Mapping[str, Found],
    template: Variables,
    unexpected: Sequence[str] = (),
    *,
    left_out: Sequence[str] = (),
    new_head: bool = False,
    source: str,
) -> tuple[Variables, Report]:
    """Variables of what was found.

    Args:
      found: arrays by our path.
      template: initial variables of the model, or their shapes if there is no new head.
      unexpected: names in the source that are none of the model's.
      left_out: such names that are not needed.
      new_head: keep the initial values of the layers that give the logits.
      source: the file, for messages.

    Raises:
      UserError: anything is missing, unexpected or of another shape.
    """
    wanted = paths(template)
    new = [path for path in wanted if new_head and HEAD.fullmatch(path)]
    if new_head and not new:
        raise UserError(
            "--init.new-head asks for a new head, but the model has no layer of the name head"
        )
    rest = [path for path in wanted if path not in new]
    missing = [path for path in rest if path not in found]
    misshapen = [
        f"{path}: {found[path].array.shape} in {source} ({found[path].name}), "
        f"{tuple(wanted[path].shape)} in the model"
        for path in rest
        if path in found and found[path].array.shape != tuple(wanted[path].shape)
    ]
    report = Report(
        loaded=len(rest) - len(missing),
        missing=tuple(missing),
        unexpected=tuple(unexpected),
        misshapen=tuple(misshapen),
        new=tuple(new),
        left_out=tuple(left_out),
    )
    report.check(source)
    values = {path: _initial(path, wanted[path]) for path in new}
    values |= {
        path: np.asarray(found[path].array, dtype=wanted[path].dtype, order="C") for path in rest
    }
    ordered = {path: values[path] for path in wanted}
    empty: Variables = {collection: {} for collection in template}
    return empty | traverse_util.unflatten_dict(ordered, sep="/"), report


def _initial(path: str, value: Any) -> np.ndarray:
    if isinstance(value, jax.ShapeDtypeStruct):
        raise TypeError(f"{path} keeps its initial value, but the template has shapes only")
    return np.asarray(value)
