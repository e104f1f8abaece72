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
    """How images are prepared; the flags are those of an experiment."""

    image_size: int = 224
    """Side in pixels of what a step is given."""
    random_crop: tuple[float, float] | None = (0.08, 1.0)
    """Least and greatest part of the area that is taken at random."""
    interpolation: Interpolation = "bilinear"
    """How images are resized."""
    resizer: Resizer = "pillow"
    """What resizes them."""


@dataclass(frozen=True)
class DataBench:
    """Measure images/s of reading, decoding, cropping, workers, copying and augmenting."""

    name: tyro.conf.Positional[str]
    """A data set that lies on disk as images: a TFDS catalog name or `folder:PATH`."""
    data: Prepared = field(default_factory=Prepared)
    augment: Augment = field(default_factory=lambda: Augment(mirror="random"))
    batch_size: int = 64
    """Examples in a batch."""
    workers: int | None = None
    """Processes that read, by default as many as there are processors."""
    seconds: float = 3.0
    """How long each step is measured."""
    data_dir: Path | None = None
    """Where data sets lie, by default as TFDS has it."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON."""

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
