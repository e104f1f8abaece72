"""Meshes, and where the arrays of a state lie on them; here there is one device."""

import jax
import numpy as np
import pytest
from jax.sharding import AbstractMesh, PartitionSpec

from cnn_jax import Parallel, UserError
from cnn_jax.devices.mesh import make_mesh, placed, replicated, state_sharding


def spec(shape, fsdp=4):
    return state_sharding(AbstractMesh((2, fsdp), ("data", "fsdp")), shape).spec


def test_the_largest_axis_that_divides_is_split():
    assert spec((3, 3, 64, 128)) == PartitionSpec(None, None, None, "fsdp")
    assert spec((3, 3, 128, 64)) == PartitionSpec(None, None, "fsdp", None)
    # 4098 is larger, but four do not divide it.
    assert spec((4098, 64)) == PartitionSpec(None, "fsdp")


def test_of_equal_axes_the_last_is_split():
    assert spec((512, 512)) == PartitionSpec(None, "fsdp")


@pytest.mark.parametrize("shape", [(), (64,), (3, 3, 16, 16), (4097,), (81, 81)])
def test_small_arrays_and_those_that_do_not_divide_are_whole(shape):
    assert spec(shape) == PartitionSpec()


def test_without_an_fsdp_axis_everything_is_whole():
    assert spec((512, 512), fsdp=1) == PartitionSpec()


def test_the_mesh_has_all_devices_by_default():
    mesh = make_mesh(Parallel(), [jax.devices()[0]] * 8)
    assert dict(mesh.shape) == {"data": 8, "fsdp": 1}
    assert dict(make_mesh(Parallel(fsdp=4), [jax.devices()[0]] * 8).shape) == {
        "data": 2,
        "fsdp": 4,
    }
    assert make_mesh(Parallel(data=3), [jax.devices()[0]] * 8).size == 3


@pytest.mark.parametrize(
    ("parallel", "words"),
    [
        (Parallel(fsdp=3), "--parallel.fsdp 3 does not divide the number of devices, 8"),
        (Parallel(data=4, fsdp=4), "is 16 devices, but there are only 8"),
        (Parallel(data=0), "--parallel.data 0 must be at least 1"),
        (Parallel(compile="pmat"), "unknown --parallel.compile 'pmat'; did you mean 'pmap'"),
        (Parallel(fsdp=2, compile="pmap"), "--parallel.fsdp 2 must be 1"),
    ],
)
def test_a_mesh_that_cannot_be_is_refused(parallel, words):
    with pytest.raises(UserError, match=words):
        make_mesh(parallel, [jax.devices()[0]] * 8)


def test_placed_arrays_hold_what_they_were_made_of():
    value = np.arange(12).reshape(3, 4)
    there = placed(value, replicated(make_mesh()))
    np.testing.assert_array_equal(there, value)
