import jax
import pytest

from cnn_jax.devices.jax_settings import _FAILURES, _NUMBERS, fix_settings


@pytest.fixture
def settings():
    """JAX's settings, as they were again afterwards."""
    names = [*_NUMBERS, *_FAILURES]
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, getattr(value, "value", value))


def test_settings_that_change_results_are_fixed_and_told_once(settings, capsys):
    fix_settings()
    assert capsys.readouterr().err == ""  # they are JAX's defaults
    plain = jax.random.normal(jax.random.key(3), (5,)).tolist()
    for name, value in {
        "jax_enable_x64": True,
        "jax_default_prng_impl": "rbg",
        "jax_threefry_partitionable": False,
        "jax_random_seed_offset": 7,
        "jax_default_matmul_precision": "bfloat16",
        "jax_numpy_dtype_promotion": "strict",
        "jax_numpy_rank_promotion": "raise",
        "jax_debug_nans": True,
        "jax_disable_jit": True,
    }.items():
        jax.config.update(name, value)
    fix_settings()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 9
    assert "JAX_ENABLE_X64 is True, and here it is False in every run" in said
    assert jax.random.normal(jax.random.key(3), (5,)).tolist() == plain
    fix_settings()
    assert capsys.readouterr().err == ""
