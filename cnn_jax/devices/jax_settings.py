"""JAX's settings that change results: the same in every run, whatever the environment says."""

from __future__ import annotations

import enum
import sys
from typing import Any

import jax

from cnn_jax.devices.processes import process_index

PRNG = "threefry2x32"
"""What all keys are of."""

_NUMBERS = {
    "jax_enable_x64": False,
    "jax_default_prng_impl": PRNG,
    "jax_threefry_partitionable": True,
    "jax_threefry_gpu_kernel_lowering": False,
    "jax_random_seed_offset": 0,
    "jax_high_dynamic_range_gumbel": False,
    "jax_default_matmul_precision": None,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_softmax_custom_jvp": False,
}
"""Settings that decide numbers, with the values that all results here were measured with."""

_FAILURES = {
    "jax_disable_jit": False,
    "jax_debug_nans": False,
    "jax_debug_infs": False,
    "jax_debug_key_reuse": False,
    "jax_check_tracer_leaks": False,
    "jax_legacy_prng_key": "allow",
    "jax_transfer_guard": None,
    "jax_transfer_guard_host_to_device": None,
    "jax_transfer_guard_device_to_device": None,
    "jax_transfer_guard_device_to_host": None,
}
"""Settings to look for faults with, at which sound programs fail too."""


def fix_settings() -> None:
    """Gives JAX's settings that change results their values here, and says which were others.

    Called by whatever begins to train or to evaluate; from the second time on it does nothing.
    """
    for settings, instead in ((_NUMBERS, ""), (_FAILURES, "; see --debug")):
        for name, value in settings.items():
            given = _plain(getattr(jax.config, name, value))  # a newer JAX may not have it
            if given == value:
                continue
            jax.config.update(name, value)
            if process_index() == 0:
                print(
                    f"{name.upper()} is {given}, and here it is {value} in every run{instead}",
                    file=sys.stderr,
                )


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value
