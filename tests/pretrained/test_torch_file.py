import collections
import math
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from torch_writer import (
    Call,
    Name,
    Storages,
    pickled,
    rebuilt,
    stored,
    write_legacy,
    write_zip,
)

from cnn_jax.errors import UserError
from cnn_jax.pretrained.torch_file import read_torch

FILES = Path(__file__).parent / "files"


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)
    return {
        "conv.weight": random.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "bn.running_var": random.uniform(size=4).astype(np.float32),
        "bn.num_batches_tracked": np.array(7),
    }


def assert_equal(found, arrays):
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_reads_zip(tmp_path, arrays, protocol):
    path = write_zip(tmp_path / "net.pth", *stored(arrays), protocol=protocol)
    assert_equal(read_torch(path), arrays)


def test_reads_legacy(tmp_path, arrays):
    assert_equal(read_torch(write_legacy(tmp_path / "net.th", *stored(arrays, True))), arrays)


@pytest.mark.parametrize("file", ["zip.pth", "legacy.pth"])
def test_reads_what_pytorch_itself_has_written(file):
    shapes = {
        "0.weight": (4, 3, 3, 3),
        "0.bias": (4,),
        "1.weight": (4,),
        "1.bias": (4,),
        "1.running_mean": (4,),
        "1.running_var": (4,),
        "1.num_batches_tracked": (),
    }
    counted = {
        name: (np.arange(math.prod(shape)) + 100 * index).reshape(shape)
        for index, (name, shape) in enumerate(shapes.items())
    }
    wanted = {
        name: array if name.endswith("tracked") else array.astype(np.float32)
        for name, array in counted.items()
    }
    numbers = np.arange(12, dtype=np.float32).reshape(3, 4)
    wanted |= {
        "transposed": numbers.T,
        "part": numbers[1:, ::2],
        "half": np.float32([1.5, -2]),
        "brain": np.float32([1.5, -123.5]),
        "parameter": np.float32([1, 1]),
    }
    assert_equal(read_torch(FILES / file), wanted)


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model"])
def test_unwraps(tmp_path, arrays, wrapper):
    tensors, storages = stored(arrays)
    value = {"epoch": 3, "optimizer": {"lr": 0.1}, wrapper: tensors}
    assert_equal(read_torch(write_zip(tmp_path / "net.pth", value, storages)), arrays)


def test_takes_prefixes_away(tmp_path, arrays):
    tensors, storages = stored({f"module._orig_mod.{name}": a for name, a in arrays.items()})
    assert_equal(read_torch(write_zip(tmp_path / "net.pth", tensors, storages)), arrays)


def test_keeps_a_prefix_that_only_some_have(tmp_path, arrays):
    tensors, storages = stored({"module.x": arrays["bn.running_var"], **arrays})
    found = read_torch(write_zip(tmp_path / "net.pth", tensors, storages))
    assert list(found) == ["module.x", *arrays]


def test_reads_ordered_dicts_parameters_and_sizes(tmp_path):
    storages = Storages()
    size = Call(Name("torch", "Size"), ((2,),))
    tensor = rebuilt(storages.store(np.float32([1, 2])), 0, (2,), (1,))
    parameter = Call(Name("torch._utils", "_rebuild_parameter"), (tensor, True, None))
    pairs = Call(Name("collections", "OrderedDict"), ([["a", parameter], ["b", tensor]],))
    found = read_torch(write_zip(tmp_path / "n.pth", {"size": size, "model": pairs}, storages))
    assert_equal(found, {"a": np.float32([1, 2]), "b": np.float32([1, 2])})


def test_of_equal_names_the_last_counts(tmp_path):
    storages = Storages()
    first, last = (storages.tensor(np.float32([number])) for number in (1, 2))
    pairs = Call(Name("collections", "OrderedDict"), ([["a", first], ["b", first], ["a", last]],))
    found = read_torch(write_zip(tmp_path / "n.pth", pairs, storages))
    assert_equal(found, {"a": np.float32([2]), "b": np.float32([1])})


def test_reads_attributes_of_a_state_dict(tmp_path, arrays):
    # A pickled OrderedDict that has `_metadata`, as torch.save writes it.
    tensors, storages = stored({"x": arrays["bn.running_var"]})
    plain = pickled(tensors["x"])
    body = pickle.PROTO + b"\x02" + b"ccollections\nOrderedDict\n)R"
    body += pickled("x")[2:-1] + plain[2:-1] + b"s"
    body += pickled({"_metadata": {"": {"version": 1}}})[2:-1] + b"b."
    with zipfile.ZipFile(tmp_path / "n.pth", "w") as archive:
        archive.writestr("n/data.pkl", body)
        archive.writestr("n/data/0", storages.data["0"])
    assert_equal(read_torch(tmp_path / "n.pth"), {"x": arrays["bn.running_var"]})


