"""Commands that look at runs: evaluate, predict, runs."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from cnn_jax import models
from cnn_jax.augment.views import Views
from cnn_jax.commands.output import print_fields, print_json, print_rows
from cnn_jax.errors import UserError
from cnn_jax.evaluation.evaluate import SplitName, evaluate
from cnn_jax.evaluation.predict import predict
from cnn_jax.json_values import read_json
from cnn_jax.pretrained.published import PUBLISHED, restore_published
from cnn_jax.restored import Restored, restore
from cnn_jax.run_folder import RunFolder


@dataclass(frozen=True)
class Evaluate:
    """Evaluate a run's model on every example of a split."""

    run: tyro.conf.Positional[Path]
    """A run folder."""
    checkpoint: str = "best"
    """best, latest, or a step."""
    split: SplitName = "test"
    """Which part of the data."""
    dataset: str | None = None
    """Another data set with the same classes, by default that of the run."""
    data_dir: Path | None = None
    """Where data sets lie, by default as TFDS has it."""
    views: Views | None = None
    """Views of an image whose logits are averaged, by default those of the recipe."""
    workers: int | None = None
    """Processes that read a set that streams, by default as many as there are processors."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON."""

    def __call__(self) -> None:
        """Prints the metrics, and writes them beside the run."""
        found = evaluate(
            self.run,
            self.checkpoint,
            self.split,
            self.dataset,
            self.data_dir,
            self.views,
            self.workers,
        )
        if self.json:
            print_json(found)
        else:
            print_fields({k: v for k, v in found.items() if k not in ("versions", "devices")})


@dataclass(frozen=True)
class Predict:
    """Name the most probable classes of images."""

    run: tyro.conf.Positional[Path]
    """A run folder, or a model with published weights, such as efficientnet_lite0."""
    images: tyro.conf.Positional[tuple[Path, ...]]
    """JPEG, PNG, BMP or WebP files."""
    checkpoint: str = "best"
    """best, latest, or a step."""
    top: int = 5
    """How many classes are named for each image."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON."""

    def __call__(self) -> None:
        """Prints a row for each image and class."""
        if not self.images:
            raise UserError("no image is given: cnn-jax predict RUN IMAGE...")
        found = predict(self._restored(), self.images, self.top)
        if self.json:
            print_json([dataclasses.asdict(each) for each in found])
            return
        rows = [
            {
                "image": each.image if rank == 0 else "",
                "class": name,
                "probability": f"{probability:.2%}",
            }
            for each in found
            for rank, (name, probability) in enumerate(
                zip(each.classes, each.probabilities, strict=True)
            )
        ]
        print_rows(rows, ("image", "class", "probability"), as_json=False, empty="")

    def _restored(self) -> Restored:
        if self.run.exists():
            return restore(self.run, self.checkpoint)
        name = str(self.run)
        if name in models.names():
            return restore_published(name)
        raise UserError(
            f"{name} is no run folder, and no model with published weights, which are: "
            + ", ".join(PUBLISHED)
        )


@dataclass(frozen=True)
class Runs:
    """List the runs below a folder with their results."""

    folder: tyro.conf.Positional[Path] = Path("runs")
    """Where to look."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON."""

    def __call__(self) -> None:
        """Prints a row for each run."""
        if not self.folder.is_dir():
            raise UserError(f"{self.folder} is no folder")
        rows = []
        for path in find_runs(self.folder):
            try:
                rows.append(describe_run(path))
            except (UserError, OSError, KeyError, TypeError):
                rows.append({"run": str(path), "state": "unreadable"})
        columns = (
            "run", "model", "data", "seed", "state", "step", "validation", "test", "parameters",
            "seconds",
        )  # fmt: skip
        print_rows(
            rows,
            columns,
            as_json=self.json,
            empty=f"no run below {self.folder}",
            drop=("parameters", "seconds", "seed", "step", "data", "model", "validation", "state"),
        )


def find_runs(folder: Path) -> list[Path]:
    """The run folders in and below a folder, behind symbolic links as well, each once.

    One that is reached over several paths has that without a link, or the first by name.
    """
    seen: set[tuple[int, int]] = set()
    found = []
    links = [folder]
    while links:
        for top, folders, files in os.walk(links.pop(0)):
            there = Path(top)
            status = there.stat()
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()  # a link to where we have been
                continue
            seen.add((status.st_dev, status.st_ino))
            links += sorted(there / name for name in folders if (there / name).is_symlink())
            if "recipe.json" in files:
                found.append(there)
                # Thousands of files of checkpoints, and no run among them.
                folders[:] = [
                    name for name in folders if name not in ("checkpoints", "tensorboard")
                ]
    return sorted(found)


def describe_run(path: Path) -> dict[str, Any]:
    """What a listing shows of a run folder."""
    folder = RunFolder(path)
    recipe = read_json(path / "recipe.json")
    row: dict[str, Any] = {
        "run": str(path),
        "model": recipe["model"]["name"],
        "data": recipe["data"]["name"],
        "seed": recipe["seed"],
    }
    summary = folder.summary()
    if summary is None:
        return {**row, "state": "unfinished", "step": max(folder.steps(), default=0)}
    test = summary["test"]
    return {
        **row,
        "state": "finished",
        "step": summary["steps"],
        "validation": summary["best"]["accuracy"] if summary["best"] else None,
        "test": test["accuracy"] if test else None,
        "parameters": summary["parameters"],
        "seconds": summary["seconds"]["total"],
    }
