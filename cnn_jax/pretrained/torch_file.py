"""PyTorch's files of weights, read without PyTorch and without executing anything in them."""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnn_jax.errors import UserError
from cnn_jax.pretrained import pickle_machine
from cnn_jax.pretrained.pickle_machine import Global, Maker
from cnn_jax.pretrained.tensors import (
    LONGEST_NAME,
    Tensors,
    as_float32,
    bfloat16_as_float32,
    check_names,
    shown,
)

_WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Under which training scripts put a state dict among other things."""

_PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""

_DTYPES = {
    "torch.FloatStorage": "f4",
    "torch.DoubleStorage": "f8",
    "torch.HalfStorage": "f2",
    "torch.BFloat16Storage": "u2",  # the upper half of a float32
    "torch.LongStorage": "i8",
    "torch.IntStorage": "i4",
    "torch.ShortStorage": "i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "?",
}

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001


def read_torch(path: Path) -> Tensors:
    """The tensors of a PyTorch state dict (`.pth`, `.pt`, `.th`), by name.

    Reads what `torch.save` of PyTorch 1.6 and later writes and, of the format before it, what
    has no views. A state dict may stand under `state_dict`, `model_state_dict` or `model`; the
    prefixes of DataParallel and torch.compile are taken away.

    What a file costs is in proportion to its size, whatever stands in it: see `pickle_machine` for
    its pickles, and no tensor has more elements than its storage has numbers.

    Returns:
      Read-only arrays, in PyTorch's layout; floats of any width as float32, whole numbers as
      they are.

    Raises:
      UserError: the file is damaged, holds no tensors, or asks for anything but them.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
            file.seek(0)
            if start == b"PK\3\4":
                value, storages = _read_zip(file, path)
            elif start[:1] == b"\x80":
                value, storages = _read_legacy(io.BytesIO(file.read()), str(path))
            else:
                raise UserError(f"{path} is no file of PyTorch's")
            tensors = {
                name: entry
                for name, entry in _state_dict(value, path).items()
                if isinstance(entry, _Tensor)
            }
            check_names(tensors, len(tensors), path)
            found = {name: storages.tensor(entry) for name, entry in tensors.items()}
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None
    # A damaged pickle or archive shows as any of these.
    except (
        ValueError, TypeError, LookupError, ArithmeticError, EOFError, struct.error,
        zipfile.BadZipFile, RuntimeError,
    ) as error:  # fmt: skip
        reason = "it refers to what it does not hold" if isinstance(error, LookupError) else error
        raise UserError(
            f"{path} is damaged, or not what PyTorch's torch.save writes: {shown(str(reason))}"
        ) from None
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in found):
            found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found


@dataclass(frozen=True)
class _Storage:
    dtype: str
    key: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Storages:
    """The numbers of all tensors of a file.

    Args:
      read: the bytes of a storage.
      order: `<` or `>`: the order of the bytes of a number.
    """

    def __init__(self, read: Callable[[_Storage], bytes], order: str) -> None:
        self._read = read
        self._order = order
        self._bytes: dict[str, bytes] = {}
        self._arrays: dict[_Storage, np.ndarray] = {}

    def _array(self, storage: _Storage) -> np.ndarray:
        if storage not in self._arrays:
            if storage.key not in self._bytes:
                self._bytes[storage.key] = self._read(storage)
            dtype = np.dtype(_DTYPES[storage.dtype]).newbyteorder(self._order)  # type: ignore[arg-type]
            data = self._bytes[storage.key]
            if len(data) != storage.count * dtype.itemsize:
                raise ValueError(f"{len(data)} bytes for {storage.count} numbers")
            array = np.frombuffer(data, dtype)
            if storage.dtype == "torch.BFloat16Storage":
                array = bfloat16_as_float32(array)
            array = as_float32(array)
            array.flags.writeable = False
            self._arrays[storage] = array
        return self._arrays[storage]

    def tensor(self, tensor: _Tensor) -> np.ndarray:
        """The array of a tensor, a view of the numbers that it may share with others."""
        numbers = self._array(tensor.storage)
        shape, size = tensor.shape, math.prod(tensor.shape)
        if size == 0:
            return np.zeros(shape, numbers.dtype)
        last = tensor.offset + sum(
            (n - 1) * stride for n, stride in zip(shape, tensor.strides, strict=True)
        )
        # A tensor of more elements than there are numbers would be a small file's way to fill
        # the memory.
        if last >= len(numbers) or size > len(numbers):
            raise ValueError(f"a tensor {shape} of a storage of {len(numbers)} numbers")
        # The stride along an axis of one element is never used, and may be anything.
        steps = [
            stride * numbers.itemsize if n > 1 else 0
            for n, stride in zip(shape, tensor.strides, strict=True)
        ]
        return np.lib.stride_tricks.as_strided(
            numbers[tensor.offset :], shape, steps, writeable=False
        )


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise ValueError("a tensor without a storage")
    if not (isinstance(size, tuple) and isinstance(stride, tuple)) or len(size) > _MOST_AXES:
        raise ValueError("a tensor without a shape")
    if len(size) != len(stride):
        raise ValueError("a tensor of more axes than strides, or fewer")
    if not all(map(_is_count, (offset, *size, *stride))):
        raise ValueError("a tensor of a shape that is none")
    return _Tensor(storage, offset, size, stride)


