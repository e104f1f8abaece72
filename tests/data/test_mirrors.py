import gzip
import hashlib
import io
import json
import shutil
import tarfile

import numpy as np
import pytest
from PIL import Image

from cnn_jax.data.mirrors import MIRRORS, Mirror, _from_idx, _from_rows, idx
from cnn_jax.errors import UserError


def idx_bytes(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return header + array.tobytes()


def test_idx_files_plain_and_gzipped():
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    content = idx_bytes(array)
    assert content[:8] == b"\0\0\x08\x03\0\0\0\x02"
    np.testing.assert_array_equal(idx(content), array)
    np.testing.assert_array_equal(idx(gzip.compress(content)), array)
    np.testing.assert_array_equal(idx(idx_bytes(array[0, 0])), [0, 1, 2, 3])
    with pytest.raises(UserError, match="no idx file of bytes: it begins with 00000d03"):
        idx(b"\0\0\x0d\x03")


def test_arrays_from_idx_files():
    train, test = np.full((3, 2, 2), 7, np.uint8), np.full((1, 2, 2), 9, np.uint8)
    arrays = _from_idx(
        {
            "train-images-idx3-ubyte": idx_bytes(train),
            "train-labels-idx1-ubyte": idx_bytes(np.array([1, 2, 3], np.uint8)),
            "t10k-images-idx3-ubyte.gz": gzip.compress(idx_bytes(test)),
            "t10k-labels-idx1-ubyte.gz": gzip.compress(idx_bytes(np.array([4], np.uint8))),
        }
    )
    assert list(arrays) == ["train", "test"]
    np.testing.assert_array_equal(arrays["train"][0], train[..., None])
    np.testing.assert_array_equal(arrays["test"][0], test[..., None])
    assert arrays["train"][1].tolist() == [1, 2, 3]
    assert arrays["test"][1].tolist() == [4]


def test_arrays_from_pictures_with_an_image_a_row():
    images = np.random.PCG64(0).random_raw(12 * 384).view(np.uint8).reshape(12, 32, 32, 3)

    def picture(rows: np.ndarray) -> bytes:
        file = io.BytesIO()
        Image.fromarray(rows.reshape(len(rows), 1024, 3)).save(file, "png")
        return file.getvalue()

    files = {f"data_batch_{n + 1}.png": picture(images[2 * n : 2 * n + 2]) for n in range(5)}
    files["test_batch.png"] = picture(images[10:])
    files["train_lables.json"] = json.dumps(list(range(10))).encode()
    files["test_lables.json"] = b"[3, 4]"
    arrays = _from_rows(files)
    np.testing.assert_array_equal(arrays["train"][0], images[:10])
    np.testing.assert_array_equal(arrays["test"][0], images[10:])
    assert arrays["train"][1].tolist() == list(range(10))
    assert (arrays["test"][1].tolist(), arrays["test"][1].dtype) == ([3, 4], np.uint8)


def toy(archive: str, digest: str) -> Mirror:
    def decode(files):
        return {"train": (np.frombuffer(files["pixels"], np.uint8), np.zeros(1, np.uint8))}

    zero = hashlib.sha256(b"\0").hexdigest()
    return Mirror(
        name="toy",
        client="npm",
        package="toy@1.0.0",
        archive=archive,
        size=1,
        sha256="",
        members=("pixels",),
        decode=decode,
        digests={"train": (digest, zero)},
    )


def tar(path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_arrays_are_checked(tmp_path):
    archive = tmp_path / "toy.tgz"
    tar(archive, {"package/data/pixels": b"abc", "package/README": b"x"})
    right = hashlib.sha256(b"abc").hexdigest()
    arrays = toy("toy.tgz", right).arrays(archive)
    assert arrays["train"][0].tobytes() == b"abc"
    with pytest.raises(UserError, match=f"train images of toy .* sha256 {right}, not 00"):
        toy("toy.tgz", "00").arrays(archive)
    tar(archive, {"package/README": b"x"})
    with pytest.raises(UserError, match=r"toy\.tgz lacks pixels"):
        toy("toy.tgz", right).arrays(archive)


def test_an_archive_of_debian_is_opened_by_dpkg(tmp_path, monkeypatch):
    tools = tmp_path / "bin"
    tools.mkdir()
    # Answers like `dpkg-deb --fsys-tarfile`: the tar file of what would be installed.
    (tools / "dpkg-deb").write_text('#!/bin/sh\n[ "$1" = --fsys-tarfile ] && exec gzip -dc "$2"\n')
    (tools / "dpkg-deb").chmod(0o755)
    (tools / "gzip").symlink_to(shutil.which("gzip"))
    monkeypatch.setenv("PATH", str(tools))
    archive = tmp_path / "toy.deb"
    tar(archive, {"./usr/share/toy/pixels": b"abc"})
    mirror = toy("toy.deb", hashlib.sha256(b"abc").hexdigest())
    assert mirror.arrays(archive)["train"][0].tobytes() == b"abc"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"dpkg-deb, which opens toy\.deb, is not installed"):
        mirror.arrays(archive)


def test_every_mirror_is_told_by_full_checksums():
    assert set(MIRRORS) == {"mnist", "fashion_mnist", "cifar10"}
    for mirror in MIRRORS.values():
        digests = [mirror.sha256, *mirror.digests["train"], *mirror.digests["test"]]
        assert [len(bytes.fromhex(digest)) for digest in digests] == [32] * 5
        assert len(set(digests)) == 5
        # Only these may be asked of a registry: a name and one version.
        assert mirror.package.replace("=", "@").count("@") == 1
