"""Whatever a file holds: it loads, or is an error of one sentence, and nothing else is raised."""

import random
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import orbax.checkpoint as ocp
import pytest

from cnn_jax.errors import UserError
from cnn_jax.pretrained.naming import read_naming
from cnn_jax.pretrained.orbax_folder import read_orbax
from cnn_jax.pretrained.safetensors_file import read_safetensors, write_safetensors
from cnn_jax.pretrained.torch_file import read_torch

FILES = Path(__file__).parent / "files"

# Lengths and offsets that lie, and instructions of pickles.
ODD = [
    b"\0", b"\xff", b"\xff" * 4, b"\x7f" + b"\xff" * 7, b"R", b"Q", b"t", b"(", b"0", b"u", b"b",
    b"\x85R", b"h\0", b"h\1", b"\x8a\x09" + b"\x7f" * 9, b"null", b"-1", b"[]", b"{}", b"9" * 20,
]  # fmt: skip


def damaged(data, draw):
    """Data with one to three changes somewhere."""
    for _ in range(draw.randint(1, 3)):
        place, length = draw.randrange(len(data) + 1), draw.choice([0, 1, 1, 2, 8, 40])
        source = draw.randrange(len(data) + 1)
        new = draw.choice(
            [b"", draw.choice(ODD), draw.randbytes(length), data[source : source + length]]
        )
        data = data[:place] + new + data[place + length :]
    return data if draw.random() < 0.9 else data[: draw.randrange(len(data) + 1)]


def outcome(read, path):
    """Whether a file loads, and a copy of all its arrays can be made."""
    try:
        tensors = read(path)
    except UserError as error:
        assert "\n" not in str(error)
        assert str(path) in str(error)
        assert len(str(error)) < 700
        return False
    for array in getattr(tensors, "tensors", tensors).values():
        assert isinstance(array.copy(), np.ndarray)
    return True


def assert_some_of_each(outcomes):
    """Were all damage an error, or none, the damage would be of no use."""
    assert {True, False} == set(outcomes)


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_damaged_files_of_pytorch(tmp_path, name):
    draw, data, path = random.Random(0), (FILES / name).read_bytes(), tmp_path / "n.pth"

    def one():
        path.write_bytes(damaged(data, draw))
        return outcome(read_torch, path)

    assert_some_of_each([one() for _ in range(200)])


def with_pickle(path, pickled):
    """zip.pth with another pickle, so that no checksum hides what is wrong with it."""
    with zipfile.ZipFile(FILES / "zip.pth") as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.namelist():
            new.writestr(entry, pickled if entry.endswith("data.pkl") else old.read(entry))
    return path


def test_damaged_pickles(tmp_path):
    draw = random.Random(0)
    with zipfile.ZipFile(FILES / "zip.pth") as archive:
        data = archive.read("zip/data.pkl")
    path = tmp_path / "zip.pth"
    outcomes = [outcome(read_torch, with_pickle(path, damaged(data, draw))) for _ in range(200)]
    assert_some_of_each(outcomes)


NAMES = ["collections\nOrderedDict", "torch\nSize", "torch\nFloatStorage"]
NAMES += [f"torch._utils\n_rebuild_{kind}" for kind in ("tensor", "tensor_v2", "parameter")]
VALUES = [b"X" + struct.pack("<I", len(text)) + text for text in (b"abc", b"storage", b"0", b"")]
VALUES += [b"K\1", b"\x8a\1\xff", b"G" + struct.pack(">d", 1e300), b"N", b"\x88", b")", b"]", b"}"]
ORDERS = [b"a", b"e", b"s", b"u", b"b", b"R", b"Q", b"0", b"\x93", b"(", b"t", b"h\0", b"\x85"]


def random_value(draw, depth=0):
    """Instructions that make some value: of a call of what may be called in half of the cases."""
    kind = (
        "plain" if depth > 3 else draw.choice(["plain", "call", "call", "list", "dict", "stored"])
    )
    if kind == "plain":
        return draw.choice([*VALUES, *(b"c" + name.encode() + b"\n" for name in NAMES)])
    inside = b"".join(random_value(draw, depth + 1) for _ in range(draw.randint(0, 3)))
    if kind == "call":
        return b"c" + draw.choice(NAMES).encode() + b"\n(" + inside + b"tR"
    return {"list": b"](" + inside + b"e", "dict": b"}(" + inside + b"u", "stored": inside + b"Q"}[
        kind
    ]


def test_pickles_of_any_values_and_instructions(tmp_path):
    draw, path = random.Random(0), tmp_path / "n.pth"
    for _ in range(1000):
        program = random_value(draw) + b"q\0" + random_value(draw)
        program += b"".join(draw.choices(ORDERS, k=draw.choice([0, 0, 1, 3])))
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("n/data.pkl", b"\x80\x02" + program + b".")
        outcome(read_torch, path)


def test_damaged_safetensors(tmp_path):
    draw, path = random.Random(0), tmp_path / "x.safetensors"
    write_safetensors(path, {"a": np.ones((2, 3), np.float32), "b": np.float64([1, 2, 3])})
    data = path.read_bytes()

    def one():
        path.write_bytes(damaged(data, draw))
        return outcome(read_safetensors, path)

    assert_some_of_each([one() for _ in range(250)])


def test_damaged_tables_of_names(tmp_path):
    draw, path = random.Random(0), tmp_path / "names.json"
    data = rb'{"names": [["a(\\d)", "b\\1"]], "flattened": {"b": [1, 2, 3]}, "ones": {"a": 1}}'
    outcomes = []
    for _ in range(250):
        path.write_bytes(draw.choice([damaged(data, draw), draw.choice(ODD)]))
        try:
            read_naming(path)
            outcomes.append(True)
        except UserError as error:
            assert str(path) in str(error)
            outcomes.append(False)
    assert_some_of_each(outcomes)


@pytest.mark.parametrize("one_store", [False, True])
def test_damaged_folders_of_orbax(tmp_path, one_store):
    draw, whole, path = random.Random(0), tmp_path / "whole", tmp_path / "tree"
    tree = {"params": {"a": np.ones((3, 2)), "b": [np.ones(2)]}, "batch_stats": {"a": np.ones(2)}}
    with ocp.PyTreeCheckpointer(use_ocdbt=one_store) as checkpointer:
        checkpointer.save(whole, tree)
    outcomes = []
    for _ in range(20):
        shutil.copytree(whole, path)
        files = sorted(file for file in path.rglob("*") if file.is_file() and file.stat().st_size)
        file = draw.choice([path / "_METADATA", *files])
        file.write_bytes(damaged(file.read_bytes(), draw))
        outcomes.append(outcome(read_orbax, path))
        shutil.rmtree(path)
    assert_some_of_each(outcomes)