_MOST_AXES = 64  # as NumPy has it


def _is_count(number: Any) -> bool:
    return type(number) is int and 0 <= number < 2**63


def _rebuild_parameter(data: Any, *_: Any) -> _Tensor:
    if not isinstance(data, _Tensor):
        raise ValueError("a parameter without a tensor")
    return data


def _size(numbers: Any) -> tuple[Any, ...]:
    if not isinstance(numbers, tuple):
        raise ValueError("a size of no numbers")
    return numbers


def _ordered_dict(pairs: Any = None) -> dict[str, Any]:
    """An ordered dictionary, empty unless an old Python gave its pairs as a list of lists."""
    found: dict[str, Any] = {}
    if pairs is None:
        return found
    if not isinstance(pairs, list):
        raise ValueError(f"an ordered dictionary of a {type(pairs).__name__}")
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise ValueError("an ordered dictionary of what are no pairs")
        pickle_machine.set_item(found, *pair)
    # A short pickle could have a long list copied any number of times.
    pairs.clear()
    return found


_MAKERS: dict[str, Maker | None] = {
    "collections.OrderedDict": Maker(_ordered_dict, 0, 1),
    "torch._utils._rebuild_tensor": Maker(_rebuild_tensor, 4, 4),
    "torch._utils._rebuild_tensor_v2": Maker(_rebuild_tensor, 6, 7),
    "torch._utils._rebuild_parameter": Maker(_rebuild_parameter, 2, 3),
    "torch.Size": Maker(_size, 1, 1),
    **dict.fromkeys(_DTYPES),
}


def _persistent(description: Any) -> _Storage:
    """The storage that a pickle speaks of as (`storage`, class, key, device, count)."""
    if not isinstance(description, tuple) or len(description) not in (5, 6):
        raise ValueError("an object outside the pickle that is no storage of numbers")
    kind, dtype, key, _, count, *view = description
    if kind != "storage" or not isinstance(dtype, Global) or dtype.name not in _DTYPES:
        raise ValueError("an object outside the pickle that is no storage of numbers")
    if not isinstance(key, str) or len(key) > LONGEST_NAME or not _is_count(count):
        raise ValueError("a storage without a key or a size")
    if any(entry is not None for entry in view):
        raise ValueError("storages that are views of others; save it anew with PyTorch")
    return _Storage(dtype.name, key, count)


def _read_zip(file: Any, path: Path) -> tuple[Any, _Storages]:
    if not zipfile.is_zipfile(file):
        raise ValueError("the end is missing")
    archive = zipfile.ZipFile(file)
    places = [name for name in archive.namelist() if name.split("/")[1:] == ["data.pkl"]]
    if len(places) != 1:
        raise ValueError("an archive without a data.pkl")
    folder = places[0].removesuffix("data.pkl")
    # PyTorch compresses nothing, so that all entries together are no larger than the file.
    left = path.stat().st_size

    def read(name: str) -> bytes:
        nonlocal left
        entry = archive.getinfo(folder + name)
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise ValueError(f"{name} is compressed or encrypted")
        # The archive's reader reads the one and gives the other.
        if entry.compress_size != entry.file_size:
            raise ValueError(f"{name} has two sizes")
        left -= entry.file_size
        if left < 0:
            raise ValueError("entries that are larger than the file")
        return archive.read(entry)

    order = b"little"
    if f"{folder}byteorder" in archive.namelist():
        order = read("byteorder")
    if order not in _ORDERS:
        raise ValueError(f"an order of bytes that is {order[:20]!r}")
    value = pickle_machine.run(io.BytesIO(read("data.pkl")), _MAKERS, _persistent, str(path))
    return value, _Storages(lambda storage: read(f"data/{storage.key}"), _ORDERS[order])


_ORDERS = {b"little": "<", b"big": ">"}


def _read_legacy(stream: io.BytesIO, source: str) -> tuple[Any, _Storages]:
    """The format before PyTorch 1.6: five pickles, then all storages one after the other."""
    sizes: dict[str, int] = {}

    def persistent(description: Any) -> _Storage:
        storage = _persistent(description)
        sizes[storage.key] = storage.count * np.dtype(_DTYPES[storage.dtype]).itemsize
        return storage

    def run() -> Any:
        return pickle_machine.run(stream, _MAKERS, persistent, source)

    if run() != _LEGACY_MAGIC or run() != _LEGACY_PROTOCOL:
        raise ValueError("a pickle, but none of torch.save")
    system = run()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("numbers that are not little-endian")
    value, keys = run(), run()
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("no list of storages")
    data: dict[str, bytes] = {}
    for key in keys:
        if key in data:
            raise ValueError("a storage that stands in it twice")
        stream.read(8)  # the count again
        data[key] = stream.read(sizes[key])
    return value, _Storages(lambda storage: data[storage.key], "<")


def _state_dict(value: Any, path: Path) -> dict[str, Any]:
    """The dictionary of tensors in what was pickled."""
    for key in _WRAPPERS:
        if isinstance(value, dict) and isinstance(value.get(key), dict):
            value = value[key]
    found = value if isinstance(value, dict) else {}
    if not any(isinstance(entry, _Tensor) for entry in found.values()):
        held = ", ".join(map(repr, list(found)[:8])) or f"a {type(value).__name__}"
        raise UserError(f"{path} holds no state dict, but {shown(held)}")
    return found
