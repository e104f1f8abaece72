"""Devices that JAX cannot use are told in a sentence."""

import os
import subprocess
import sys

import jax
import pytest

from cnn_jax import UserError
from cnn_jax.devices.device_failure import devices_told

UNLISTED = (
    "Unable to initialize backend 'rocm': Backend 'rocm' is not in the list of known backends"
)
HELD = "Unable to initialize backend 'tpu': UNAVAILABLE: the TPU is already in use by process 7"


@pytest.mark.parametrize("platform", ["cuda"])
def test_a_platform_that_is_not_here_is_a_sentence(platform, tmp_path):
    recipe = tmp_path / "x.py"
    recipe.write_text("from cnn_jax import Data, Recipe\nrecipe = Recipe('x', Data('digits'))\n")
    done = subprocess.run(
        [sys.executable, "-m", "cnn_jax", "plan", str(recipe)],
        env=os.environ | {"JAX_PLATFORMS": platform},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: JAX_PLATFORMS={platform} asks for a device")
    assert "JAX_PLATFORMS=cpu" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("asked", "failure", "told"),
    [
        ("gpu", RuntimeError(UNLISTED), "install JAX for it"),
        ("cudaa", RuntimeError(UNLISTED), "did you mean 'cuda'"),
        ("tpu", RuntimeError(HELD), "in use by another program"),
        ("", RuntimeError("CUDA_ERROR_OUT_OF_MEMORY: out of memory"), "in use by another program"),
        ("cuda", AssertionError(), "JAX does not find here. Unset it"),
        ("", RuntimeError("no supported devices found"), "JAX finds no device"),
    ],
)
def test_each_failure_has_its_remedy(asked, failure, told, monkeypatch):
    def fails():
        raise failure

    monkeypatch.setenv("JAX_PLATFORMS", asked)
    monkeypatch.setattr(jax, "local_devices", fails)
    with pytest.raises(UserError, match=told), devices_told():
        jax.local_devices()


def test_a_full_device_is_told_and_other_failures_are_not_hidden():
    with pytest.raises(UserError, match="no memory left"), devices_told():
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while allocating 9")
    for failure in (RuntimeError("a fault of ours"), AssertionError()):
        with pytest.raises(type(failure)), devices_told():
            raise failure