def test_honours_strides_and_offsets(tmp_path):
    numbers = np.arange(30, dtype=np.float32)
    storages = Storages()
    storage = storages.store(numbers)
    value = {
        "transposed": rebuilt(storage, 0, (5, 6), (1, 5)),
        "part": rebuilt(storage, 7, (2, 3), (6, 2)),
        "scalar": rebuilt(storage, 29, (), ()),
        "one": rebuilt(storage, 29, (1, 1), (2**62, 1)),
        "none": rebuilt(storage, 0, (0, 3), (3, 1)),
    }
    found = read_torch(write_zip(tmp_path / "n.pth", value, storages))
    assert_equal(
        found,
        {
            "transposed": numbers.reshape(6, 5).T,
            "part": np.float32([[7, 9, 11], [13, 15, 17]]),
            "scalar": np.float32(29),
            "one": np.float32([[29]]),
            "none": np.zeros((0, 3), np.float32),
        },
    )


def test_no_tensor_can_be_written_to(tmp_path, arrays):
    # Those of one storage share their numbers.
    tensors, storages = stored(arrays)
    for array in read_torch(write_zip(tmp_path / "n.pth", tensors, storages)).values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1


def test_widens_floats_and_keeps_whole_numbers(tmp_path):
    storages = Storages()
    half = np.float16([1.5, -65504, 6e-8])
    brain = np.uint16([0x3FC0, 0xC2F7, 0x7F80, 0x0001])
    value = {
        "half": storages.tensor(half),
        "brain": storages.tensor(brain, "BFloat16"),
        "double": storages.tensor(np.array([0.1, 1e-50])),
        "bytes": storages.tensor(np.uint8([0, 255])),
        "ints": storages.tensor(np.int32([-1, 2])),
        "flags": storages.tensor(np.uint8([1, 0]), "Bool"),
    }
    found = read_torch(write_zip(tmp_path / "n.pth", value, storages))
    assert_equal(
        found,
        {
            "half": np.float32([1.5, -65504, 2.0**-24]),
            "brain": np.float32([1.5, -123.5, np.inf, 2.0**-133]),
            "double": np.float32([0.1, 0]),
            "bytes": np.uint8([0, 255]),
            "ints": np.int32([-1, 2]),
            "flags": np.array([True, False]),
        },
    )


def test_reads_big_endian_numbers(tmp_path):
    storages = Storages()
    value = {
        "floats": storages.tensor(np.array([1, 2.5], ">f4")),
        "ints": storages.tensor(np.array([1, -2], ">i8")),
        "brain": storages.tensor(np.array([0x3FC0], ">u2"), "BFloat16"),
    }
    found = read_torch(write_zip(tmp_path / "n.pth", value, storages, byteorder="big"))
    wanted = {"floats": np.float32([1, 2.5]), "ints": np.int64([1, -2]), "brain": np.float32([1.5])}
    assert_equal(found, wanted)


def small(tmp_path, legacy):
    value, storages = stored({"x": np.float32([1, 2, 3]), "y": np.array([4])}, legacy)
    write = write_legacy if legacy else write_zip
    return write(tmp_path / "n.pth", value, storages)


@pytest.mark.parametrize("legacy", [False, True])
def test_every_truncation_is_an_error(tmp_path, legacy):
    path = small(tmp_path, legacy)
    data = path.read_bytes()
    assert read_torch(path)["x"].tolist() == [1, 2, 3]
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(UserError, match=r"n\.pth is (damaged|no file of PyTorch's)"):
            read_torch(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_any_damage_is_read_or_a_user_error(tmp_path, legacy):
    path = small(tmp_path, legacy)
    data = path.read_bytes()
    errors = 0
    for place in range(len(data)):
        for value in (255, data[place] ^ 1):
            path.write_bytes(data[:place] + bytes([value]) + data[place + 1 :])
            try:
                read_torch(path)
            except UserError:
                errors += 1
    assert errors > len(data) / 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no file of PyTorch's"),
        (b"<html>not found</html>", "is no file of PyTorch's"),
        (pickle.dumps(collections.OrderedDict()), "none of torch.save"),
        (pickled(5), "none of torch.save"),
    ],
)
def test_refuses_other_files(tmp_path, data, message):
    path = tmp_path / "n.pth"
    path.write_bytes(data)
    with pytest.raises(UserError, match=message):
        read_torch(path)


def test_refuses_other_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "n.pth", "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(UserError, match=r"an archive without a data\.pkl"):
        read_torch(tmp_path / "n.pth")


@pytest.mark.parametrize("value", [{"epoch": 3, "lr": 0.1}, {}, [1], 5])
def test_tells_what_there_is_instead_of_tensors(tmp_path, value):
    path = write_zip(tmp_path / "n.pth", value, Storages())
    held = "'epoch', 'lr'" if value == {"epoch": 3, "lr": 0.1} else f"a {type(value).__name__}"
    with pytest.raises(UserError, match=f"holds no state dict, but {held}"):
        read_torch(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_torch(tmp_path / "n.pth")
