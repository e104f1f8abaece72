"""How programs that apply a model are compiled for the devices of a mesh."""

from __future__ import annotations

import contextlib
import importlib.metadata
import math
import re
import sys
from typing import Any

import jax
from jax.sharding import Mesh

from cnn_jax.devices.compilation_cache import unstored, watched
from cnn_jax.devices.processes import is_first
from cnn_jax.layers.cpu.folding import FEW
from cnn_jax.layers.cpu.platform import layers_for

_PRODUCT = re.compile(
    r"stablehlo\.(?:convolution\(.* = \[b, 0, 1, f\]x\[0, 1, i, o\]->"
    r"|dot_general .* contracting_dims = \[(?P<contracted>[\d, ]+)\])"
    r".* : \(tensor<(?P<left>[\dx]+)x\w+>, tensor<(?P<right>[\dx]+)x\w+>\)"
    r" -> tensor<(?P<out>[\dx]+)x\w+>"
)
"""A forward convolution or a product of matrices in the text of a program."""

_GROUPS = re.compile(
    r"feature_group_count = (?P<groups>\d+) : i64.*"
    r" : \(tensor<[\dx]+x\w+>, tensor<\d+x\d+x(?P<each>\d+)x\d+x\w+>\)"
)
"""A convolution of groups of maps, so many `each`."""

_SHARE = 1 / 8
"""Of all multiplications, from which on it matters how such convolutions are done."""

Options = dict[str, bool | int | str]
"""Options of XLA by their names."""

_ONEDNN: Options = {
    "xla_cpu_use_onednn": True,
    "xla_cpu_experimental_onednn_custom_call": True,
}

_YNNPACK = "xla_cpu_experimental_ynn_fusion_type"
"""What XLA gives to its library YNNPACK; convolutions it would take before oneDNN can."""

_PRODUCTS, _SUMS = "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT", "LIBRARY_FUSION_TYPE_REDUCE"


def compiler_options(mesh: Mesh, program: str) -> Options:
    """Options of XLA for programs with convolutions.

    On the CPU oneDNN's convolutions are several times as fast as XLA's own in bfloat16, and in
    float32 faster where they give few maps (`make bench-layers ARGS="--without onednn"`), and in
    evaluation where they are depthwise. Elsewhere they are no faster, and programs that call them
    cannot be kept in the compilation cache. In bfloat16 YNNPACK is left products alone: what it
    fuses with convolutions, sums and sums of products gives NaN in evaluations of residual nets
    (jaxlib 0.12.0). Older versions of jaxlib know the options and ignore them, or do not know them.

    Args:
      mesh: the devices.
      program: its text in StableHLO.
    """
    version = tuple(int(part) for part in importlib.metadata.version("jaxlib").split(".")[:2])
    if mesh.devices.flat[0].platform != "cpu" or version < (0, 12):
        return {}
    if "bf16" in program:
        return _ONEDNN | {_YNNPACK: _PRODUCTS}
    if _has_depthwise(program) or _share_of_few(program) >= _SHARE:
        return _ONEDNN | {_YNNPACK: f"{_PRODUCTS},{_SUMS}"}
    return {}


def _has_depthwise(program: str) -> bool:
    """Whether a forward convolution is depthwise: in evaluation these are left to oneDNN."""
    groups = _GROUPS.finditer(program)
    return any(int(found["groups"]) > 1 == int(found["each"]) for found in groups)


def _share_of_few(program: str) -> float:
    """The part of all multiplications that is in convolutions which give few maps."""
    few = total = 0
    for found in _PRODUCT.finditer(program):
        left, right, out = ([int(n) for n in found[i].split("x")] for i in ("left", "right", "out"))
        if found["contracted"]:
            total += math.prod(out) * math.prod(
                left[int(i)] for i in found["contracted"].split(",")
            )
            continue
        count = math.prod(out) * math.prod(right[:3])
        total += count
        if right[3] <= FEW:
            few += count
    return few / total if total else 0.0


def compiled(mesh: Mesh, function: Any, *arguments: Any) -> Any:
    """A jitted or pmapped function that applies a model, compiled as is best for a mesh.

    Args:
      mesh: the devices.
      function: what `jax.jit` or `jax.pmap` gave, not traced before.
      *arguments: its arguments, or their shapes.
    """
    with layers_for(mesh.devices.flat[0].platform, mesh.devices.size):
        lowered = function.lower(*arguments)
    return compile_with(lowered, compiler_options(mesh, lowered.as_text()))


_unknown: set[str] = set()
"""Options that this version of XLA has refused."""


def compile_with(lowered: Any, options: Options) -> Any:
    """A lowered program compiled with options of XLA, but for those that it does not know.

    They make a program faster, or quicker to compile; no version of XLA is bound to keep them.
    """
    while True:
        known = {name: value for name, value in options.items() if name not in _unknown}
        try:
            # XLA fails to pack programs that call oneDNN, after it has compiled them.
            calls = _ONEDNN.items() <= known.items()
            with watched(), unstored() if calls else contextlib.nullcontext():
                return lowered.compile(known)
        except jax.errors.JaxRuntimeError as error:
            refused = {name for name in known if re.search(rf"\b{name}\b", str(error))}
            if not refused:
                raise
            new = sorted(refused - _unknown)
            _unknown.update(refused)
            if new and is_first():
                print(
                    f"this version of XLA does not take {', '.join(new)}; programs are compiled "
                    "without",
                    file=sys.stderr,
                )
