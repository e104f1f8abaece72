"""Commands that look at runs: evaluate, predict, runs."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from cnn_jax import models
from cnn_jax.augment.views import Views
from cnn_jax.commands.output import print_fields, print_json, print_rows
from cnn_jax.errors import UserError
from cnn_jax.evaluation.evaluate import evaluate
from cnn_jax.evaluation.judged import SplitName
from cnn_jax.evaluation.pictures import pictures
from cnn_jax.evaluation.predict import (
    Estimate,
    Told,
    cannot_be_read,
    predict_readable,
    write_csv,
)
from cnn_jax.evaluation.predict_text import (
    cut_texts,
    deciding_windows,
    predict_texts,
    texts_of,
)
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
    split: SplitName | None = None
    """Which part of the data: by default test, or all of another set that has no test part."""
    dataset: str | None = None
    """Another data set, by default that of the run: its images are brought to the model's shape,
    classes may be lacking, and if some of them were learnt from, the rest is told apart."""
    skip_bad: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Leave out image files of another set that cannot be read, instead of stopping."""
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
            self.skip_bad,
        )
        if self.json:
            print_json(found)
            return
        hidden = ("versions", "devices", "notes", "unseen")
        print_fields({k: v for k, v in found.items() if k not in hidden})
        for note in found["notes"]:
            print(note)
        if found["unseen"]:
            print("without them:")
            print_fields(found["unseen"])


@dataclass(frozen=True)
class Predict:
    """Name the most probable classes of images, or of texts."""

    run: tyro.conf.Positional[Path]
    """A run folder, or a model with published weights, such as efficientnet_lite0."""
    images: tyro.conf.Positional[tuple[Path, ...]]
    """JPEG, PNG, BMP or WebP files; folders, with all that is in them; patterns such as '*.jpg';
    `-` for standard input. Of a model of texts: texts in quotes, or files with a text a line."""
    checkpoint: str = "best"
    """best, latest, or a step."""
    top: int = 5
    """How many classes are named for each image."""
    csv: Path | None = None
    """Write a file of comma-separated values as well: a row an image with its name, the predicted
    class, and a column a class with its probability."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON."""

    def __call__(self) -> None:
        """Prints a row for each image and class; those that cannot be read are named at the end."""
        if not self.images:
            raise UserError("no image is given: cnn-jax predict RUN IMAGE...")
        if self.top < 1:
            raise UserError(f"--top {self.top} must be at least 1")
        restored = self._restored()
        if restored.spec.input_kind == "tokens":
            self._of_texts(restored)
            return
        files, bad = pictures(self.images)
        names = restored.spec.class_names
        every, unreadable = predict_readable(restored, files, len(names))
        bad += unreadable
        if self.csv is not None:
            write_csv(self.csv, every, names)
        self._show([each.best(self.top) for each in every])
        if bad:
            raise cannot_be_read(bad)

    def _of_texts(self, restored: Restored) -> None:
        """Prints the same of texts, and in JSON also the windows of words that decided."""
        names = restored.spec.class_names
        texts = texts_of(self.images, restored)
        every = predict_texts(restored, texts, len(names))
        if self.csv is not None:
            write_csv(self.csv, every, names)
        best = [each.best(self.top) for each in every]
        if self.json:
            rows = [dataclasses.asdict(each) for each in best]
            windows = deciding_windows(restored, texts)
            for row, each in zip(rows, windows, strict=True):
                row["text"] = row.pop("image")
                row["windows"] = [dataclasses.asdict(window) for window in each]
            print_json(rows)
            return
        self._show(best, "text")
        if cut := cut_texts(restored, texts):
            print(cut)
        if len(texts) == 1 and (found := deciding_windows(restored, texts)[0]):
            print("decided by: " + "; ".join(f"{each.words!r} {each.share:+.3g}" for each in found))

    def _show(self, found: Sequence[Told], what: str = "image") -> None:
        if self.json:
            print_json([dataclasses.asdict(each) for each in found])
            return
        if not found:
            return
        rows: list[dict[str, str]] = []
        for each in found:
            if isinstance(each, Estimate):
                told = zip(each.names, map("{:.4g}".format, each.numbers), strict=True)
            else:
                told = zip(each.classes, map("{:.2%}".format, each.probabilities), strict=True)
            for rank, (name, value) in enumerate(told):
                image = each.image if rank == 0 else ""
                rows.append({"image": image, "told": name, "value": value})
        words = ("number", "value") if isinstance(found[0], Estimate) else ("class", "probability")
        renamed = [dict(zip((what, *words), row.values(), strict=True)) for row in rows]
        print_rows(renamed, (what, *words), as_json=False, empty="")

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
    # Summaries of earlier versions name no metric: they are of classifications.
    metric = summary.get("metric", "accuracy")
    return {
        **row,
        "state": "finished",
        "step": summary["steps"],
        "validation": summary["best"][metric] if summary["best"] else None,
        "test": test[metric] if test else None,
        "parameters": summary["parameters"],
        "seconds": summary["seconds"]["total"],
    }
