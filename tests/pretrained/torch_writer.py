"""Writes PyTorch's files as `torch.save` does, or as an attacker would, without PyTorch."""

import io
import pickle
import zipfile
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class Name:
    """Pickled as a global name, which need not exist here."""

    module: str
    name: str


@dataclass(frozen=True)
class Call:
    """Pickled as a call of a global name."""

    function: Name
    arguments: tuple


@dataclass(frozen=True)
class Stored:
    """Pickled as a persistent id."""

    description: tuple


class _Pickler(pickle._Pickler):  # the one written in Python, whose instructions can be chosen
    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def persistent_id(self, obj):
        return obj.description if isinstance(obj, Stored) else None

    def _name(self, obj):
        if self.proto >= 4:
            self.save(obj.module)
            self.save(obj.name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        self.memoize(obj)

    def _call(self, obj):
        self.save(obj.function)
        self.save(obj.arguments)
        self.write(pickle.REDUCE)
        self.memoize(obj)

    dispatch[Name] = _name
    dispatch[Call] = _call


def pickled(value, protocol=2):
    """The bytes of a pickle."""
    stream = io.BytesIO()
    _Pickler(stream, protocol).dump(value)
    return stream.getvalue()


_STORAGES = {"f4": "Float", "f8": "Double", "f2": "Half", "i8": "Long", "i4": "Int", "u1": "Byte"}


@dataclass
class Storages:
    """Collects the numbers of the tensors of a file."""

    legacy: bool = False
    data: dict[str, bytes] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def store(self, array, kind=None):
        """A storage of all numbers of an array, in order."""
        key = str(len(self.data))
        self.data[key] = array.tobytes()
        self.counts[key] = array.size
        kind = kind or _STORAGES[array.dtype.str[1:]]
        entry = ("storage", Name("torch", f"{kind}Storage"), key, "cpu", array.size)
        return Stored((*entry, None) if self.legacy else entry)

    def tensor(self, array, kind=None):
        """A tensor with a storage of its own."""
        strides = np.zeros(array.shape, np.uint8).strides
        return rebuilt(self.store(array, kind), 0, array.shape, strides)


def rebuilt(storage, offset, shape, strides):
    """A tensor that is a view of a storage."""
    function = Name("torch._utils", "_rebuild_tensor_v2")
    return Call(function, (storage, offset, shape, strides, False, ordered({})))


def stored(arrays, legacy=False):
    """A state dict of arrays, with the storages of its tensors."""
    storages = Storages(legacy)
    return {name: storages.tensor(array) for name, array in arrays.items()}, storages


def ordered(entries):
    """What PyTorch pickles an ordered dictionary as, but for its entries."""
    assert not entries
    return Call(Name("collections", "OrderedDict"), ())


def write_zip(
    path, value, storages, *, protocol=2, compression=zipfile.ZIP_STORED, byteorder="little"
):
    """The format since PyTorch 1.6."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{path.stem}/data.pkl", pickled(value, protocol))
        archive.writestr(f"{path.stem}/byteorder", byteorder)
        for key, data in storages.data.items():
            archive.writestr(f"{path.stem}/data/{key}", data)
        archive.writestr(f"{path.stem}/version", "3\n")
    return path


def write_legacy(path, value, storages):
    """The format before."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    parts = [
        pickled(part) for part in (0x1950A86A20F9469CFC6C, 1001, system, value, list(storages.data))
    ]
    for key, data in storages.data.items():
        parts += [storages.counts[key].to_bytes(8, "little"), data]
    path.write_bytes(b"".join(parts))
    return path
