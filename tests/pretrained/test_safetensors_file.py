import json
import struct

import numpy as np
import pytest

from cnn_jax.errors import UserError
from cnn_jax.pretrained.safetensors_file import read_safetensors, write_safetensors


def by_hand(path, entries):
    """Writes a file from (name, kind, shape, bytes)."""
    header, data = {}, b""
    for name, kind, shape, part in entries:
        header[name] = {
            "dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(part)]
        }  # fmt: skip
        data += part
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def test_written_is_read(tmp_path):
    tensors = {
        "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "scalar": np.float32(3),
        "count": np.array(7),
    }
    path = tmp_path / "net.safetensors"
    write_safetensors(path, tensors, {"format": "pt"})
    found = read_safetensors(path)
    assert found.keys() == tensors.keys()
    for name, array in tensors.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array, strict=True)
    length = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + length])
    assert header["__metadata__"] == {"format": "pt"}
    assert header["turned"]["shape"] == [3, 2]
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.safetensors"]


def test_reads_numbers_of_every_width(tmp_path):
    entries = [
        ("half", "F16", [2], np.float16([1.5, -2]).tobytes()),
        ("brain", "BF16", [2], np.uint16([0x3FC0, 0xC2F7]).tobytes()),
        ("double", "F64", [1], np.float64([0.1]).tobytes()),
        ("ints", "I64", [1, 1], np.int64([-5]).tobytes()),
    ]
    found = read_safetensors(by_hand(tmp_path / "x.safetensors", entries))
    wanted = {
        "half": np.float32([1.5, -2]),
        "brain": np.float32([1.5, -123.5]),
        "double": np.float32([0.1]),
        "ints": np.int64([[-5]]),
    }
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_refuses_numbers_of_other_kinds(tmp_path):
    path = by_hand(tmp_path / "x.safetensors", [("x", "F8_E4M3", [1], b"\0")])
    with pytest.raises(UserError, match=r"x of .* numbers of the kind F8_E4M3"):
        read_safetensors(path)


def test_every_truncation_is_an_error(tmp_path):
    path = by_hand(tmp_path / "x.safetensors", [("x", "F32", [2], bytes(8))])
    data = path.read_bytes()
    assert read_safetensors(path)["x"].tolist() == [0, 0]
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(UserError, match="damaged, or no safetensors file"):
            read_safetensors(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_safetensors(tmp_path / "x.safetensors")


def test_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(UserError, match="cannot be written: No such file"):
        write_safetensors(tmp_path / "none" / "x.safetensors", {"x": np.zeros(1)})
