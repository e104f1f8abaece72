"""What a compiled program's devices send each other, read from its text."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "collective-permute", "all-to-all")
"""The operations that are counted, by the names that XLA gives them."""


class Collective(NamedTuple):
    """The operations of one kind in a program.

    Attributes:
      operations: how many stand in the program. XLA makes one operation of several arrays, so that
        this says more of the compiler than of the program.
      bytes: of the arrays that one device takes part with, each whole: of an all-gather what
        comes out, of a reduce-scatter what goes in. How much goes over a wire follows from the
        algorithm: of a ring over n devices (n - 1)/n of it, of an all-reduce twice that.
    """

    operations: int
    bytes: int


_OPERATION = re.compile(
    rf"=\s+(?P<result>\(.*?\)|\S+)\s+(?P<kind>{'|'.join(KINDS)})(?P<begun>-start)?\("
    r"(?P<rest>.*)$"
)
_ARRAY = re.compile(r"\b(?P<type>pred|[a-z]+(?P<bits>\d+)[a-z0-9]*)\[(?P<shape>[\d,<=]*)\]")
_SPLIT = re.compile(r"\bnum_partitions=(\d+)")
_COPIES = re.compile(r"\breplica_count=(\d+)")
_COMMENT = re.compile(r"/\*.*?\*/")
_MESH_GROUPS = re.compile(r"replica_groups=mesh\[(?P<axes>[^\]]*)\]\s*\{(?P<over>[^}]*)\}")
_NUMBERED_GROUPS = re.compile(r"replica_groups=\[\d+,(\d+)\]<=")
_LISTED_GROUPS = re.compile(r"replica_groups=\{\{([\d,]*)\}")


def collectives(hlo_text: str) -> dict[str, Collective]:
    """The operations by which the devices of a program send each other arrays.

    One that is begun and ended by two instructions (`all-gather-start`, `all-gather-done`) counts
    once; one within a loop counts once as well, however often the loop goes round.

    Args:
      hlo_text: what `as_text()` of a compiled program gives; shapes in it are those of a device.

    Returns:
      By kind, one of `KINDS`, in their order; kinds that do not occur are left out.
    """
    devices = _devices(hlo_text)
    found: dict[str, Collective] = {}
    for line in hlo_text.splitlines():
        operation = _OPERATION.search(_COMMENT.sub("", line))
        if operation is None:
            continue
        kind, rest = operation["kind"], operation["rest"]
        arrays = [_bytes(array) for array in _ARRAY.finditer(operation["result"])]
        size = sum(arrays)
        group = _group(rest, devices)
        if not operation["begun"]:
            if kind == "reduce-scatter":
                size *= group
        elif kind in ("all-gather", "reduce-scatter"):
            # The result stands beside the operand: one is a part of the other.
            size = size * group // (group + 1)
        elif kind == "collective-permute":
            # (operand, result), and on some devices two numbers behind them.
            size = arrays[1]
        elif kind == "all-to-all":
            size //= 2
        before = found.get(kind, Collective(0, 0))
        found[kind] = Collective(before.operations + 1, before.bytes + size)
    return {kind: found[kind] for kind in KINDS if kind in found}


def _bytes(array: re.Match[str]) -> int:
    """Of an array such as `f32[3,5]` or `pred[]`; types of less than 8 bits are packed."""
    bits = 8 if array["type"] == "pred" else int(array["bits"])
    sizes = [int(size.lstrip("<=")) for size in array["shape"].split(",") if size]
    return -(-math.prod(sizes) * bits // 8)


def _devices(text: str) -> int:
    """How many devices a program is for, as its first line says."""
    head = text.partition("\n")[0]
    return math.prod(
        int(number[1]) for number in (_SPLIT.search(head), _COPIES.search(head)) if number
    )


def _group(rest: str, devices: int) -> int:
    """How many devices send each other something in an operation; all where none are named."""
    if mesh := _MESH_GROUPS.search(rest):
        sizes = dict(re.findall(r"'([^']+)'=(\d+)", mesh["axes"]))
        return math.prod(int(sizes[name]) for name in re.findall(r"'([^']+)'", mesh["over"]))
    if numbered := _NUMBERED_GROUPS.search(rest):
        return int(numbered[1])
    if listed := _LISTED_GROUPS.search(rest):
        return len(listed[1].split(","))
    return devices
