"""What is said where JAX cannot use the devices that it is to use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import jax

from cnn_jax.errors import UserError, unknown

_PLATFORMS = ("cpu", "cuda", "gpu", "rocm", "tpu")
_CPU = "JAX_PLATFORMS=cpu computes on the CPU"
_MEMORY = "RESOURCE_EXHAUSTED"
_HELD = ("in use", "busy", "lockfile", "OUT_OF_MEMORY", "DEVICE_UNAVAILABLE", _MEMORY)
"""What is said by the drivers of GPUs and TPUs that another program holds."""


@contextlib.contextmanager
def devices_told() -> Iterator[None]:
    """Within it a device that is not there, is held by another or is full is a `UserError`.

    Raises:
      UserError: JAX has failed because of a device.
    """
    try:
        yield
    # JAX has no type of its own for what goes wrong here, and asserts where a plugin is missing.
    except (RuntimeError, AssertionError) as error:
        if (why := _full(error) or _missing()) is None:
            raise
        raise UserError(why) from error


def _full(error: BaseException) -> str | None:
    first = str(error).partition("\n")[0]
    if not isinstance(error, jax.errors.JaxRuntimeError) or _MEMORY not in first:
        return None
    return (
        f"a device has no memory left ({first}). Give it less to do, such as a smaller batch, or "
        "end other programs that use it (nvidia-smi lists those on GPUs)."
    )


def _missing() -> str | None:
    """Why there is no device, if there is none."""
    try:
        jax.local_devices()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0].partition(" (set JAX_PLATFORMS=")[0]
    else:
        return None
    asked = os.environ.get("JAX_PLATFORMS") or jax.config.jax_platforms
    if any(sign in reason for sign in _HELD):
        return (
            f"the device is in use by another program ({reason}). End that one, choose another "
            f"device (CUDA_VISIBLE_DEVICES for GPUs), or give JAX_PLATFORMS: {_CPU}."
        )
    if not asked:
        return f"JAX finds no device that it can use ({reason}). {_CPU}."
    unlisted = "not in the list of known backends" in reason
    misspelt = [name for name in asked.split(",") if name.strip() not in _PLATFORMS]
    if unlisted and misspelt:
        return f"JAX_PLATFORMS={asked}: {unknown('platform', misspelt[0], _PLATFORMS)}"
    told = f" ({reason})" if reason and not unlisted else ""
    return (
        f"JAX_PLATFORMS={asked} asks for a device that JAX does not find here{told}. Unset it to "
        "use what there is, or, if there is such a device, install JAX for it: cnn_jax has the "
        f"extras cuda and tpu. {_CPU}."
    )
