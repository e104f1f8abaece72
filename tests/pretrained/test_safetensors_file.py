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


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([("x", "F32", [1] * 65, bytes(4))], "is damaged, .*64"),
        ([("x", "F32", [0, 2**62], b"")], "is damaged"),
        ([("x", "F32", [2**40, 2**40], b"")], "is damaged, .*overflow"),
        ([("x", "F32", [3], bytes(8))], "is damaged"),
        ([("x", "Q7", [1], bytes(4))], "is damaged, .*Q7"),
        ([("a\n", "F32", [1], bytes(4))], r"a name that cannot be printed: a\\n$"),
        ([("a" * 2000, "F32", [1], bytes(4))], r"a name of 2,000 characters, a{40}\.\.\.;"),
        ([("x", "F64", [1], np.float64(1e300).tobytes())], "too large for float32"),
    ],
)
def test_refuses_arrays_that_are_none(tmp_path, entries, message):
    with pytest.raises(UserError, match=message):
        read_safetensors(by_hand(tmp_path / "x.safetensors", entries))


@pytest.mark.parametrize(
    ("header", "length", "message"),
    [
        (b'{"x":1}', 2**63, "header too large"),
        (b'{"\xff":1}', None, "UTF-8"),
        (b"[" * 100_000, None, "is damaged"),
        (b'{"x":ENTRY,"x":ENTRY}', None, "x stands in its header twice"),
        (b'{"x":ENTRY,"y":ENTRY}', None, "invalid offset for tensor"),
    ],
)
def test_refuses_headers_that_are_none(tmp_path, header, length, message):
    header = header.replace(b"ENTRY", b'{"dtype":"F32","shape":[1],"data_offsets":[0,4]}')
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", length or len(header)) + header + bytes(4))
    with pytest.raises(UserError, match=message):
        read_safetensors(path)
