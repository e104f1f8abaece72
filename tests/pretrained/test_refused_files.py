"""Files that PyTorch would not have written, or that would harm whoever loads them with it."""

import copy
import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from torch_writer import (
    Call,
    Name,
    Storages,
    Stored,
    pickled,
    rebuilt,
    stored,
    write_legacy,
    write_zip,
)

from cnn_jax.errors import UserError
from cnn_jax.pretrained import pickle_machine, tensors
from cnn_jax.pretrained.torch_file import read_torch


class Runs:
    """Writes a file where it is unpickled."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def attacks(mark):
    """Pickles that would make the file `mark`, each with the name that it asks for."""
    system = Name(os.system.__module__, "system"), (f"touch {mark}",)
    evaluate = Name("builtins", "eval"), (f"open({str(mark)!r}, 'w')",)
    partial = Call(Name("functools", "partial"), (system[0], *system[1]))
    imported = Call(Name("builtins", "getattr"), (Name("os", ""), "system"))
    return {
        "posix.system": Call(*system),
        "builtins.eval": {"state_dict": {"w": [Call(*evaluate)]}},
        "functools.partial": Call(Name("collections", "OrderedDict"), ([["w", partial]],)),
        "builtins.getattr": {"w": Call(imported, (f"touch {mark}",))},
        "torch._utils.os.system": Call(Name("torch._utils", "os.system"), (f"touch {mark}",)),
        "torch.load": Call(Name("torch", "load"), (str(mark),)),
        "torchvision.models.resnet.ResNet": Name("torchvision.models.resnet", "ResNet"),
    }


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", attacks(""))
def test_refuses_other_names_and_calls_nothing(tmp_path, name, protocol):
    mark = tmp_path / "mark"
    value = attacks(mark)[name]
    tensors, storages = stored({"x": np.float32([1, 2])})
    path = write_zip(tmp_path / "n.pth", {"a": tensors, "b": value}, storages, protocol=protocol)
    with pytest.raises(UserError, match=f"is refused: it asks for {name.replace('.', '[.]')},"):
        read_torch(path)
    path = write_legacy(tmp_path / "n.th", value, Storages(True))
    with pytest.raises(UserError, match=f"is refused: it asks for {name.replace('.', '[.]')},"):
        read_torch(path)
    assert not mark.exists()


@pytest.mark.parametrize("protocol", range(2, 6))
def test_refuses_what_python_itself_would_run(tmp_path, protocol):
    mark = tmp_path / "mark"
    data = pickle.dumps(Runs(os.system, f"touch {mark}"), protocol)
    with zipfile.ZipFile(tmp_path / "n.pth", "w") as archive:
        archive.writestr("n/data.pkl", data)
    with pytest.raises(UserError, match=r"it asks for posix\.system"):
        read_torch(tmp_path / "n.pth")
    assert not mark.exists()
    pickle.loads(data)
    assert mark.exists()  # so the pickle was a dangerous one


# Instructions that plain weights do not need: making objects, extension codes, text numbers.
@pytest.mark.parametrize(
    "body",
    [
        b"ccollections\nOrderedDict\n)\x81.",
        b"(icollections\nOrderedDict\n.",
        b"(ccollections\nOrderedDict\no.",
        b"\x82\x01.",
        b"I1\n.",
        b"Vtext\n.",
        b"\x8f.",
        b"Pid\n.",
        b"}2.",
    ],
)
def test_refuses_other_instructions(tmp_path, body):
    with zipfile.ZipFile(tmp_path / "n.pth", "w") as archive:
        archive.writestr("n/data.pkl", b"\x80\x02" + body)
    with pytest.raises(UserError, match=r"damaged, or not what .* the instruction"):
        read_torch(tmp_path / "n.pth")


@pytest.mark.parametrize(
    "change",
    [
        {"offset": 1},  # one number too far
        {"offset": 25},
        {"shape": (5, 6), "strides": (6, 1), "offset": 2**62},
        {"shape": (31,), "strides": (0,)},
        {"shape": (5, 6), "strides": (7, 1)},
        {"shape": (5,), "strides": (-1,), "offset": 4},
        {"shape": (2, 3), "strides": (1,)},
        {"shape": (True,), "strides": (1,)},
        {"shape": [5, 6]},
        {"shape": (1,) * 65, "strides": (1,) * 65},
        {"shape": (0, 2**70), "strides": (1, 1)},
        {"storage": 1},
    ],
)
def test_refuses_tensors_that_are_not_in_their_storage(tmp_path, change):
    storages = Storages()
    storage = storages.store(np.arange(30, dtype=np.float32))
    plain = {"storage": storage, "offset": 0, "shape": (5, 6), "strides": (6, 1)}
    write_zip(tmp_path / "whole.pth", {"x": rebuilt(**plain)}, storages)
    assert read_torch(tmp_path / "whole.pth")["x"].shape == (5, 6)
    write_zip(tmp_path / "bad.pth", {"x": rebuilt(**plain | change)}, storages)
    with pytest.raises(UserError, match=r"bad\.pth is damaged"):
        read_torch(tmp_path / "bad.pth")


def test_refuses_storages_of_another_size(tmp_path):
    storages = Storages()
    value = {"x": storages.tensor(np.zeros(4, np.float32))}
    storages.data["0"] = bytes(12)
    with pytest.raises(UserError, match="12 bytes for 4 numbers"):
        read_torch(write_zip(tmp_path / "n.pth", value, storages))


def test_refuses_compressed_entries(tmp_path):
    value, storages = stored({"x": np.zeros(2**22, np.float32)})
    path = write_zip(tmp_path / "n.pth", value, storages, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**15
    with pytest.raises(UserError, match="compressed"):
        read_torch(path)


def test_refuses_entries_that_lie_over_each_other(tmp_path):
    storages = Storages()
    value = {f"x{i}": storages.tensor(np.zeros(2**16, np.float32)) for i in range(50)}
    path = tmp_path / "n.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("n/data.pkl", pickled(value))
        archive.writestr("n/data/0", storages.data["0"])
        for key in storages.data.keys() - {"0"}:
            entry = copy.copy(archive.getinfo("n/data/0"))
            entry.filename = f"n/data/{key}"
            archive.filelist.append(entry)
    assert path.stat().st_size < 2**19 < 50 * 2**18
    with pytest.raises(UserError, match="entries that are larger than the file"):
        read_torch(path)


def test_a_long_list_of_pairs_is_not_copied_again_and_again(tmp_path):
    pairs = [[str(i), i] for i in range(20_000)]
    again = [Call(Name("collections", "OrderedDict"), (pairs,)) for _ in range(20_000)]
    path = write_zip(tmp_path / "n.pth", again, Storages())
    with pytest.raises(UserError, match="holds no state dict, but a list"):
        read_torch(path)


def test_a_key_that_would_take_for_ever_to_hash_is_refused(tmp_path):
    key = ()
    for _ in range(100):
        key = (key, key)
    body = pickled(key)[2:-1]
    with zipfile.ZipFile(tmp_path / "n.pth", "w") as archive:
        archive.writestr("n/data.pkl", b"\x80\x02}" + body + b"Ns.")
    with pytest.raises(UserError, match="a tuple as a key"):
        read_torch(tmp_path / "n.pth")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("collections.OrderedDict", ("abc",)),
        ("collections.OrderedDict", ({},)),
        ("collections.OrderedDict", (3,)),
        ("collections.OrderedDict", ([1],)),
        ("collections.OrderedDict", (["ab"],)),
        ("collections.OrderedDict", ([["a", 1, 2]],)),
        ("collections.OrderedDict", ([[[], 1]],)),
        ("collections.OrderedDict", ([], [])),
        ("torch.Size", ()),
        ("torch.Size", (3,)),
        ("torch.Size", ((), ())),
        ("torch._utils._rebuild_parameter", ()),
        ("torch._utils._rebuild_parameter", ("abc", True, None)),
        ("torch._utils._rebuild_tensor", ()),
        ("torch._utils._rebuild_tensor", (1, 2, 3, 4)),
        ("torch._utils._rebuild_tensor_v2", (1, 2, 3, 4)),
        ("torch._utils._rebuild_tensor_v2", (None,) * 1000),
        ("torch.FloatStorage", ()),
    ],
)
def test_refuses_calls_with_other_arguments(tmp_path, name, arguments):
    call = Call(Name(*name.rsplit(".", 1)), arguments)
    path = write_zip(tmp_path / "n.pth", {"x": call}, Storages())
    with pytest.raises(UserError, match=r"damaged, or not what .*: (a|an|what) [a-z]+ .*") as error:
        read_torch(path)
    assert "<lambda>" not in str(error.value)
    assert "positional" not in str(error.value)


@pytest.mark.parametrize(
    "description",
    [
        "storage",
        ("storage",),
        ("storage",) * 1000,
        ("storage", Name("torch", "Size"), "0", "cpu", 1),
        ("storage", Name("torch", "FloatStorage"), 0, "cpu", 1),
        ("storage", Name("torch", "FloatStorage"), "0" * 2000, "cpu", 1),
        ("storage", Name("torch", "FloatStorage"), "0", "cpu", -1),
        ("storage", Name("torch", "FloatStorage"), "0", "cpu", 2**63),
    ],
)
def test_refuses_other_storages(tmp_path, description):
    path = write_zip(tmp_path / "n.pth", {"x": Stored(description)}, Storages())
    with pytest.raises(UserError, match=r"no storage of numbers|without a key or a size"):
        read_torch(path)


LONG = b"X" + struct.pack("<I", 2000) + b"a" * 2000


# Each of these would take time or memory that grows with the square of the file's size, were
# there more of it: numbers of any length, copies of long texts, hashes that collide.
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\x8b" + struct.pack("<i", 5000) + b"\x7f" * 5000 + b".", "the instruction LONG4"),
        (b"}\x8a\xff" + b"\x7f" * 255 + b"Ns.", "a whole number of more than 64 bits as a key"),
        (b"}" + LONG + b"Ns.", "a key of more than 1,000 characters"),
        (LONG + b"q\0h\0\x93.", "a name of more than 1,000 characters"),
        (b"Nr" + struct.pack("<I", 2**31) + b".", "something remembered as number 2147483648"),
        (b"h\7.", "it refers to what it does not hold"),
        (b"}(" + b"N" * 3 + b"u.", "a key without a value"),
    ],
)
def test_refuses_what_has_no_bound(tmp_path, body, message):
    with zipfile.ZipFile(tmp_path / "n.pth", "w") as archive:
        archive.writestr("n/data.pkl", b"\x80\x02" + body)
    with pytest.raises(UserError, match=f"n.pth is damaged, or not what .*: {message}"):
        read_torch(tmp_path / "n.pth")


def test_keys_are_texts_whatever_they_were(tmp_path):
    # Whole numbers can be chosen so that all their hashes are the same.
    found = pickle_machine.run(io.BytesIO(pickled({2: "a", None: "b", 0.5: "c"})), {}, None, "x")
    assert found == {"2": "a", "None": "b", "0.5": "c"}


def test_counts_instructions_and_tensors(tmp_path, monkeypatch):
    value, storages = stored({str(i): np.zeros(1, np.float32) for i in range(30)})
    path = write_zip(tmp_path / "n.pth", value, storages)
    assert len(read_torch(path)) == 30
    monkeypatch.setattr(tensors, "MOST_TENSORS", 29)
    with pytest.raises(UserError, match="holds 30 arrays; at most 29 are read"):
        read_torch(path)
    monkeypatch.setattr(pickle_machine, "MOST_INSTRUCTIONS", 100)
    with pytest.raises(UserError, match=r"more than 100 instructions. Save the state dict alone"):
        read_torch(path)


def test_refuses_names_that_cannot_be_printed(tmp_path):
    value, storages = stored({"a\n\x1b[31m": np.zeros(1, np.float32)})
    with pytest.raises(UserError, match=r"a name that cannot be printed: a\\n\\x1b\[31m$"):
        read_torch(write_zip(tmp_path / "n.pth", value, storages))


def test_refuses_entries_of_two_sizes(tmp_path):
    # An entry that says it is empty, and is read in full.
    value, storages = stored({"x": np.zeros(4, np.float32)})
    path = write_zip(tmp_path / "n.pth", value, storages)
    data = bytearray(path.read_bytes())
    place = data.rindex(b"n/data/0") - 46
    data[place + 24 : place + 28] = bytes(4)
    path.write_bytes(data)
    with pytest.raises(UserError, match="data/0 has two sizes"):
        read_torch(path)


def test_views_of_one_storage_share_its_memory(tmp_path):
    storages = Storages()
    storage = storages.store(np.arange(1000, dtype=np.float32))
    value = {str(i): rebuilt(storage, 0, (10, 100), (i % 3, 1)) for i in range(50)}
    found = list(read_torch(write_zip(tmp_path / "n.pth", value, storages)).values())
    assert all(np.shares_memory(found[0], array) for array in found)


def test_refuses_a_storage_that_stands_in_a_file_twice(tmp_path):
    value, storages = stored({"x": np.zeros(1, np.float32)}, legacy=True)
    path = write_legacy(tmp_path / "n.pth", value, storages)
    once, twice = pickled(["0"]), pickled(["0", "0"])
    assert path.read_bytes().count(once) == 1
    path.write_bytes(path.read_bytes().replace(once, twice))
    with pytest.raises(UserError, match="a storage that stands in it twice"):
        read_torch(path)


def test_refuses_numbers_that_float32_does_not_hold(tmp_path):
    value, storages = stored({"x": np.array([1, 1e300])})
    with pytest.raises(UserError, match="numbers that are too large for float32"):
        read_torch(write_zip(tmp_path / "n.pth", value, storages))
