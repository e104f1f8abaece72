import pytest

from cnn_jax.data import memory_limit
from cnn_jax.errors import UserError


def test_what_fits_passes():
    memory_limit.check_size("toy", 10, (4, 4, 3), max_bytes=480)


def test_what_does_not_fit_says_what_would():
    with pytest.raises(UserError, match="toy would take") as caught:
        memory_limit.check_size("toy", 1_000_000, (100, 100, 3), max_bytes=3_000_000_000)
    assert str(caught.value) == (
        "toy would take 30.00 GB as 1000000 images of 100x100x3 bytes, more than the 3.00 GB it "
        "may; give a smaller --data.image-size, at most 31"
    )
    memory_limit.check_size("toy", 1_000_000, (31, 31, 3), max_bytes=3_000_000_000)
    with pytest.raises(UserError):
        memory_limit.check_size("toy", 1_000_000, (32, 32, 3), max_bytes=3_000_000_000)


def test_no_size_is_small_enough():
    with pytest.raises(UserError, match=r"no --data\.image-size is small enough"):
        memory_limit.check_size("toy", 100, (4, 4, 3), max_bytes=299)


def test_the_default_is_half_of_what_is_available(monkeypatch):
    monkeypatch.setattr(memory_limit, "available_memory", lambda: 960)
    memory_limit.check_size("toy", 10, (4, 4, 3))
    with pytest.raises(UserError, match="half of the memory that is available"):
        memory_limit.check_size("toy", 11, (4, 4, 3))


def test_available_memory_is_plausible():
    assert 2**26 < memory_limit.available_memory() < 2**50
