"""The files of the safetensors package, which hold arrays and nothing that could be executed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from safetensors.numpy import save

from cnn_jax.errors import UserError
from cnn_jax.pretrained.tensors import (
    Tensors,
    as_float32,
    bfloat16_as_float32,
    check_names,
    shown,
)

_MOST_HEADER = 100_000_000
"""Bytes of a header, as the package itself allows them."""

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def read_safetensors(path: Path) -> Tensors:
    """The tensors of a `.safetensors` file by name; floats of any width as float32.

    Raises:
      UserError: the file is damaged, or holds numbers of another kind.
    """
    try:
        data = path.read_bytes()
        # It checks that the arrays lie one behind the other, and fill the file.
        entries = safetensors.deserialize(data)
        _check_once(data)
        check_names((name for name, _ in entries), len(entries), path)
        return {
            name: _array(name, entry["dtype"], entry["data"], entry["shape"], path)
            for name, entry in entries
        }
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None
    # NumPy has fewer shapes than the format: at most 64 axes, say.
    except (safetensors.SafetensorError, ValueError) as error:
        raise UserError(f"{path} is damaged, or no safetensors file: {shown(str(error))}") from None


def _check_once(data: bytes) -> None:
    """Checks that no name stands in a file's header twice: the last would count, unsaid."""

    def once(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"{name} stands in its header twice")
            seen.add(name)

    length = int.from_bytes(data[:8], "little")
    json.loads(data[8 : 8 + length], object_pairs_hook=once)


def read_metadata(path: Path) -> dict[str, str]:
    """The texts that a `.safetensors` file holds beside its tensors; none of a damaged one."""
    with contextlib.suppress(OSError, ValueError, AttributeError), path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length <= _MOST_HEADER:
            return dict(json.loads(file.read(length)).get("__metadata__") or {})
    return {}


def _array(name: str, code: str, data: bytes, shape: list[int], path: Path) -> np.ndarray:
    if code not in _DTYPES:
        raise UserError(f"{name} of {path} has numbers of the kind {code}, which is not known here")
    array = np.frombuffer(data, _DTYPES[code]).reshape(shape)
    return as_float32(bfloat16_as_float32(array) if code == "BF16" else array)


def write_safetensors(
    path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes tensors so that the file is either the old one or the whole new one.

    Args:
      path: the file.
      tensors: arrays by name.
      metadata: texts by name that are stored beside them.

    Raises:
      UserError: the file cannot be written.
    """
    data = save(
        {name: np.asarray(array, order="C") for name, array in tensors.items()},
        metadata=dict(metadata or {}),
    )
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
