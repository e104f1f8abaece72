"""The cache of compiled programs: used, shared, and never in a run's way."""

import json
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cnn_jax.devices.compilation_cache import _READING, watched

PROGRAM = """
import json, sys
import jax, jax.numpy as jnp
from cnn_jax.devices.compilation_cache import default_folder, use_cache, watched

found = {"folder": use_cache()}

def compile(options={}):
    jax.clear_caches()
    def step(x, k):
        for _ in range(3):
            x = jnp.sin(jnp.tanh(x @ k) @ k) + jax.nn.softmax(x)
        return jnp.sort(x)
    shape = jax.ShapeDtypeStruct((64, 64), jnp.float32)
    with watched() as how:
        jax.jit(step).lower(shape, shape).compile(options)
    return str(how)

found["first"] = compile()
if "damage" in sys.argv:
    [entry] = default_folder().glob("jit_step-*-cache")
    whole = entry.read_bytes()
    for name, damaged in {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "flipped": whole[:500] + bytes([whole[500] ^ 255]) + whole[501:],
    }.items():
        entry.write_bytes(damaged)
        found[name] = [compile(), compile()]
    entry.unlink()
    times = entry.with_name(entry.name.replace("-cache", "-atime"))
    times.unlink()
    times.symlink_to("/dev/full")
    found["full"] = compile()
print(json.dumps(found))
"""


def run(cache, *words):
    """What a process says of its programs; it must say nothing of its own accord."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    environment |= {
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "XDG_CACHE_HOME": str(cache),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "persistent" not in done.stderr
    return json.loads(done.stdout)


def test_programs_are_kept_and_damage_is_mended(tmp_path):
    found = run(tmp_path, "damage")
    assert found["first"].startswith("compiled in")
    for damage in ("cut", "empty", "flipped"):
        first, second = found[damage]
        assert "s (the cache could not be read: " in first
        assert second.startswith("from the cache in")
    # The device of this name fails as a full disk does.
    assert "s (not stored in the cache: OSError: [Errno 28]" in found["full"]


def test_starts_at_once_share_it(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(run, [tmp_path] * 2):
            assert "(" not in found["first"]
    folder = tmp_path / "cnn_jax" / "compiled"
    assert len(list(folder.glob("jit_step-*-cache"))) == 1
    # One whose process was killed before it was whole.
    (folder / "half-cache").write_bytes(b"program")
    assert run(tmp_path)["first"].startswith("from the cache in")
    assert (folder / "half-atime").read_bytes() == bytes(8)


def test_a_folder_that_cannot_be_used_is_said(tmp_path):
    (tmp_path / "cnn_jax").write_text("a file")
    found = run(tmp_path)
    folder = Path(tmp_path, "cnn_jax", "compiled")
    assert found["folder"].startswith(f"compiled programs are not kept: {folder} cannot be used (")
    assert found["first"].startswith("compiled in")
    assert "(" not in found["first"]


def test_warnings_are_given_back_and_those_of_others_are_shown(monkeypatch):
    heard = []
    monkeypatch.setattr(warnings, "showwarning", lambda *given, **_: heard.append(str(given[0])))
    plain = warnings.showwarning
    for _ in range(3):
        with watched() as found, watched() as within:
            shown = warnings.showwarning
            # Another wraps it, and never gives it back.
            monkeypatch.setattr(
                warnings, "showwarning", lambda *a, shown=shown, **k: shown(*a, **k)
            )
            warnings.warn("of another", stacklevel=1)
            warnings.warn(f"{_READING} for 'jit_nothing': of no use", stacklevel=1)
        assert within is found
        assert found.problem == "the cache could not be read: of no use"
    assert heard == ["of another"] * 3
    monkeypatch.setattr(warnings, "showwarning", plain)
    with watched():
        assert warnings.showwarning is not plain
    assert warnings.showwarning is plain
