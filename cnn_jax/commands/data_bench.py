"""The command that measures how fast a set can be read, step by step of the way to a device."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from cnn_jax.commands.output import print_json, print_rows
from cnn_jax.errors import UserError
from cnn_jax.recipe import Augment, Data, Interpolation, Resizer


@dataclass(frozen=True)
class Prepared:
    """How images are prepared; the flags mean the same as in an experiment."""

    image_size: int = 224
    """Side in pixels that images are resized to."""
    random_crop: tuple[float, float] | None = (0.08, 1.0)
    """Smallest and largest area of the random part that is read, as a part of the image."""
    interpolation: Interpolation = "bilinear"
    """How images are resized, always with antialiasing."""
    resizer: Resizer = "pillow"
    """What resizes images: Pillow, or the faster `simd`, which needs `pip install
    "cnn-jax[simd]"`."""


@dataclass(frozen=True)
class DataBench:
    """Measure images per second of reading, decoding, cropping, worker processes, copying and
    augmentation.
    """

    name: tyro.conf.Positional[str]
    """Data that are image files: a name of the TFDS catalog, folder:PATH or csv:FILE."""
    data: Prepared = field(default_factory=Prepared)
    augment: Augment = field(default_factory=lambda: Augment(mirror="random"))
    batch_size: int = 64
    """Number of images in a batch."""
    workers: int | None = None
    """Number of processes that read images. By default one for each processor."""
    seconds: float = 3.0
    """How long each stage is measured, in seconds."""
    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the result as JSON."""

    def __call__(self) -> None:
        """Prints a row for each step of the way."""
        from cnn_jax.commands.reading_rates import reading_rates

        if self.batch_size < 1:
            raise UserError(f"--batch-size {self.batch_size} must be at least 1")
        if not self.seconds > 0:
            raise UserError(f"--seconds {self.seconds} must be above 0")
        rows = reading_rates(
            Data(self.name, streaming=True, **dataclasses.asdict(self.data)),
            self.data_dir,
            self.augment,
            batch_size=self.batch_size,
            workers=self.workers,
            seconds=self.seconds,
        )
        if self.json:
            print_json(rows)
            return
        shown = [{"what": row["what"], "images/s": f"{row['images/s']:,.0f}"} for row in rows]
        print_rows(shown, ("what", "images/s"), as_json=False, empty="")
