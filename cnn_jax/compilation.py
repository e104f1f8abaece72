"""How programs that apply a model are compiled for the devices of a mesh."""

from __future__ import annotations

import importlib.metadata
import re
from typing import Any

from jax.sharding import Mesh

from cnn_jax.models.platform_layers import layers_for

_CONVOLUTION = re.compile(
    r"stablehlo\.convolution.*\[b, 0, 1, f\]x\[0, 1, i, o\].*, tensor<(?:\d+x){3}(\d+)x\w+>\)"
)
"""A forward convolution in the text of a program, and how many maps it gives."""

_FEW = 16
"""XLA's own convolutions on a CPU are made for at least so many maps."""


_ONEDNN = {"xla_cpu_use_onednn": True, "xla_cpu_experimental_onednn_custom_call": True}

_SOUND = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}
"""Leaves products alone to XLA's library YNNPACK: in bfloat16 what it fuses with convolutions,
sums and sums of products gives NaN in evaluations of residual nets (jaxlib 0.12.0)."""


def compiler_options(mesh: Mesh, program: str) -> dict[str, bool | str]:
    """Options of XLA for programs with convolutions.

    On the CPU oneDNN's convolutions are several times as fast as XLA's own in bfloat16, and
    faster in float32 where they give few maps: a LeNet-5 step takes three quarters of the time.
    Elsewhere they are no faster, and programs that call them cannot be kept in the compilation
    cache. In bfloat16 XLA is also kept from code that is not sound. Older versions of jaxlib know
    the options and ignore them, or do not know them and refuse.

    Args:
      mesh: the devices.
      program: its text in StableHLO.
    """
    version = tuple(int(part) for part in importlib.metadata.version("jaxlib").split(".")[:2])
    if mesh.devices.flat[0].platform != "cpu" or version < (0, 12):
        return {}
    few = any(int(found[1]) < _FEW for found in _CONVOLUTION.finditer(program))
    if "bf16" in program:
        return _ONEDNN | _SOUND
    return dict(_ONEDNN) if few else {}


def compiled(mesh: Mesh, function: Any, *arguments: Any) -> Any:
    """A jitted or pmapped function that applies a model, compiled as is best for a mesh.

    Args:
      mesh: the devices.
      function: what `jax.jit` or `jax.pmap` gave, not traced before.
      *arguments: its arguments, or their shapes.
    """
    with layers_for(mesh.devices.flat[0].platform):
        lowered = function.lower(*arguments)
    return lowered.compile(compiler_options(mesh, lowered.as_text()))
