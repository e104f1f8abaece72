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
from cnn_jax.state import Variables

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
      numbers: how many numbers these arrays have.
      matching: whether what does not fit is left out, and not an error.
      inflated: how many kernels for images were repeated over frames, see `inflated`.
    """

    loaded: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    numbers: int = 0
    matching: bool = False
    inflated: int = 0

    @property
    def kept(self) -> frozenset[str]:
        """Paths of the model that nothing was loaded for."""
        misshapen = (line.partition(": ")[0] for line in self.misshapen)
        return frozenset((*self.new, *self.missing, *misshapen))

    def check(self, source: str) -> None:
        """Checks that every array of the model and of the file has found its counterpart.

        Where only what matches is wanted, it suffices that one has.

        Raises:
          UserError: it is not so; all that have none are listed.
        """
        lines = self._lines()
        if self.matching and not self.loaded:
            raise UserError(f"nothing in {source} matches the model:\n" + "\n".join(lines))
        if self.matching or not lines:
            return
        if not (self.missing or self.unexpected) and all(map(HEAD.match, self.misshapen)):
            lines.append(
                "  Only the head differs: it stays as initialised if a new one is asked for."
            )
        raise UserError(f"{source} does not fit the model:\n" + "\n".join(lines))

    def _lines(self) -> list[str]:
        lists = {
            "missing in it": self.missing,
            "unknown to the model": self.unexpected,
            "of another shape": self.misshapen,
        }
        return [
            line
            for title, found in lists.items()
            if found
            for line in (f"  {title} ({len(found)}):", *_shortened(found))
        ]

    def __str__(self) -> str:
        """A line for a user, and further ones for what was left out since it does not match."""
        text = f"{self.loaded} arrays loaded"
        if self.matching:
            text = f"{self.loaded} arrays of {self.numbers:,} numbers loaded"
        if self.inflated:
            text += f", {self.inflated} of them for images and repeated over frames"
        if self.new:
            text += f", new: {', '.join(self.new)}"
        if self.left_out:
            text += f", {len(self.left_out)} not needed: {', '.join(self.left_out[:3])}"
            text += ", ..." * (len(self.left_out) > 3)
        return "\n".join([text, *self._lines()])


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
    matching: bool = False,
    source: str,
) -> tuple[Variables, Report]:
    """Variables of what was found.

    Args:
      found: arrays by our path.
      template: initial variables of the model, or their shapes if none of them is kept.
      unexpected: names in the source that are none of the model's.
      left_out: such names that are not needed.
      new_head: keep the initial values of the layers that give the logits.
      matching: keep those of all that is missing or of another shape.
      source: the file, for messages.

    Raises:
      UserError: anything is missing, unexpected or of another shape; or if only what matches is
        wanted, nothing does.
    """
    wanted = paths(template)
    new = [path for path in wanted if new_head and HEAD.fullmatch(path)]
    if new_head and not new:
        raise UserError(
            "--init.new-head asks for a new head, but the model has no layer of the name head"
        )
    rest = [path for path in wanted if path not in new]
    flat = [path for path in rest if path in found and _is_flat(found[path].array, wanted[path])]
    over_frames = {
        path: found[path]._replace(array=inflated(found[path].array, wanted[path].shape[0]))
        for path in flat
    }
    found = {**found, **over_frames}
    missing = [path for path in rest if path not in found]
    misshapen = [
        path
        for path in rest
        if path in found and found[path].array.shape != tuple(wanted[path].shape)
    ]
    unfit = {*missing, *misshapen}
    taken = [path for path in rest if path not in unfit]
    report = Report(
        loaded=len(taken),
        missing=tuple(missing),
        unexpected=tuple(unexpected),
        misshapen=tuple(
            f"{path}: {found[path].array.shape} in {source} ({found[path].name}), "
            f"{tuple(wanted[path].shape)} in the model"
            for path in misshapen
        ),
        new=tuple(new),
        left_out=tuple(left_out),
        numbers=sum(found[path].array.size for path in taken),
        matching=matching,
        inflated=len(flat),
    )
    report.check(source)
    values = {path: _initial(path, wanted[path]) for path in wanted if path not in taken}
    values |= {
        path: np.asarray(found[path].array, dtype=wanted[path].dtype, order="C") for path in taken
    }
    ordered = {path: values[path] for path in wanted}
    empty: Variables = {collection: {} for collection in template}
    return empty | traverse_util.unflatten_dict(ordered, sep="/"), report


def inflated(kernel: np.ndarray, frames: int) -> np.ndarray:
    """A kernel (h, w, c, f) for images as one over frames, (frames, h, w, c, f).

    It is repeated and divided by their number, so that of frames that are all the same it makes
    what the other makes of one: Carreira and Zisserman 2017, https://arxiv.org/abs/1705.07750.
    """
    return np.repeat(kernel[None] / np.asarray(frames, kernel.dtype), frames, axis=0)


def _is_flat(array: np.ndarray, wanted: Any) -> bool:
    """Whether a kernel for images was found where one over frames is wanted."""
    return len(wanted.shape) == 5 and array.shape == tuple(wanted.shape[1:])


def _initial(path: str, value: Any) -> np.ndarray:
    if isinstance(value, jax.ShapeDtypeStruct):
        raise TypeError(f"{path} keeps its initial value, but the template has shapes only")
    return np.asarray(value)
