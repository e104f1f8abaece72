import ctypes
import subprocess
import sys

import pytest

TWICE = """
import ctypes, resource, sys
from cnn_jax.freed_memory import keep_freed_memory
if "keep" in sys.argv:
    assert keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    piece = libc.malloc(2**28)
    ctypes.memset(piece, 1, 2**28)
    libc.free(piece)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*arguments):
    """Pages that the kernel gave for a piece of 256 MB whose like was freed before."""
    command = [sys.executable, "-c", TWICE, *arguments]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="for glibc")
def test_freed_memory_is_used_again():
    # With pages of 2 MB there are 128 of them.
    assert faults() >= 128
    assert faults("keep") < 16
